"""What a page in one file needs: a policy that allows the scripts and the style in it, and nothing else; data in it."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable
from html import escape
from typing import Any


def policy(scripts: Iterable[str], style: str) -> str:
    """The content security policy, as the value of an attribute: these scripts and this style, by their hashes."""
    allowed = " ".join(f"'{_hash(script)}'" for script in scripts)
    text = (
        f"default-src 'none'; script-src {allowed}; style-src '{_hash(style)}'; img-src data:; base-uri 'none'; "
        "form-action 'none'"
    )
    return escape(text, quote=True)


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def data(content: Any) -> str:
    """JSON that cannot end the script element it stands in."""
    text = json.dumps(content, allow_nan=False, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")

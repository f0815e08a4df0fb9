"""The page: one HTML file that needs nothing else, and may not load anything else.

Its content security policy allows exactly the script and the style in the file, by their hashes.
"""

from __future__ import annotations

import base64
import hashlib
import json
from html import escape
from importlib.resources import files
from typing import Any

TEMPLATE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<header><h1>{title}</h1></header>
<div id="controls">
<div id="steps" role="toolbar" aria-label="steps">
<button type="button" id="first" title="key: Home">first</button>
<button type="button" id="previous" title="key: left arrow">previous</button>
<button type="button" id="next" title="key: right arrow">next</button>
<button type="button" id="last" title="key: End">last</button>
<button type="button" id="turn" title="start of the backward pass">to backward</button>
<input type="range" id="slider" min="0" value="0" aria-label="step">
</div>
<div id="say" role="status" aria-live="polite"></div>
<div id="choices" role="group" aria-label="what to see"></div>
<div id="modules" role="group" aria-label="modules"></div>
<div id="find"><input type="search" id="search" placeholder="search (key: /)" aria-label="search nodes" size="14">
<span id="hits" role="status"></span></div>
</div>
<main>
<div id="picture"><div id="zoom"><button type="button" id="larger" aria-label="zoom in">+</button>
<button type="button" id="smaller" aria-label="zoom out">−</button>
<button type="button" id="fit" aria-label="fit the whole picture">fit</button></div><div id="holder">{noscript}</div></div>
<aside id="panel" tabindex="0" aria-label="details of the step"></aside>
</main>
<script type="application/json" id="data">{data}</script>
<script>{script}</script>
</body>
</html>
"""


def page(content: dict[str, Any]) -> str:
    """The HTML text for a payload."""
    room = files(__package__)
    style, script = (room.joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    return TEMPLATE.format(
        policy=escape(policy, quote=True),
        title=escape(content["title"] or "graph", quote=True),
        style=style,
        script=script,
        data=_json(content),
        noscript=f"<noscript>{content['views'][0]['svg']}</noscript>",
    )


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _json(content: Any) -> str:
    """JSON that cannot end the script element it stands in."""
    text = json.dumps(content, allow_nan=False, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")

"""A plot as a part of the page: its text can be read, searched and copied, and its colors follow the theme.

A page with a policy takes no style from an attribute, so what matplotlib writes as style becomes attributes of SVG; and where
several pictures share a page, their names are told apart.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree

from . import colors

SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
FONT = re.compile(r"^(?:(?P<weight>bold|\d+)\s+)?(?P<size>[\d.]+px)\s+(?P<family>.+)$")
KNOWN = {color.lower() for color in (*colors.GROUND, *(light for light, _ in colors.MEANINGS.values()))}


def inline(svg: bytes, name: str) -> str:
    """The picture as SVG for a page.

    Args:
        svg: a file of matplotlib's.
        name: unique within the page.
    """
    for prefix, address in (("", SVG), ("xlink", XLINK)):
        ElementTree.register_namespace(prefix, address)
    root = ElementTree.fromstring(svg)
    for child in list(root):
        if child.tag == f"{{{SVG}}}metadata":
            root.remove(child)
        elif child.tag == f"{{{SVG}}}defs" and child.find(f"{{{SVG}}}style") is not None:
            root.remove(child)  # what it says follows
            root.attrib |= {"stroke-linejoin": "round", "stroke-linecap": "butt"}
    for element in root.iter():
        attributes = {**element.attrib, **styled(element.attrib.pop("style", ""))}
        attributes.pop("style", None)
        if element.tag == f"{{{SVG}}}text":
            attributes.setdefault("fill", colors.INK)
        element.attrib.clear()
        element.attrib |= {key: value_for_page(key, value, name) for key, value in attributes.items()}
    title = root.find(f"{{{SVG}}}title")
    if title is not None:
        title.set("id", f"{name}-title")
        root.attrib |= {"role": "img", "aria-labelledby": f"{name}-title"}
    root.set("class", "plot")
    return ElementTree.tostring(root, encoding="unicode")


def styled(style: str) -> dict[str, str]:
    """The declarations of a style as attributes."""
    found: dict[str, str] = {}
    for declaration in filter(None, map(str.strip, style.split(";"))):
        key, _, value = (part.strip() for part in declaration.partition(":"))
        font = FONT.match(value) if key == "font" else None
        if font:
            found |= {"font-size": font["size"], "font-family": font["family"]}
            found |= {"font-weight": font["weight"]} if font["weight"] else {}
        else:
            found[key] = value
    return found


def value_for_page(key: str, value: str, name: str) -> str:
    """An attribute's value, with names of this picture alone and colors that follow the theme."""
    if key == "id":
        return f"{name}-{value}"
    if key in ("href", f"{{{XLINK}}}href") and value.startswith("#"):
        return f"#{name}-{value[1:]}"
    if key in ("fill", "stroke") and value.lower() in KNOWN:
        return f"var({colors.variable(value)})"
    return re.sub(r"url\(#", f"url(#{name}-", value)

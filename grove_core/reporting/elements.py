"""HTML as a tree of elements: whatever a text says, it is text, since the serializer escapes it."""

from __future__ import annotations

import re
from typing import Final
from xml.etree.ElementTree import Element, tostring

NO_TEXT: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
"""What HTML takes no character for: controls, and halves of surrogate pairs."""

Child = Element | str | None
"""None is left out."""


def element(tag: str, *children: Child, **attributes: str | int | float | None) -> Element:
    """Return an element.

    Args:
        tag: its name.
        children: what it holds, in order.
        attributes: by name; `class_` is `class`, `_` is `-`. None is left out.
    """
    made = Element(
        tag,
        {
            "class" if name == "class_" else name.replace("_", "-"): _text(value)
            for name, value in attributes.items()
            if value is not None
        },
    )
    for child in children:
        add(made, child)
    return made


def add(parent: Element, child: Child) -> None:
    """Put an element or a text behind what an element holds already."""
    if isinstance(child, Element):
        parent.append(child)
    elif child is not None and len(parent):
        parent[-1].tail = (parent[-1].tail or "") + _text(child)
    elif child is not None:
        parent.text = (parent.text or "") + _text(child)


def document(root: Element) -> str:
    """Return a whole page as text."""
    return "<!doctype html>\n" + tostring(root, "unicode", method="html") + "\n"


def _text(value: object) -> str:
    return NO_TEXT.sub("\ufffd", str(value))

# SPDX-License-Identifier: Apache-2.0
"""SVG 1.1 and 2 that only looks: shapes, text, gradients, their style. All else is left out, and it is said what.

Written anew from what is known to be harmless, element by element, so that nothing depends on what a browser makes of
the rest. No script, no handler, no link, no embedded page or picture, no address of anything outside.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final
from xml.etree.ElementTree import ParseError, XMLParser
from xml.sax.saxutils import escape, quoteattr

from armillary.wire.picture.refusal import refused

NAMESPACE: Final = "http://www.w3.org/2000/svg"
_XLINK_HREF: Final = "{http://www.w3.org/1999/xlink}href"
MAX_DEPTH: Final = 100
MAX_ELEMENTS: Final = 20_000
# Elements that are drawn in all, what is used several times counted each time: some lines of use double it each.
MAX_DRAWN: Final = 200_000
KEPT: Final = frozenset(
    (
        "svg", "g", "defs", "symbol", "use", "title", "desc", "path", "rect", "circle", "ellipse", "line", "polyline",
        "polygon", "text", "tspan", "textPath", "linearGradient", "radialGradient", "stop", "clipPath", "mask",
        "pattern", "marker", "style",
    )
)  # fmt: skip
# What of a file is not told about: it shows nothing.
_SILENT: Final = frozenset(("metadata", "namedview"))
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*\Z")
# The head that older programs write: it names the format and nothing else.
_DOCTYPE: Final = re.compile(r"<!DOCTYPE\s+svg(?:\s+(?:PUBLIC|SYSTEM|\"[^\"<>\[\]]*\"|'[^'<>\[\]]*'))*\s*>")
_ENCODING: Final = re.compile(r"\A\s*<\?xml[^>]*?encoding\s*=\s*[\"']([^\"']*)[\"']")
_URL: Final = re.compile(r"url\s*\(\s*[\"']?\s*(.)?", re.IGNORECASE | re.DOTALL)
# Functions of CSS that load what is named in quotes.
_LOADING: Final = re.compile(r"(?:image|image-set|src|expression)\s*\(", re.IGNORECASE)
_REFERENCE: Final = re.compile(r"url\s*\(\s*[\"']?\s*#([^\"')\s]+)", re.IGNORECASE)
_NUMBER: Final = re.compile(r"\s*([0-9]+(?:\.[0-9]*)?)(?:px)?\s*\Z")
# Width and height of one that says neither (SVG 2 §8.2, CSS 2.1 §10.3.2).
_DEFAULT: Final = (300, 150)


def clean_svg(data: bytes) -> tuple[bytes, int, int, tuple[str, ...]]:
    """The drawing's bytes, width, height, and what was left out.

    Raises:
        InvalidArgumentError: no SVG, entities of its own, too deep or too many elements.
    """
    text = _text(data)
    writer = _Writer()
    parser = XMLParser(target=writer)  # noqa: S314 - no document type is left, so that there are no entities
    try:
        parser.feed(text)
        parser.close()
    except ParseError as error:
        raise refused("SVG that is well-formed XML", f"{error}"[:80]) from error
    if writer.size is None:
        raise refused("an SVG file", "another kind of XML")
    return "".join(writer.parts).encode(), *writer.size, tuple(sorted(writer.removed))


def _text(data: bytes) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise refused("SVG in UTF-8", f"other bytes at {error.start}") from error
    if (named := _ENCODING.match(text)) and named[1].lower() not in ("utf-8", "us-ascii", "ascii"):
        raise refused("SVG in UTF-8", f"the encoding {named[1]!a:.30}")
    text = _DOCTYPE.sub("", text, count=1)
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise refused("SVG without entities", "a document type with declarations")
    return text


class _Weight:
    """How much an element draws: elements in it, and ids of what it uses besides."""

    def __init__(self, ident: str, elements: int = 0) -> None:
        self.ident = ident
        self.elements = elements
        self.uses: list[str] = []

    def take(self, inner: _Weight) -> None:
        """Count an element that stands within."""
        self.elements += inner.elements
        self.uses += inner.uses


class _Writer:
    """Writes what is kept, as the parser reads it."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.removed: set[str] = set()
        self.size: tuple[int, int] | None = None
        self._open: list[str] = []  # names of elements that are being written
        self._left_out = 0  # how deep in an element that is left out
        self._style: list[str] | None = None  # text of a style element
        self._count = 0
        self._weights = [_Weight("")]  # of the file, and of elements that are being written
        self._used: dict[str, _Weight] = {}

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """An element begins."""
        self._count += 1
        if self._count > MAX_ELEMENTS or len(self._open) + self._left_out >= MAX_DEPTH:
            raise refused(f"at most {MAX_ELEMENTS:,} elements, {MAX_DEPTH} deep", "more")
        space, _, name = tag.rpartition("}")
        is_known = space == f"{{{NAMESPACE}" and name in KEPT
        if not self._open and (not is_known or name != "svg"):
            raise refused("an SVG file", f"an element {name!a:.30}")
        if self._left_out or not is_known or self._style is not None:
            self._left_out += 1
            if name not in _SILENT and self._left_out == 1:
                self.removed.add(f"the element {name[:30]}" if _NAME.match(name) else "an element")
            return
        if not self._open:
            self.size = _size(attributes)
        self._open.append(name)
        self._weights.append(_Weight(attributes.get("id", ""), 1))
        if name == "style":
            self._style = []
            return
        root = f' xmlns="{NAMESPACE}"' if len(self._open) == 1 else ""
        kept = "".join(f" {name}={quoteattr(value)}" for name, value in self._kept(attributes))
        self.parts.append(f"<{name}{root}{kept}>")

    def end(self, _tag: str) -> None:
        """An element ends."""
        if self._left_out:
            self._left_out -= 1
            return
        name, weight = self._open.pop(), self._weights.pop()
        if weight.ident:
            self._used.setdefault(weight.ident, weight)
        self._weights[-1].take(weight)
        if self._style is None:
            self.parts.append(f"</{name}>")
            return
        said, self._style = "".join(self._style), None
        if _is_harmless(said) and "<" not in said:
            self.parts.append(f"<style>{escape(said)}</style>")
        else:
            self.removed.add("a style that loads something")

    def data(self, text: str) -> None:
        """Text of an element."""
        if self._left_out or not self._open:
            return
        if self._style is not None:
            self._style.append(text)
        else:
            self.parts.append(escape(text))

    def close(self) -> None:
        """The file has ended: what is drawn is counted."""
        drawn: dict[str, int] = {}

        def count(weight: _Weight, within: frozenset[str]) -> int:
            total = weight.elements
            for ident in weight.uses:
                if ident in within or len(within) > MAX_DEPTH:
                    raise refused("a drawing whose parts do not use themselves", f"{ident!a:.40}")
                if ident not in drawn and ident in self._used:
                    drawn[ident] = count(self._used[ident], within | {ident})
                total += drawn.get(ident, 0)
                if total > MAX_DRAWN:
                    raise refused(f"at most {MAX_DRAWN:,} elements that are drawn", "more")
            return total

        count(self._weights[0], frozenset())

    def _kept(self, attributes: dict[str, str]) -> Iterator[tuple[str, str]]:
        target = attributes.get("href", attributes.get(_XLINK_HREF, "")).strip()
        if target.startswith("#"):
            self._weights[-1].uses.append(target[1:])
            yield "href", target
        elif target:
            self.removed.add("a link")
        for name, value in attributes.items():
            if name in ("href", _XLINK_HREF):
                continue
            if "}" in name or not _NAME.match(name):
                continue  # of another vocabulary: it shows nothing
            elif name.lower().startswith("on"):
                self.removed.add("a handler")
            elif not _is_harmless(value):
                self.removed.add(f"the attribute {name[:30]}")
            else:
                self._weights[-1].uses.extend(_REFERENCE.findall(value))
                yield name, value


def _is_harmless(text: str) -> bool:
    """Whether a value or a style names nothing outside of the drawing; a backslash would hide words of CSS."""
    if "\\" in text or "@" in text or "/*" in text or _LOADING.search(text):
        return False
    return all(found[1] == "#" for found in _URL.finditer(text))


def _size(attributes: dict[str, str]) -> tuple[int, int]:
    """Width and height: of the attributes, else of the view box."""
    said = [_NUMBER.match(attributes.get(each, "")) for each in ("width", "height")]
    if all(said):
        width, height = (float(each[1]) for each in said if each)
    else:
        box = attributes.get("viewBox", "").replace(",", " ").split()
        numbers = [_NUMBER.match(each) for each in box[2:4]]
        if len(box) != 4 or not all(numbers):
            return _DEFAULT
        width, height = (float(each[1]) for each in numbers if each)
    return max(1, round(min(width, 1e6))), max(1, round(min(height, 1e6)))

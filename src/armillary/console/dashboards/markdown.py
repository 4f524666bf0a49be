# SPDX-License-Identifier: Apache-2.0
"""A small part of Markdown as HTML, for the text tiles of dashboards: nothing that a text says becomes markup.

Headings (``#`` to ``###``), paragraphs, ``-`` and ``1.`` lists, ``**bold**``, ``*slanted*``, ```code```, and
``[words](address)`` where the address is http(s) or a path of this console. A line stays a
line. Every other character is shown as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from markupsafe import Markup, escape

_INLINE = re.compile(
    r"`(?P<code>[^`]+)`"
    r"|\*\*(?P<strong>[^*]+)\*\*"
    r"|\*(?P<slanted>[^*\s](?:[^*]*[^*\s])?)\*"
    r"|\[(?P<words>[^\]\[]+)\]\((?P<address>https?://[^\s()<>\"]+|/(?![/\\])[^\s()<>\"\\]*)\)"
)
_HEADING = re.compile(r"(#{1,3})\s+(.+)")
_BULLET = re.compile(r"[-*]\s+(.+)")
_NUMBERED = re.compile(r"\d{1,3}[.)]\s+(.+)")


def markdown(text: str, *, top: int = 2) -> Markup:
    """``text`` as HTML; its largest headings are of level ``top``, and no level is left out."""
    lines = [_line(line.strip()) for line in text.replace("\r\n", "\n").split("\n")]
    marks = sorted({kind for kind, _ in lines if kind.startswith("#")})
    names = {mark: f"h{top + at}" for at, mark in enumerate(marks)}
    return Markup("\n").join(_blocks([(names.get(kind, kind), said) for kind, said in lines]))


def _blocks(lines: list[tuple[str, str]]) -> Iterator[Markup]:
    kind, held = "", list[str]()
    for now, said in (*lines, ("", "")):
        if held and now != kind:
            yield _block(kind, held)
            held = []
        kind = now
        if now.startswith("h"):
            yield _block(now, [said])
        elif now:
            held.append(said)


def _line(line: str) -> tuple[str, str]:
    """What a line is (``#`` to ``###``, ul, ol, p or "" between paragraphs), and what it says."""
    if not line:
        return "", ""
    if heading := _HEADING.fullmatch(line):
        return heading[1], heading[2]
    if bullet := _BULLET.fullmatch(line):
        return "ul", bullet[1]
    if numbered := _NUMBERED.fullmatch(line):
        return "ol", numbered[1]
    return "p", line


def _block(kind: str, held: list[str]) -> Markup:
    if kind in ("ul", "ol"):
        items = Markup("").join(Markup("<li>{}</li>").format(_inline(each)) for each in held)
        return Markup("<{0}>{1}</{0}>").format(Markup(kind), items)  # noqa: S704 - one of two words
    return Markup("<{0}>{1}</{0}>").format(Markup(kind), Markup("<br>").join(map(_inline, held)))  # noqa: S704 - p or a heading


def _inline(text: str) -> Markup:
    made, at = Markup(""), 0
    for found in _INLINE.finditer(text):
        made += escape(text[at : found.start()])
        at = found.end()
        if found["code"]:
            made += Markup("<code>{}</code>").format(found["code"])
        elif found["strong"]:
            made += Markup("<strong>{}</strong>").format(found["strong"])
        elif found["slanted"]:
            made += Markup("<em>{}</em>").format(found["slanted"])
        else:
            made += Markup('<a href="{}" rel="noreferrer">{}</a>').format(found["address"], found["words"])
    return made + escape(text[at:])

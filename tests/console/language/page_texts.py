# SPDX-License-Identifier: Apache-2.0
"""The texts of a page that the console says itself, and its pages: each address that a link leads to, once a kind."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urldefrag

from tests.console.plain_browser import Browser

# Elements whose text is the console's, never a value or a name alone.
SAID = frozenset(("title", "h1", "h2", "h3", "button", "label", "legend", "summary", "dt", "th", "p", "option"))
# Classes of elements that say something, whatever they are.
SAYING = frozenset(("hint", "quiet", "none", "unit", "state", "wrong"))
# What is in these is a value, code, or in a language of its own.
PASSED = frozenset(("script", "style", "code", "pre", "kbd", "textarea", "svg", "template", "datalist", "td"))
ATTRIBUTES = ("aria-label", "placeholder", "data-label")
_EMPTY = frozenset(("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"))


@dataclass
class PageTexts(HTMLParser):
    """Reads a page: its texts in order, and its links."""

    texts: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    language: str = ""

    def __post_init__(self) -> None:
        super().__init__()
        self._open: list[tuple[str, bool, bool]] = []  # element, is said, is passed over

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "html":
            self.language = given.get("lang", "")
        if tag == "a" and "download" not in given:
            self.links.append(given.get("href", ""))
        classes = frozenset(given.get("class", "").split())
        _, said, passed = self._open[-1] if self._open else ("", False, False)
        passed = passed or tag in PASSED or (tag != "html" and "lang" in given) or given.get("scope") == "row"
        passed = passed or bool(classes & {"mono", "command", "prose"})
        said = said or tag in SAID or bool(classes & SAYING)
        if not passed or tag == "td":
            self.texts += [given[name] for name in ATTRIBUTES if given.get(name)]
        if tag not in _EMPTY:
            self._open.append((tag, said, passed))

    def handle_endtag(self, tag: str) -> None:
        while self._open and any(each[0] == tag for each in self._open):
            if self._open.pop()[0] == tag:
                return

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1][1] and not self._open[-1][2] and (text := " ".join(data.split())):
            self.texts.append(text)


def read(text: str) -> PageTexts:
    """A page that was read."""
    page = PageTexts()
    page.feed(text)
    return page


def walked(
    browser: Browser, begin: Sequence[str], kinds: Sequence[tuple[str, re.Pattern[str]]]
) -> Iterator[tuple[str, str, PageTexts]]:
    """The first page of each kind that a link leads to: (kind, address, page)."""
    waiting, known = list(begin), set[str]()
    while waiting:
        href = waiting.pop(0)
        path = href.partition("?")[0]
        kind = next((name for name, pattern in kinds if pattern.fullmatch(path)), "")
        if not kind or kind in known:
            continue
        answer = browser.get(href)
        if answer.status != 200 or not answer.headers["content-type"].startswith("text/html"):
            continue
        known.add(kind)
        page = read(answer.text)
        waiting += [
            each for link in page.links if (each := urldefrag(link)[0]).startswith("/") and "export=" not in each
        ]
        yield kind, href, page

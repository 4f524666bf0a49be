# SPDX-License-Identifier: Apache-2.0
"""Text tiles: the small Markdown, and that no text becomes markup of its own."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given, strategies as st

from armillary.console.dashboards.markdown import markdown

ALLOWED = {"h2", "h3", "h4", "h5", "p", "ul", "ol", "li", "strong", "em", "code", "a", "br"}


class Seen(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.addresses: list[str] = []
        self.names: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.names |= {name for name, _ in attributes}
        self.addresses += [value or "" for name, value in attributes if name == "href"]

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("# Shift\nCall **Ada**\nfirst.", "<h2>Shift</h2>\n<p>Call <strong>Ada</strong><br>first.</p>"),
        ("## One\n### Two", "<h2>One</h2>\n<h3>Two</h3>"),
        ("# One\n### Two", "<h2>One</h2>\n<h3>Two</h3>"),
        ("- a\n- *b*\n\nend", "<ul><li>a</li><li><em>b</em></li></ul>\n<p>end</p>"),
        ("1. a\n2. `<b>`", "<ol><li>a</li><li><code>&lt;b&gt;</code></li></ol>"),
        ("[fleet](/fleet)", '<p><a href="/fleet" rel="noreferrer">fleet</a></p>'),
        ("[x](javascript:alert(1))", "<p>[x](javascript:alert(1))</p>"),
        ("[x](//elsewhere.example)", "<p>[x](//elsewhere.example)</p>"),
        ('[x](https://a.example/"onmouseover=1)', "<p>[x](https://a.example/&#34;onmouseover=1)</p>"),
        ("<script>alert(1)</script>", "<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>"),
        ("2 * 3 * 4", "<p>2 * 3 * 4</p>"),
        ("", ""),
    ],
)
def test_what_is_written_becomes(text: str, html: str):
    assert markdown(text) == html


@given(st.text(alphabet=st.sampled_from("ab#-*`[]()<>&\"'/\\ \n1.:hjpst"), max_size=80))
def test_no_text_becomes_markup_of_its_own(text: str):
    seen = Seen()
    seen.feed(str(markdown(text)))
    seen.close()
    assert seen.tags <= ALLOWED
    assert seen.names <= {"href", "rel"}
    assert all(
        address.startswith(("https://", "http://", "/")) and address[:2] not in ("//", "/\\")
        for address in seen.addresses
    )

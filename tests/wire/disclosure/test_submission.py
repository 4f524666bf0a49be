# SPDX-License-Identifier: Apache-2.0
"""Reports of strangers: any text becomes visible and is kept, nothing of it is lost, and little is refused."""

from __future__ import annotations

import contextlib
from dataclasses import asdict
from urllib.parse import urlencode

import pytest
from hypothesis import given, strategies as st

from armillary.errors import InvalidArgumentError
from armillary.wire.disclosure.submission import (
    EXPLOITED,
    LIMITS,
    Submission,
    decode,
    encode,
    read_fields,
    read_form,
    visible,
)
from armillary.wire.text.given_text import unseen

GOOD = {"title": "Overflow", "description": "Send 65,536 bytes."}


@given(title=st.text(max_size=20), description=st.text(max_size=100), contact=st.text(max_size=20))
def test_any_text_is_shown_and_kept_or_refused_as_empty(title: str, description: str, contact: str) -> None:
    given_fields = {"title": f"x{title}", "description": f"x{description}", "contact": contact}
    found = read_fields(given_fields)
    assert not unseen(found.title)
    assert not unseen(found.contact)
    assert not unseen(found.description, lines=True)
    assert decode(encode(found)) == found
    assert encode(found).decode()


@given(st.text(max_size=50))
def test_what_is_visible_stays_and_what_is_not_is_written_out(text: str) -> None:
    shown = visible(text)
    assert not unseen(shown)
    if not unseen(text):
        assert shown == text
    assert [each for each in text if not unseen(each)] == [each for each in text if each in shown]


def test_line_ends_stay_in_the_description_alone() -> None:
    found = read_fields({"title": "a\r\nBcc: b@example.com", "description": "a\r\nb\rc\x00\u202e"})
    assert found.title == "a\\r\\nBcc: b@example.com"
    assert found.description == "a\nb\nc\\x00\\u202e"
    assert found.exploited == "unknown"


def test_a_form_is_read_as_its_fields() -> None:
    fields = {**GOOD, "exploited": "yes", "contact": "grüße@example.com", "publication": "in March"}
    assert read_form(urlencode(fields).encode()) == read_fields(fields)
    assert asdict(read_form(urlencode(GOOD).encode()))["title"] == "Overflow"


@pytest.mark.parametrize("word", ["", *EXPLOITED])
def test_whether_it_is_exploited_is_one_of_three(word: str) -> None:
    assert read_fields({**GOOD, "exploited": word}) == Submission(**GOOD, exploited=word or "unknown")


@pytest.mark.parametrize(
    "wrong",
    [
        {"title": "x"},
        {"description": "x"},
        {**GOOD, "title": " \t "},
        {**GOOD, "reward": "yes"},
        {**GOOD, "exploited": "maybe"},
        *({**GOOD, name: "x" * (limit + 1)} for name, limit in LIMITS.items()),
        {**GOOD, "title": "\x00" * 60},  # 240 characters, written out
    ],
)
def test_what_is_no_report_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(InvalidArgumentError) as refused:
        read_fields(wrong)
    assert refused.value.remedy


@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        b"\xff",
        b"title=%ff&description=x",
        b"title=a&title=b&description=x",
        b"title",
        b"&".join(b"a%d=x" % number for number in range(30)),
        b'{"title": "x"}',
    ],
)
def test_what_is_no_form_is_refused(wrong: bytes) -> None:
    with pytest.raises(InvalidArgumentError):
        read_form(wrong)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_report_or_refused(content: bytes) -> None:
    with contextlib.suppress(InvalidArgumentError):
        assert read_form(content).title

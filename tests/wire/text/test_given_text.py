# SPDX-License-Identifier: Apache-2.0
"""Names are one line that can be seen and descriptions several; what was kept before the rule stays."""

from __future__ import annotations

import pytest

from armillary.errors import InvalidArgumentError
from armillary.wire.text.given_text import check_given, check_given_name, check_given_text

UNSEEN = ("\u202e", "\u200b", "\ufeff", "\u2028", "\x00", "\x07", "\x7f", "\x85", "\ud800")


@pytest.mark.parametrize("each", UNSEEN, ids=ascii)
def test_what_cannot_be_seen_is_in_no_name_and_no_description(each: str) -> None:
    with pytest.raises(InvalidArgumentError, match=f"U\\+{ord(each):04X}"):
        check_given_name(f"a{each}b", "name")
    with pytest.raises(InvalidArgumentError, match=f"U\\+{ord(each):04X}"):
        check_given_text(f"a{each}b", "description")


@pytest.mark.parametrize("each", ["", " ", "   ", "a\nb", "a\tb"], ids=ascii)
def test_a_name_is_one_line_that_is_not_blank(each: str) -> None:
    with pytest.raises(InvalidArgumentError, match="group name"):
        check_given_name(each, "group name")


def test_what_people_write_is_taken() -> None:
    for name in ("Kühlhaus 2, Nord", "冷凍庫", "a < b & 'c'", "🧊 1"):
        assert check_given_name(name, "name") == name
    for text in ("", "one\r\n\ttwo", "a\u00a0b"):
        assert check_given_text(text, "description") == text


def test_every_name_in_a_document_is_looked_at_unless_it_was_kept_already() -> None:
    for body in (
        {"name": " "},
        {"display_name": "a\u202eb"},
        {"description": "a\x07"},
        {"name": "a", "tiles": [{"title": "fine"}, {"title": "a\u200b"}]},
        {"name": "a", "actions": [{"name": " "}]},
        {"name": "a", "views": [{"name": "\ufeff"}]},
    ):
        with pytest.raises(InvalidArgumentError, match=r"^rule\."):
            check_given(body, "rule")
        check_given(body, "rule", kept=body)
    check_given({"name": "a", "description": "b\nc", "tiles": [{"title": ""}, "no object"], "views": 3}, "rule")

# SPDX-License-Identifier: Apache-2.0
"""Names of devices: which there may be, and what each is found by."""

from __future__ import annotations

import pytest

from armillary.errors import InvalidArgumentError
from armillary.wire.text.device_name import MAX_KEY_CHARACTERS, MAX_WORDS, check_name, default_name, id_prefix, tails_of


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("  Freezer 2 ", "Freezer 2"),
        ("Ku\u0308hlraum", "K\u00fchlraum"),  # normal form C
        ("冷凍庫", "冷凍庫"),
        ("", ""),
        ("n" * 128, "n" * 128),
        ("=HYPERLINK(1)", "=HYPERLINK(1)"),  # whoever writes CSV makes it inert
    ],
)
def test_names_that_there_may_be(given: str, kept: str) -> None:
    assert check_name(given) == kept


@pytest.mark.parametrize(
    "given", ["n" * 129, "a\nb", "a\x00b", "a\u202eb", "a\u200bb", "tab\there", "\ud800", "A1" * 64]
)
def test_names_that_there_may_not_be(given: str) -> None:
    with pytest.raises(InvalidArgumentError, match="device name"):
        check_name(given)


def test_a_name_is_found_from_each_of_its_words_on() -> None:
    assert tails_of("Freezer 2, North-Hall") == (
        "freezer 2, north-hall", "2, north-hall", "north-hall", "hall",
    )  # fmt: skip
    assert tails_of("\uff26\u0131re STRASSE ﬁx")[0].startswith("f")  # full width and ligatures are folded
    assert tails_of("Straße") == tails_of("STRASSE")
    assert tails_of("") == ()
    assert len(tails_of("a " * 64)) <= MAX_WORDS
    assert all(len(each) <= MAX_KEY_CHARACTERS for each in tails_of("\ufdfa" * 128))  # one that folds into 18


def test_what_a_device_without_a_name_is_called() -> None:
    assert default_name("0a1b2c3d" + "0" * 120, product="Coffee", chip="MT3620AN") == "Coffee 0a1b2c3d"
    assert default_name("0a1b2c3d" + "0" * 120, product=".default", chip="MT3620AN") == "MT3620AN 0a1b2c3d"
    assert default_name("0a1b2c3d" + "0" * 120, product=None, chip="") == "0a1b2c3d"


def test_digits_that_an_id_may_begin_with() -> None:
    assert id_prefix("0A1b") == "0a1b"
    assert id_prefix("fridge") is None
    assert id_prefix("") is None

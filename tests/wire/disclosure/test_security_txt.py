# SPDX-License-Identifier: Apache-2.0
"""``security.txt`` as RFC 9116 has it: what is built is read again, what is not as it should be is refused."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, strategies as st

from armillary.errors import InvalidArgumentError
from armillary.wire.disclosure.security_txt import MAX_BYTES, URI_FIELDS, SecurityTxt, build, parse

GOOD = b"Contact: mailto:a@example.com\nExpires: 2027-05-28T00:00:00Z\n"
URIS = st.lists(
    st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=40), max_size=4
).map(lambda texts: tuple(f"https://{each}" for each in texts))
LANGUAGES = st.lists(st.from_regex(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})?", fullmatch=True), max_size=5).map(tuple)


@given(
    expires=st.integers(1, 253_402_300_799),
    contacts=URIS.filter(bool),
    languages=LANGUAGES,
    others=st.fixed_dictionaries({name: URIS for name in URI_FIELDS.values() if name != "contacts"}),
)
def test_what_is_built_is_read_again(
    expires: int, contacts: tuple[str, ...], languages: tuple[str, ...], others: dict[str, tuple[str, ...]]
) -> None:
    fields = SecurityTxt(expires=expires, contacts=contacts, languages=languages, **others)
    assert parse(build(fields).encode()) == fields


def test_the_form_of_a_file() -> None:
    fields = SecurityTxt(
        expires=1_811_548_800, contacts=("mailto:s@example.com", "https://example.com/report"), languages=("en", "de")
    )
    assert build(fields).splitlines()[1:] == [
        "Contact: mailto:s@example.com",
        "Contact: https://example.com/report",
        "Expires: 2027-05-29T00:00:00Z",
        "Preferred-Languages: en, de",
    ]


def test_case_line_ends_comments_and_unknown_fields_change_nothing() -> None:
    text = GOOD.replace(b"\n", b"\r\n").replace(b"Contact", b"contact") + b"# x\r\n\r\nColour: red\r\n"
    assert parse(text) == parse(GOOD)
    assert not parse(text).is_signed


SIGNED = (
    b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n- " + GOOD + b"-----BEGIN PGP SIGNATURE-----\n\n"
    b"iHUEARYKAB0=\n-----END PGP SIGNATURE-----\n"
)


def test_a_signed_file_is_read_between_its_armour() -> None:
    assert parse(SIGNED) == parse(GOOD)
    assert parse(SIGNED).is_signed


@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        b"Contact: mailto:a@example.com\n",
        b"Expires: 2027-05-28T00:00:00Z\n",
        GOOD + b"Expires: 2027-05-28T00:00:00Z\n",
        GOOD + b"Preferred-Languages: en\nPreferred-Languages: de\n",
        GOOD + b"Preferred-Languages: e\n",
        GOOD + b"Contact: http://example.com/\n",
        GOOD + b"Contact: javascript:alert(1)\n",
        GOOD + b"Contact: mailto:a@example.com Bcc: b@example.com\n",
        GOOD + b"Policy: ftp://example.com\n",
        GOOD + b"a line\n",
        GOOD + b"Policy:\n",
        GOOD + "Policy: https://ex\u202eample.com\n".encode(),
        GOOD + b"\xff\n",
        GOOD + b"Contact: https://e/" + b"x" * 500 + b"\n",
        GOOD + b"Contact: mailto:a@example.com\n" * 16,
        GOOD.replace(b"2027-05-28T00:00:00Z", b"soon"),
        GOOD.replace(b"2027-05-28T00:00:00Z", b"2027-05-28T00:00:00"),
        GOOD.replace(b"2027-05-28T00:00:00Z", b"0001-01-01T00:00:00+23:59"),
        SIGNED.partition(b"-----BEGIN PGP SIGNATURE")[0],
        b"#" * (MAX_BYTES + 1),
    ],
)
def test_what_is_not_as_it_should_be_is_refused(wrong: bytes) -> None:
    with pytest.raises(InvalidArgumentError) as refused:
        parse(wrong)
    assert "security.txt" in refused.value.message


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    for each in (content, GOOD + content, SIGNED + content):
        with contextlib.suppress(InvalidArgumentError):
            assert parse(each).contacts

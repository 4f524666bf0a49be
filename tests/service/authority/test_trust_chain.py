# SPDX-License-Identifier: Apache-2.0
"""From whichever store a device has, it comes to the newest: each step signed by a key it trusts, none too early."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

import pytest
from hypothesis import given, strategies as st

from armillary.engines.records.schema.update_rows import TrustPackage, TrustStoreRow
from armillary.service.authority.trust_chain import Signed, TrustBook, Trusts, book_of, takes

NOWHERE = b"\0" * 32


def row(number: int, trusted: Mapping[str, tuple[str, ...]], signers: str = "", kind: str = "keys") -> TrustStoreRow:
    packages = tuple(
        TrustPackage(image_id=uuid.UUID(int=number), size=1, sha256=signer.encode(), signed_by=signer)
        for signer in signers.split()
    )
    return TrustStoreRow(
        kind=kind, number=number, trusted=trusted, digest=digest_of(number), created_at=0, packages=packages
    )


def keys(number: int, os: str, images: str = "i1", signers: str = "") -> TrustStoreRow:
    return row(number, {"os": tuple(os.split()), "images": tuple(images.split())}, signers)


def digest_of(number: int) -> bytes:
    return bytes([number + 1]) * 32


def asked(book: TrustBook, number: int, signed: Signed | None, roots: bytes = NOWHERE) -> tuple[int, str, bool] | None:
    """What a device which has store ``number`` is offered: number of a store, who signed its package, whether alone."""
    found = book.next_store(Trusts(digest_of(number), roots), signed)
    return None if found is None else (found.image.image_id.int, found.image.sha256.decode(), found.is_alone)


FIRST, SECOND = keys(0, "o1"), keys(1, "o1 o2", "i1 i2", "o1")
DROPPED = book_of([FIRST, keys(1, "o1 o2", "i1 i2"), keys(2, "o2", "i2", "o1 o2")])
NEW, OLD = Signed("o2", frozenset({"i2"})), Signed("o1", frozenset({"i1"}))


@pytest.mark.parametrize("signed", [None, OLD, NEW])
def test_a_store_that_drops_nothing_comes_first_and_alone(signed: Signed | None) -> None:
    assert asked(book_of([FIRST, SECOND]), 0, signed) == (1, "o1", True)


@pytest.mark.parametrize("at", [0, 1])
def test_a_store_that_drops_a_key_comes_with_what_its_own_keys_signed_or_not_at_all(at: int) -> None:
    assert asked(DROPPED, at, NEW) == (2, "o1", False)
    assert asked(DROPPED, at, Signed("o2", frozenset())) == (2, "o1", False)
    assert asked(DROPPED, at, Signed("o1", frozenset({"i2"}))) is None, "its OS is signed by the dropped key"
    assert asked(DROPPED, at, Signed("o2", frozenset({"i1", "i2"}))) is None, "an application is"
    assert asked(DROPPED, at, None) is None, "something on it is not known"


def test_who_has_the_newest_or_keys_of_somebody_else_is_offered_none() -> None:
    assert asked(DROPPED, 2, NEW) is None
    assert DROPPED.next_store(Trusts(NOWHERE, NOWHERE), NEW) is None


def test_a_package_that_is_signed_by_a_key_which_the_device_does_not_trust_is_not_offered() -> None:
    assert asked(book_of([FIRST, keys(1, "o1 o2", signers="o2")]), 0, OLD) is None
    assert asked(book_of([FIRST, keys(1, "o1 o2", signers="o1 o2")]), 0, OLD) is not None, "positive control"


def test_the_roots_of_the_service_come_after_the_keys_and_only_where_they_differ() -> None:
    roots = [row(0, {"roots": ("r1",)}, kind="roots"), row(5, {"roots": ("r1", "r2")}, "o2", kind="roots")]
    book = book_of([FIRST, SECOND, *roots])
    assert asked(book, 0, None) == (1, "o1", True), "first the keys: o1 does not vouch for the roots"
    assert asked(book, 1, None) == (5, "o2", True)
    assert asked(book, 1, None, roots=digest_of(5)) is None


@pytest.mark.parametrize(
    ("signers", "known", "taken"), [((), "", True), (("a",), "a b", True), (("a", "c"), "a", False)]
)
def test_nothing_is_taken_that_an_unknown_key_signed(signers: tuple[str, ...], known: str, taken: bool) -> None:
    assert takes(signers, frozenset(known.split())) is taken


@st.composite
def histories(draw: st.DrawFn) -> tuple[TrustBook, Signed]:
    """A service's stores after some renewals and drops, and the keys that sign in the end."""
    found, ever = [keys(0, "o0", "i0")], ["o0"]
    for number in range(1, draw(st.integers(1, 6)) + 1):
        trusted = {purpose: list(serials) for purpose, serials in found[-1].trusted.items()}
        signers = list(ever)
        old = {purpose: serials[:-1] for purpose, serials in trusted.items() if len(serials) > 1}
        if old and draw(st.booleans()):
            purpose = draw(st.sampled_from(sorted(old)))
            trusted[purpose].remove(draw(st.sampled_from(old[purpose])))
        else:
            for purpose in draw(st.sampled_from((("os",), ("images",), ("os", "images")))):
                trusted[purpose].append(f"{purpose[0]}{number}")
        found.append(row(number, {p: tuple(s) for p, s in trusted.items()}, " ".join(signers)))
        ever += [one for one in trusted["os"] if one not in ever]
    newest = found[-1].trusted
    return book_of(found), Signed(newest["os"][-1], frozenset({newest["images"][-1]}))


@given(history=histories(), data=st.data())
def test_from_every_store_a_device_comes_to_the_newest(history: tuple[TrustBook, Signed], data: st.DataObject) -> None:
    """What it should have is signed by the keys in force; it takes that once it trusts them."""
    book, signed = history
    at = data.draw(st.integers(0, len(book.keys) - 1))
    here = book.keys[at]
    runs = Signed(here.row.trusted["os"][0], frozenset({here.row.trusted["images"][0]}))
    found = asked(book, at, signed)
    if found is not None:
        number, signer, alone = found
        assert number > at
        assert signer in here.os, "a key that it trusts vouches for the store"
        here = book.keys[number]
        runs = runs if alone else signed
        assert runs.os in here.os, "what it runs boots"
        assert runs.images <= here.images, "and starts"
    assert here is book.keys[-1], "one step, from wherever it was"
    assert takes([signed.os], here.os)
    assert takes(signed.images, here.images)

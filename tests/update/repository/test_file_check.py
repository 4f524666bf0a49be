# SPDX-License-Identifier: Apache-2.0
"""Length and hashes of a file, at once and piece by piece."""

from __future__ import annotations

from hashlib import sha256, sha512

import pytest

from armillary.errors import MismatchError
from armillary.update.repository.file_check import FileCheck, check_file

DATA = b"a release of the kernel"
GOOD = {"sha256": sha256(DATA).hexdigest(), "sha512": sha512(DATA).hexdigest()}


@pytest.mark.parametrize("hashes", [GOOD, {"sha256": GOOD["sha256"]}, {"sha512": GOOD["sha512"]}, None])
def test_the_file_is_taken_whole_and_in_pieces(hashes: dict[str, str] | None):
    assert check_file("kernel", DATA, length=len(DATA), hashes=hashes) == DATA
    check = FileCheck("kernel", length=len(DATA), hashes=hashes)
    assert b"".join(check.update(DATA[at : at + 5]) for at in range(0, len(DATA), 5)) == DATA
    check.finish()


@pytest.mark.parametrize("word", ["sha256", "sha512"])
def test_every_hash_that_is_known_has_to_match(word: str):
    with pytest.raises(MismatchError, match=f"kernel: expected {word}"):
        check_file("kernel", DATA, length=None, hashes={**GOOD, word: "00" * 32})


def test_too_many_bytes_are_refused_before_the_end():
    check = FileCheck("kernel", length=4, hashes=None)
    check.update(b"1234")
    with pytest.raises(MismatchError, match="expected 4 bytes, got more"):
        check.update(b"5")


def test_too_few_bytes_are_refused_at_the_end():
    with pytest.raises(MismatchError, match="expected 24 bytes, got 23"):
        check_file("kernel", DATA, length=24, hashes=None)


@pytest.mark.parametrize("hashes", [{"md5": "00" * 16}, {"crc32": "0"}, {"SHA256": GOOD["sha256"]}])
def test_a_file_with_weak_or_unknown_hashes_only_is_refused(hashes: dict[str, str]):
    with pytest.raises(MismatchError, match="expected a hash of sha256 or sha512"):
        check_file("kernel", DATA, length=len(DATA), hashes=hashes)


def test_an_unknown_hash_beside_a_known_one_does_no_harm():
    check_file("kernel", DATA, length=None, hashes={"sha256": GOOD["sha256"], "sha9": "00"})

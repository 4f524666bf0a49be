# SPDX-License-Identifier: Apache-2.0
"""Deltas between files."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
from tests.update.delta.pairs import digest, edited, text

from armillary.engines.delta.files import apply_delta, digest_of, write_delta
from armillary.errors import DeltaError
from armillary.wire.update.delta import ArtifactDigest


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    old = text(1, 200_000)
    (tmp_path / "old").write_bytes(old)
    (tmp_path / "new").write_bytes(edited(old, 5, 5))
    return tmp_path / "old", tmp_path / "new"


def test_a_file_is_made_of_another(pair: tuple[Path, Path]) -> None:
    old, new = pair
    data = BytesIO()
    write_delta((digest_of(old), old), (digest_of(new), new), data.write, level=3)
    assert 0 < data.tell() < 40_000
    data.seek(0)
    made = BytesIO()
    with old.open("rb") as source:
        apply_delta((digest_of(old), source), digest_of(new), data, made.write)
    assert made.getvalue() == new.read_bytes()
    assert digest_of(new) == digest(new.read_bytes())


def test_an_empty_file_has_no_delta(pair: tuple[Path, Path], tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.touch()
    for one, other in ((empty, pair[1]), (pair[0], empty)):
        with pytest.raises(DeltaError, match="1 byte and more"):
            write_delta((digest_of(one), one), (digest_of(other), other), BytesIO().write)


def test_a_file_that_changed_after_it_was_measured_is_refused(pair: tuple[Path, Path]) -> None:
    old, new = pair
    measured = digest_of(old)
    with old.open("ab") as file:
        file.write(b"more")
    with pytest.raises(DeltaError, match=f"artifacts of {measured.size} and"):
        write_delta((measured, old), (digest_of(new), new), BytesIO().write)


def test_a_damaged_file_is_refused(pair: tuple[Path, Path]) -> None:
    old, new = pair
    data = BytesIO()
    write_delta((digest_of(old), old), (digest_of(new), new), data.write, level=3)
    for wrong in (data.getvalue()[:-1], data.getvalue() + b"x", b""):
        with old.open("rb") as source, pytest.raises(DeltaError):
            apply_delta((digest_of(old), source), digest_of(new), BytesIO(wrong), lambda _: None)
    target = ArtifactDigest(digest_of(new).size, bytes(32))
    with old.open("rb") as source, pytest.raises(DeltaError, match="expected the target"):
        apply_delta((digest_of(old), source), target, BytesIO(data.getvalue()), lambda _: None)

# SPDX-License-Identifier: Apache-2.0
"""The folder of deltas has a bounded size, forgets what was used longest ago, and loses nothing that matters."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from armillary.engines.delta.cache import DeltaCache
from armillary.errors import DataFolderError

A, B, C = (bytes([number]) * 32 for number in range(3))


@pytest.fixture
def cache(tmp_path: Path) -> DeltaCache:
    cache = DeltaCache(tmp_path / "deltas", limit_bytes=1000)
    cache.prepare()
    return cache


def put(cache: DeltaCache, source: bytes, target: bytes, size: int, *, used: int) -> Path:
    path = cache.path(source, target)
    path.write_bytes(bytes(size))
    os.utime(path, (used, used))
    return path


def test_what_was_used_longest_ago_gives_way(cache: DeltaCache) -> None:
    oldest, older, newest = (put(cache, A, one, 400, used=at) for at, one in ((1, A), (2, B), (3, C)))
    assert cache.find(A, A) == oldest, "used now"
    cache.shrink()
    assert oldest.exists()
    assert newest.exists()
    assert not older.exists()
    cache.shrink()
    assert oldest.exists(), "within its limit nothing goes"


def test_one_larger_than_the_folder_may_be_goes_at_once(cache: DeltaCache) -> None:
    put(cache, A, B, 1001, used=1)
    cache.shrink()
    assert cache.find(A, B) is None


def test_what_is_being_made_is_left_alone(cache: DeltaCache) -> None:
    partial = cache.path(A, B).with_name(cache.path(A, B).name + ".partial")
    partial.write_bytes(bytes(5000))
    cache.shrink()
    assert partial.exists()


def test_deltas_of_an_artifact_that_is_gone_are_forgotten(cache: DeltaCache) -> None:
    put(cache, A, B, 10, used=1)
    put(cache, B, C, 10, used=1)
    kept = put(cache, A, C, 10, used=1)
    cache.forget(B)
    assert (cache.find(A, B), cache.find(B, C), cache.find(A, C)) == (None, None, kept)


def test_a_folder_that_is_gone_is_an_empty_one(tmp_path: Path) -> None:
    cache = DeltaCache(tmp_path / "deltas", limit_bytes=0)
    assert cache.find(A, B) is None
    cache.forget(A)
    cache.prepare()
    cache.prepare()
    cache.shrink()


def test_a_folder_that_cannot_be_made_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "deltas").touch()
    with pytest.raises(DataFolderError, match="deltas cannot be written"):
        DeltaCache(tmp_path / "deltas", limit_bytes=0).prepare()

# SPDX-License-Identifier: Apache-2.0
"""A store is opened once, whoever asks first, and not after it was closed."""

from __future__ import annotations

import threading

import pytest

from armillary.engines.database.on_demand import OnDemand
from armillary.errors import DataFolderError


class Kept:
    """A store that counts how often it is opened and closed."""

    opened = 0

    def __init__(self) -> None:
        type(self).opened += 1
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def store() -> OnDemand[Kept]:
    Kept.opened = 0
    return OnDemand(Kept, lambda: False)


def test_nothing_is_opened_before_somebody_asks(store: OnDemand[Kept]) -> None:
    assert not store.exists
    store.close()
    assert Kept.opened == 0
    assert OnDemand(Kept, lambda: True).exists


def test_many_threads_get_one_store(store: OnDemand[Kept]) -> None:
    found: list[Kept] = []
    start = threading.Barrier(8)

    def ask() -> None:
        start.wait(10)
        found.append(store.get())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(10)
    assert len(found) == 8
    assert len({id(each) for each in found}) == Kept.opened == 1
    assert store.exists


def test_it_is_closed_once_and_not_opened_again(store: OnDemand[Kept]) -> None:
    kept = store.get()
    store.close()
    store.close()
    assert kept.closed == 1
    with pytest.raises(DataFolderError, match="closed"):
        store.get()


def test_what_cannot_be_opened_is_tried_again_by_the_next() -> None:
    faults = [DataFolderError("the disk is full", remedy="Free space.")]

    def open_store() -> Kept:
        if faults:
            raise faults.pop()
        return Kept()

    store = OnDemand(open_store, lambda: False)
    with pytest.raises(DataFolderError, match="full"):
        store.get()
    assert isinstance(store.get(), Kept)

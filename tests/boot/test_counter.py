# SPDX-License-Identifier: Apache-2.0
"""Anti-rollback minimums rise only. When they do: ``tests/update/install/test_starting.py``."""

from __future__ import annotations

from uuid import UUID

import pytest

from armillary.boot.counter import merge_minimums, raise_minimums
from armillary.errors import BootRefusedError
from armillary.wire.attestation.event_log import BootEvent


def events(**versions: int) -> list[BootEvent]:
    return [
        BootEvent(name, {"kernel": 7, "kernel2": 7, "rootfs": 8}[name], UUID(int=1), UUID(int=2), bytes(32), version)
        for name, version in versions.items()
    ]


def test_rises_to_what_was_confirmed():
    assert raise_minimums({7: 1, 4: 9}, events(kernel=3, rootfs=2)) == {
        7: 3,
        8: 2,
        4: 9,
    }


def test_never_falls():
    assert raise_minimums({7: 5}, events(kernel=3)) == {7: 5}


def test_lowest_of_several_components_of_a_type_counts():
    assert raise_minimums({}, events(kernel=3, kernel2=1)) == {7: 1}


def test_stored_record_may_rise_and_not_fall():
    assert merge_minimums({7: 2}, {7: 3, 8: 1}) == {7: 3, 8: 1}
    with pytest.raises(BootRefusedError, match="at least version 2"):
        merge_minimums({7: 2}, {7: 1})
    with pytest.raises(BootRefusedError, match="got 0"):
        merge_minimums({7: 2}, {})


@pytest.mark.parametrize("version", [-1, 32])
def test_impossible_version_is_refused(version: int):
    with pytest.raises(BootRefusedError, match="from 0 to 31"):
        merge_minimums({}, {7: version})

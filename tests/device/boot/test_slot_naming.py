# SPDX-License-Identifier: Apache-2.0
"""When a start names its own slot as the next one, and what becomes of a start that cannot."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from tests.device.boot.slot_machine import DiskFlash
from tests.device.boot.test_slot_choice import NEW, settled
from tests.device.cut_flash import CutFlash

from armillary.device.boot import slot_choice
from armillary.device.boot.slot_choice import SlotChoice
from armillary.device.boot.startup import Startup
from armillary.device.state.journal import Journal
from armillary.errors import ArmillaryError, BootRefusedError, DataFolderError, HostError, RootOfTrustError

STARTED: Any = Startup(
    profile=cast("Any", None),
    configuration=cast("Any", None),
    events=(),
    event_log=b"",
    session=cast("Any", None),
    booted=frozenset(),
    keep_minimums=lambda _minimums: None,
    verify_other=lambda _record: None,
)


class Slots:
    """Firmware that is told which slot is next, and may refuse it."""

    def __init__(self, *, fails: bool) -> None:
        self.fails = fails
        self.named: list[tuple[str, str]] = []

    def start_next(self, slot: str, *, settled: str) -> None:
        self.named.append((slot, settled))
        if self.fails:
            raise HostError("BootNext: Read-only file system", remedy="none")


def boot(slots: Slots, flash: CutFlash, *, on_trial: bool = False) -> Startup:
    record = SimpleNamespace(os_on_trial=on_trial, os_slot=lambda _: "b", settled_os_slot=lambda _: "a")
    choice = SlotChoice(
        cast("Any", slots),
        flash,
        "kernel",
        lambda _: None,
        cast("Any", None),
        Journal(None, lambda: 0),
        lambda _error: None,
    )
    return choice.boot(*cast("Any", (flash, None, None, None, SimpleNamespace(record=record))))


@pytest.mark.parametrize(
    ("error", "on_trial", "is_named"),
    [
        (RootOfTrustError("the TPM does not answer"), False, True),
        (RootOfTrustError("the TPM does not answer"), True, False),
        (BootRefusedError("check (3)", remedy="none"), False, False),
        (BootRefusedError("check (3)", remedy="none"), True, False),
    ],
)
@pytest.mark.parametrize("fails", [False, True])
def test_a_start_that_fails_names_its_slot_only_where_its_os_is_settled_and_not_to_blame(
    monkeypatch: pytest.MonkeyPatch, error: ArmillaryError, on_trial: bool, is_named: bool, fails: bool
) -> None:
    def start_up(*_: object) -> Startup:
        raise error

    monkeypatch.setattr(slot_choice, "start_up", start_up)
    slots = Slots(fails=fails)
    with pytest.raises(type(error)) as raised:
        boot(slots, CutFlash({}), on_trial=on_trial)
    assert raised.value is error, "what failed is said, and not what came of it"
    assert bool(slots.named) is is_named


def test_a_start_names_its_slot_and_what_hinders_it_is_a_fault_of_the_machine_that_stops_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Failing(CutFlash):
        def remove(self, region: str) -> None:
            raise DataFolderError(f"{region}: Input/output error")

    monkeypatch.setattr(slot_choice, "start_up", lambda *_: STARTED)
    good = Slots(fails=False)
    assert boot(good, CutFlash({})) == STARTED
    assert good.named == [("b", "a")]
    for slots, flash, reason in (
        (Slots(fails=True), CutFlash({}), "Read-only file system"),
        (Slots(fails=False), Failing({}), "Input/output error"),
    ):
        fault = boot(slots, flash).fault
        assert fault.startswith("the next start may be of the other slot: ")
        assert fault.endswith(reason)


def test_what_was_read_wrongly_is_read_again_from_the_medium_and_from_no_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = settled(tmp_path)
    is_cached, sync = [True], DiskFlash.sync

    def from_the_medium(self: DiskFlash, region: str) -> None:
        is_cached[0] &= not region.startswith("boot")
        sync(self, region)

    monkeypatch.setattr(DiskFlash, "sync", from_the_medium)
    machine.misreads = iter(lambda: is_cached[0], None)
    starts = len(machine.firmware.started)
    assert machine.start().os["kernel"] == NEW
    assert machine.firmware.started[starts:] == ["b"]

# SPDX-License-Identifier: Apache-2.0
"""What the firmware started, against what the boot's log names; and that nothing is worked out twice."""

from __future__ import annotations

import dataclasses

import pytest
from tests.attest.test_appraise import GOOD as COMPONENTS
from tests.attest.test_firmware_reference import APPLICATION, BOOT, GOOD, changed, digest, firmware

from armillary.attest import started_systems
from armillary.attest.firmware_reference import EVENT, FINAL, LOADER_PCR, measured
from armillary.attest.started_systems import StartedSystems

EVENTS = [component.event for component in COMPONENTS]
PACKAGE = EVENTS[0].digest
ENDS = next(value.digest for value in measured(GOOD) if (value.kind, value.pcr) == (FINAL, LOADER_PCR))
STARTED, OTHER = (EVENT, digest("boot loader")), (EVENT, digest("another loader"))


@pytest.mark.parametrize(
    "loaders", [(STARTED,), (OTHER, STARTED), ((FINAL, ENDS),), ((FINAL, digest("b")), (FINAL, ENDS))]
)
def test_one_of_the_measurements_that_are_known_of_a_package_is_enough(loaders: tuple[tuple[str, bytes], ...]) -> None:
    assert StartedSystems({PACKAGE: loaders}).fault(GOOD, EVENTS) == ""


@pytest.mark.parametrize(
    "loaders", [(OTHER,), ((FINAL, digest("boot loader")),), ((EVENT, ENDS),), ((EVENT, digest("firmware")),)]
)
def test_a_package_that_was_not_started_is_named(loaders: tuple[tuple[str, bytes], ...]) -> None:
    said = StartedSystems({PACKAGE: loaders}).fault(GOOD, EVENTS)
    assert said.startswith(f"PCR 4 (boot loader): the firmware did not start the {EVENTS[0].component} ")


def test_an_older_os_that_measures_the_loader_of_a_newer_one_is_found() -> None:
    """Whoever runs can extend PCR 4, and write it in the log: what was measured before stays."""
    newer = (EVENT, digest("newer loader"))
    extended = firmware(*BOOT, (4, APPLICATION, "newer loader"))
    loaders = {PACKAGE: (newer,), digest("older package"): (STARTED,)}
    assert "another release" in StartedSystems(loaders).fault(extended, EVENTS)
    assert StartedSystems(loaders | {PACKAGE: (newer, STARTED)}).fault(extended, EVENTS) == "", "both bring it"
    alone = StartedSystems({PACKAGE: (newer,)})
    assert alone.fault(extended, EVENTS) == "", "control: without the older release nobody knows that loader"


def test_nothing_is_said_of_packages_of_which_nothing_is_known() -> None:
    assert StartedSystems({}).fault(GOOD, EVENTS) == ""
    assert StartedSystems({PACKAGE: ()}).fault(GOOD, EVENTS) == "", "no firmware starts it"
    assert StartedSystems({digest("another package"): (OTHER,)}).fault(GOOD, EVENTS) == ""
    assert StartedSystems({PACKAGE: (OTHER,)}).fault(GOOD, []) == "", "the log of the boot fails a step of its own"


def test_a_log_that_does_not_replay_is_a_fault_and_is_not_kept() -> None:
    systems = StartedSystems({PACKAGE: (STARTED,)})
    broken = dataclasses.replace(GOOD, log=changed("boot loader", "another loader").log)
    assert "PCR 4" in systems.fault(broken, EVENTS)
    assert systems.fault(GOOD, EVENTS) == ""


def test_machines_with_equal_values_are_worked_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    systems = StartedSystems({PACKAGE: (STARTED,)})
    assert systems.fault(GOOD, EVENTS) == ""
    monkeypatch.setattr(started_systems, "measured", None)
    assert systems.fault(GOOD, EVENTS) == ""
    monkeypatch.undo()
    monkeypatch.setattr(started_systems, "MAX_KNOWN", 2)
    for name in "abcd":
        assert systems.fault(changed("boot loader", name), EVENTS) != ""
    assert len(systems._known) == 2

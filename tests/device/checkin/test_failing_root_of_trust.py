# SPDX-License-Identifier: Apache-2.0
"""A root of trust that fails while the device runs, as a TPM that dies: the service hears of it, once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.device.rig import Rig
from tests.fixtures.waiting import until

from armillary.device.checkin import checkin
from armillary.device.checkin.proof import Proof, build_proof
from armillary.device.state.reports import FAULT
from armillary.engines.flash.file import FileFlash
from armillary.errors import DataFolderError, RootOfTrustError

pytestmark = pytest.mark.anyio

SAID = "TPM device:/dev/tpmrm0: IO failure"


class DyingTpm:
    """Signs nothing while it is dead."""

    def __init__(self) -> None:
        self.is_dead = False

    def build_proof(self, **given: Any) -> Proof:
        if self.is_dead:
            raise RootOfTrustError(SAID, remedy="Check that the TPM answers.")
        return build_proof(**given)


@pytest.fixture
def tpm(monkeypatch: pytest.MonkeyPatch) -> DyingTpm:
    made = DyingTpm()
    monkeypatch.setattr(checkin, "build_proof", made.build_proof)
    return made


async def fails(rig: Rig, tpm: DyingTpm) -> None:
    """It dies, and the device has tried some more times to check in."""
    before = len(rig.events("check-in-failed"))
    tpm.is_dead = True
    assert rig.device is not None
    rig.device.check_in_now()
    await until(lambda: len(rig.events("check-in-failed")) >= before + 3, "it is tried again")
    assert {each["code"] for each in rig.events("check-in-failed")} == {RootOfTrustError.code}


def told(rig: Rig) -> list[tuple[str, str, int]]:
    """The reports that have arrived: type, description, count."""
    return [(each.event_type, each.description, each.count) for each in rig.service.reports_seen.values()]


REPORT = (FAULT, f"the root of trust failed while the device ran: {SAID}", 1)


async def test_it_is_reported_once_until_it_works_again(rig: Rig, tpm: DyingTpm) -> None:
    await rig.start()
    await until(lambda: rig.service.checks, "the first check-in")
    for times in (1, 2):
        await fails(rig, tpm)
        tpm.is_dead = False
        await until(lambda wanted=times: told(rig) == [REPORT] * wanted, "the report arrives")


async def test_it_is_reported_after_a_restart_with_one_that_works(rig: Rig, tpm: DyingTpm) -> None:
    await rig.start()
    await until(lambda: rig.service.checks, "the first check-in")
    await fails(rig, tpm)
    await rig.stop()
    assert told(rig) == []
    tpm.is_dead = False
    await rig.start()
    await until(lambda: told(rig) == [REPORT], "the report of the boot before arrives")


async def test_a_flash_that_takes_no_report_hides_no_failure(
    rig: Rig, tpm: DyingTpm, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rig.start()
    await until(lambda: rig.service.checks, "the first check-in")
    write: Callable[[FileFlash, str, bytes], None] = FileFlash.write

    def full(flash: FileFlash, region: str, data: bytes) -> None:
        if region.startswith("device/reports"):
            raise DataFolderError("no space left on device")
        write(flash, region, data)

    with monkeypatch.context() as patch:
        patch.setattr(FileFlash, "write", full)
        tpm.is_dead = True
        assert rig.device is not None
        rig.device.check_in_now()
        await until(lambda: rig.events("check-in-failed"), "the check-in fails")
        assert rig.events("check-in-failed")[0]["code"] == RootOfTrustError.code
    tpm.is_dead = False
    await until(lambda: told(rig) == [REPORT], "the report arrives")

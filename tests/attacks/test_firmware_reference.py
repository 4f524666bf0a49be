# SPDX-License-Identifier: Apache-2.0
"""A machine started by a changed boot loader whose log is honest about it: it replays, its quote is genuine.

Nothing but the reference values of the catalog knows that it is another boot loader; with them taken out the machine is
attested.
"""

from __future__ import annotations

import dataclasses

import pytest
from tests.attacks.test_tpm_quote import device, failing, judge, with_log
from tests.attest.test_firmware_reference import BOOT, GOOD, changed, digest, firmware

from armillary.attest.firmware_reference import FirmwareReference, FirmwareStatement, measured, statable
from armillary.attest.policy import AttestationPolicy, PolicyInForce
from armillary.wire.attestation.firmware_log import FirmwareLog


def stated(*, final: bool = False) -> PolicyInForce:
    reference = FirmwareReference([FirmwareStatement("mt3620", statable(measured(GOOD), final=final))])
    return PolicyInForce(AttestationPolicy(), reference)


def test_the_known_firmware_is_attested():
    """The positive control of every attack below."""
    prover = device()
    for policy in (stated(), stated(final=True), None):
        appraisal = judge(prover, with_log(prover, GOOD), policy=policy)
        assert (appraisal.verdict, failing(appraisal)) == ("attested", {})


ATTACKS = {
    "a changed boot loader": (changed("boot loader", "evil loader"), "PCR 4 (boot loader): event 2 of 2"),
    "changed firmware": (changed("firmware", "evil firmware"), "PCR 0 (firmware): event 1 of 1"),
    "secure boot switched off": (changed("secure boot on", "secure boot off"), "PCR 7 (secure boot rules): event 1"),
    "a second boot loader": (firmware(*BOOT, (4, 0x8000_0003, "evil loader")), "PCR 4 (boot loader): event 3 of 3"),
    "a new option ROM": (firmware(*BOOT, (2, 0x8000_0004, "evil ROM")), "PCR 2 (drivers and option ROMs): event 2"),
    "firmware that measures no boot loader": (
        firmware(*(event for event in BOOT if event[0] != 4)),
        "PCR 4 (boot loader): nothing was measured",
    ),
    "no log at all": (None, "sent no log of its firmware"),
}


@pytest.mark.parametrize("final", [False, True])
@pytest.mark.parametrize("name", ATTACKS)
def test_firmware_that_nobody_stated_gets_only_updates(name: str, final: bool):
    log, named = ATTACKS[name]
    prover = device()
    request_ = with_log(prover, log)
    appraisal = judge(prover, request_, policy=stated(final=final))
    assert appraisal.verdict == "update-only"
    assert list(failing(appraisal)) == [20]
    assert (named.partition(":")[0] if final else named) in failing(appraisal)[20]
    # Without the reference values nothing else stops it: the log replays and the quote is genuine.
    assert judge(prover, request_).verdict == "attested"


def test_without_the_comparison_the_changed_boot_loader_gets_through(monkeypatch: pytest.MonkeyPatch):
    prover = device()
    request_ = with_log(prover, changed("boot loader", "evil loader"))
    assert digest("evil loader").hex() in failing(judge(prover, request_, policy=stated()))[20]
    monkeypatch.setattr(FirmwareReference, "fault", lambda *_: "")
    assert judge(prover, request_, policy=stated()).verdict == "attested"


def test_the_log_of_a_good_machine_beside_a_bad_ones_quote_is_no_help():
    prover = device()
    bad = with_log(prover, changed("boot loader", "evil loader"))
    with_good_log = dataclasses.replace(bad, firmware=GOOD)
    appraisal = judge(prover, with_good_log, policy=stated())
    assert list(failing(appraisal)) == [16]
    assert appraisal.steps[19].detail == "Needs step 16 to pass."
    good_log = FirmwareLog(changed("boot loader", "evil loader").pcr_values, GOOD.log)
    appraisal = judge(prover, dataclasses.replace(bad, firmware=good_log), policy=stated())
    assert "a replay of PCR 4" in failing(appraisal)[20]


@pytest.mark.parametrize("tier", ["simulated", "software"])
def test_a_device_without_a_tpm_is_not_compared(tier: str):
    """Nobody vouches for its word; who wants a TPM demands the tier, or the log."""
    prover = device()
    assert judge(prover, with_log(prover, None), tier=tier, policy=stated()).verdict == "attested"

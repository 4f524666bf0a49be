# SPDX-License-Identifier: Apache-2.0
"""A machine started by a changed boot loader whose log is honest about it: it replays, its quote is genuine.

Nothing but the reference values of the catalog knows that it is another boot loader; with them taken out the machine is
attested.
"""

from __future__ import annotations

import dataclasses

import pytest
from tests.attacks.test_tpm_quote import TPM, device, judge, request
from tests.attest.test_firmware_reference import BOOT, GOOD, changed, digest, firmware
from tests.wire.tpm_samples import quote

from armillary.attest.firmware_reference import FirmwareReference, FirmwareStatement, measured, statable
from armillary.attest.policy import AttestationPolicy, PolicyInForce
from armillary.sim.device.prover import Prover
from armillary.wire.attestation.firmware_log import FirmwareLog
from armillary.wire.attestation.tpm_attestation import BOOT_PCR, FIRMWARE_PCRS, pcr_digest, quote_nonce
from armillary.wire.device.checkin import AppraisalStep, CheckinRequest


def stated(*, final: bool = False) -> PolicyInForce:
    reference = FirmwareReference([FirmwareStatement("mt3620", statable(measured(GOOD), final=final))])
    return PolicyInForce(AttestationPolicy(), reference)


def sent(prover: Prover, log: FirmwareLog | None) -> CheckinRequest:
    """A check-in of a machine that measured what ``log`` says: its TPM quotes just that."""
    made = request(prover)
    values = [prover.log_head] if log is None else [log.pcr_values, prover.log_head]
    pcrs = (BOOT_PCR,) if log is None else (*FIRMWARE_PCRS, BOOT_PCR)
    return dataclasses.replace(
        made, firmware=log, tpm_quote=quote(TPM, quote_nonce(made.evidence), pcr_digest(values), *pcrs)
    )


def failing(steps: tuple[AppraisalStep, ...]) -> dict[int, str]:
    return {step.number: step.detail for step in steps if step.result == "fail"}


def test_the_known_firmware_is_attested():
    """The positive control of every attack below."""
    prover = device()
    for policy in (stated(), stated(final=True), None):
        appraisal = judge(prover, sent(prover, GOOD), policy=policy)
        assert (appraisal.verdict, failing(appraisal.steps)) == ("attested", {})


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
    request_ = sent(prover, log)
    appraisal = judge(prover, request_, policy=stated(final=final))
    assert appraisal.verdict == "update-only"
    assert list(failing(appraisal.steps)) == [20]
    assert (named.partition(":")[0] if final else named) in failing(appraisal.steps)[20]
    # Without the reference values nothing else stops it: the log replays and the quote is genuine.
    assert judge(prover, request_).verdict == "attested"


def test_without_the_comparison_the_changed_boot_loader_gets_through(monkeypatch: pytest.MonkeyPatch):
    prover = device()
    request_ = sent(prover, changed("boot loader", "evil loader"))
    assert digest("evil loader").hex() in failing(judge(prover, request_, policy=stated()).steps)[20]
    monkeypatch.setattr(FirmwareReference, "fault", lambda *_: "")
    assert judge(prover, request_, policy=stated()).verdict == "attested"


def test_the_log_of_a_good_machine_beside_a_bad_ones_quote_is_no_help():
    prover = device()
    bad = sent(prover, changed("boot loader", "evil loader"))
    with_good_log = dataclasses.replace(bad, firmware=GOOD)
    steps = judge(prover, with_good_log, policy=stated()).steps
    assert list(failing(steps)) == [16]
    assert steps[19].detail == "Needs step 16 to pass."
    good_log = FirmwareLog(changed("boot loader", "evil loader").pcr_values, GOOD.log)
    steps = judge(prover, dataclasses.replace(bad, firmware=good_log), policy=stated()).steps
    assert "a replay of PCR 4" in failing(steps)[20]


@pytest.mark.parametrize("tier", ["simulated", "software"])
def test_a_device_without_a_tpm_is_not_compared(tier: str):
    """Nobody vouches for its word; who wants a TPM demands the tier, or the log."""
    prover = device()
    assert judge(prover, sent(prover, None), tier=tier, policy=stated()).verdict == "attested"

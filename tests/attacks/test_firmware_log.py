# SPDX-License-Identifier: Apache-2.0
"""Attacks on step 20: the log of a machine's firmware, judged only where it replays to what its TPM quoted.

Everything but the log (or the values beside it) is genuine. Each attack passes when the step that stops it is taken
out: nothing else would have stopped it.
"""

from __future__ import annotations

import dataclasses
from hashlib import sha256

import pytest
from tests.attacks.test_tpm_quote import device, failing, judge, with_log
from tests.wire.tpm_samples import tcg_event, tcg_header

from armillary.attest import appraise as rules, tpm_quote
from armillary.attest.policy import AttestationPolicy, PolicyInForce
from armillary.errors import WireError
from armillary.sim.device.prover import Prover
from armillary.wire.attestation import tcg_event_log
from armillary.wire.attestation.firmware_log import MAX_FIRMWARE_LOG_BYTES, FirmwareLog
from armillary.wire.attestation.tpm_attestation import FIRMWARE_PCRS
from armillary.wire.device import checkin

NAMES = ("firmware", "setup", "option ROM", "secure boot on", "boot loader", "boot loader")
EVENTS = [tcg_event(number % 8, 13, sha256(name.encode()).digest(), name.encode()) for number, name in enumerate(NAMES)]
LOG = tcg_header() + b"".join(EVENTS)


def values_of(log: bytes) -> bytes:
    replayed = tcg_event_log.replay(tcg_event_log.parse_log(log))
    return b"".join(replayed[pcr] for pcr in FIRMWARE_PCRS)


GENUINE = FirmwareLog(values_of(LOG), LOG)


def sent(prover: Prover, firmware: FirmwareLog) -> checkin.CheckinRequest:
    """A check-in whose TPM quotes the values of the genuine log."""
    return with_log(prover, firmware, quoted=GENUINE.pcr_values)


def test_a_genuine_log_is_attested():
    """The positive control of every attack below."""
    prover = device()
    appraisal = judge(prover, sent(prover, GENUINE))
    assert appraisal.verdict == "attested"
    assert {step.result for step in appraisal.steps} == {"pass"}


def test_a_log_is_not_asked_for_and_its_absence_is_said():
    prover = device()
    appraisal = judge(prover, with_log(prover, None))
    assert (appraisal.verdict, appraisal.steps[19].result) == ("attested", "not-run")
    assert appraisal.steps[19].detail == "No log of the machine's firmware was sent."


@pytest.mark.parametrize("tier", ["software", "tpm"])
def test_a_catalog_that_demands_a_log_takes_no_silence(tier: str):
    prover = device()
    silent = with_log(prover, None)
    demands = PolicyInForce(AttestationPolicy(firmware_log=True))
    assert judge(prover, silent, tier=tier).verdict == "attested"
    appraisal = judge(prover, silent, tier=tier, policy=demands)
    assert (appraisal.verdict, failing(appraisal)) == (
        "update-only",
        {20: "This catalog demands the log of the machine's firmware; the device sent none that a TPM vouches for."},
    )
    # A log beside a quote that nobody checks is worth nothing: it is the device's word.
    shown = judge(prover, sent(prover, GENUINE), tier=tier, policy=demands)
    assert shown.verdict == ("attested" if tier == "tpm" else "update-only")


EDITED = {
    "an event dropped": tcg_header() + b"".join(EVENTS[:3] + EVENTS[4:]),
    "events of one PCR reordered": tcg_header() + b"".join([*EVENTS[:1], tcg_event(0, 13, b"x" * 32), *EVENTS[1:]]),
    "an event edited": LOG.replace(sha256(b"secure boot on").digest(), sha256(b"secure boot off").digest()),
    "an event relabelled as not measured": tcg_header() + b"".join(EVENTS[:3]) + tcg_event(3, 3, b"\0" * 32),
    "an event added": LOG + tcg_event(4, 13, b"y" * 32),
    "no event at all": tcg_header(),
}


@pytest.mark.parametrize("name", EDITED)
def test_an_edited_log_does_not_replay(name: str, monkeypatch: pytest.MonkeyPatch):
    prover = device()
    request_ = sent(prover, FirmwareLog(GENUINE.pcr_values, EDITED[name]))
    appraisal = judge(prover, request_)
    assert appraisal.verdict == "update-only"
    assert list(failing(appraisal)) == [20]
    assert "a replay of PCR" in failing(appraisal)[20]
    monkeypatch.setattr(rules, "firmware_fault", lambda *_: "")
    assert judge(prover, request_).verdict == "attested"


def test_values_that_fit_an_edited_log_are_not_the_quoted_ones(monkeypatch: pytest.MonkeyPatch):
    log = EDITED["an event edited"]
    prover = device()
    request_ = sent(prover, FirmwareLog(values_of(log), log))
    appraisal = judge(prover, request_)
    assert list(failing(appraisal)) == [16]
    assert (appraisal.steps[19].result, appraisal.steps[19].detail) == ("not-run", "Needs step 16 to pass.")
    monkeypatch.setattr(rules, "quote_fault", lambda *_: "")
    assert judge(prover, request_).verdict == "attested"


def test_a_log_that_is_stripped_or_slipped_in_on_the_way_breaks_the_quote():
    prover = device()
    assert list(failing(judge(prover, dataclasses.replace(sent(prover, GENUINE), firmware=None)))) == [16]
    assert list(failing(judge(prover, dataclasses.replace(with_log(prover, None), firmware=GENUINE)))) == [16]


MALFORMED = {
    "nothing": (b"", "at byte 0: expected at most 0 bytes"),
    "no Spec ID event": (LOG[len(tcg_header()) :], "a Spec ID event first"),
    "cut in an event": (LOG[:-3], "at byte"),
    "a length that leads back": (LOG[:-15] + b"\xff\xff\xff\xff" + LOG[-11:], "at byte"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_log_fails_its_step_and_says_at_which_byte(name: str):
    log, named = MALFORMED[name]
    prover = device()
    appraisal = judge(prover, sent(prover, FirmwareLog(GENUINE.pcr_values, log)))
    assert list(failing(appraisal)) == [20]
    assert failing(appraisal)[20].startswith("TCG event log at byte ")
    assert named in failing(appraisal)[20]


@pytest.mark.parametrize(
    "firmware",
    [
        FirmwareLog(GENUINE.pcr_values[:-1], LOG),
        FirmwareLog(GENUINE.pcr_values + b"\0", LOG),
        FirmwareLog(GENUINE.pcr_values, bytes(MAX_FIRMWARE_LOG_BYTES + 1)),
    ],
)
def test_what_is_no_firmware_log_never_reaches_the_appraisal(firmware: FirmwareLog):
    with pytest.raises(WireError, match=r"check-in (PCR values|firmware log)"):
        checkin.encode_request(sent(device(), firmware))


@pytest.mark.parametrize("tier", ["simulated", "software"])
def test_a_log_of_a_device_without_a_proven_tpm_says_nothing(tier: str):
    prover = device()
    edited = sent(prover, FirmwareLog(GENUINE.pcr_values, EDITED["an event edited"]))
    appraisal = judge(prover, edited, tier=tier)
    assert [appraisal.steps[number - 1].result for number in (16, 20)] == ["not-run", "not-run"]


def test_every_byte_of_the_log_matters_but_for_what_no_tpm_measures():
    """An event's data and type are not in any PCR (PC Client profile §10.2): nothing is ever judged by them."""
    prover = device()
    for at in range(0, len(LOG), 5):
        log = LOG[:at] + bytes((LOG[at] ^ 0x55,)) + LOG[at + 1 :]
        appraisal = judge(prover, sent(prover, FirmwareLog(GENUINE.pcr_values, log)))
        if appraisal.verdict == "attested":
            assert tcg_event_log.replay(tcg_event_log.parse_log(log)) == tcg_event_log.replay(
                tcg_event_log.parse_log(LOG)
            )
        else:
            assert list(failing(appraisal)) == [20]


def test_a_log_that_replayed_is_remembered_and_a_bad_one_is_not():
    known: dict[FirmwareLog, None] = {}
    bad = FirmwareLog(GENUINE.pcr_values, tcg_header())
    assert tpm_quote.firmware_fault(GENUINE, known) == tpm_quote.firmware_fault(GENUINE, known) == ""
    assert tpm_quote.firmware_fault(bad, known)
    assert list(known) == [GENUINE]
    for number in range(tpm_quote.MAX_FIRMWARE_LOGS + 3):
        log = LOG + tcg_event(0, 3, b"\0" * 32, number.to_bytes(2, "big"))
        assert tpm_quote.firmware_fault(FirmwareLog(GENUINE.pcr_values, log), known) == ""
    assert len(known) == tpm_quote.MAX_FIRMWARE_LOGS


@pytest.mark.parametrize("lineage", [None, b"", b"l" * 40])
def test_a_firmware_log_travels_as_version_4(lineage: bytes | None):
    made = dataclasses.replace(sent(device(), GENUINE), lineage=lineage)
    data = checkin.encode_request(made)
    found = checkin.parse_request(data)
    assert (data[:2], found.protocol_version) == (b"\x88\x04", checkin.FIRMWARE_VERSION)
    assert (found.firmware, found.lineage, found.tpm_quote) == (GENUINE, lineage, made.tpm_quote)
    with pytest.raises(WireError):
        checkin.encode_request(dataclasses.replace(made, tpm_quote=None))

# SPDX-License-Identifier: Apache-2.0
"""A TPM whose firmware PCRs were extended, the log that tells of it, and what the service makes of both."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from tests.attest.test_appraise import CLIENT_KEY, GOOD, KEY, NOW, references
from tests.engines.swtpm import SwTpm, needs_tpm, software_tpm
from tests.wire.tpm_samples import tcg_event, tcg_header

from armillary.attest import challenge as ch
from armillary.attest.appraise import Appraisal, Enrolment, appraise
from armillary.attest.firmware_reference import FirmwareReference, FirmwareStatement, measured, statable
from armillary.attest.policy import AttestationPolicy, PolicyInForce
from armillary.device.checkin import proof
from armillary.engines.root_of_trust import firmware, tpm_commands
from armillary.engines.root_of_trust.port import BootSession
from armillary.engines.root_of_trust.tpm2 import Tpm2RootOfTrust
from armillary.identity.device_id import spki_of_device_id
from armillary.wire.attestation import tcg_event_log
from armillary.wire.attestation.event_log import encode_log
from armillary.wire.attestation.evidence import Evidence
from armillary.wire.attestation.firmware_log import MAX_FIRMWARE_LOG_BYTES
from armillary.wire.attestation.tpm_attestation import FIRMWARE_PCRS
from armillary.wire.attestation.tpm_public import ATTESTATION, parse_public
from armillary.wire.device.checkin import CheckinRequest, encode_report, encode_request, parse_request
from armillary.wire.device.error_report import ErrorReport
from armillary.wire.encoding import cose

NAMES = ("firmware", "setup", "option ROM", "option ROM setup", "boot loader", "partition table", "wake", "secure boot")
LOG = tcg_header() + b"".join(
    tcg_event(pcr, 13, sha256(name.encode()).digest(), name.encode()) for pcr, name in enumerate(NAMES)
)
EVENTS = [component.event for component in GOOD]


@pytest.fixture(scope="module")
def tpm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SwTpm]:
    """A TPM that firmware has measured into, as PCR 0 to 7 can be set once between two resets."""
    with software_tpm(tmp_path_factory.mktemp("tpm")) as running:
        with tpm_commands.connect(running.tcti) as commands:
            pytss, esapi = commands._pytss, commands._esapi
            for pcr, name in enumerate(NAMES):
                digest = pytss.TPMU_HA(sha256=sha256(name.encode()).digest())
                values = pytss.TPML_DIGEST_VALUES([pytss.TPMT_HA(hashAlg=0x000B, digest=digest)])
                esapi.pcr_extend(getattr(pytss.ESYS_TR, f"PCR{pcr}"), values)
        yield running


@pytest.fixture
def root(tpm: SwTpm, tmp_path: Path) -> Tpm2RootOfTrust:
    made = Tpm2RootOfTrust.create(tmp_path / "root", tpm=tpm.tcti)
    (tmp_path / "log").write_bytes(LOG)
    assert made.firmware_log is None  # an emulator has seen no firmware of this machine
    made.firmware_log = tmp_path / "log"
    return made


def request(root: Tpm2RootOfTrust, session: BootSession) -> CheckinRequest:
    challenge = ch.mint(KEY, now=NOW, random=b"r" * 16, peer_key=spki_of_device_id(root.device_id))
    evidence = session.prove(
        Evidence(
            challenge=challenge,
            device_id=root.device_id,
            boot_count=session.boot_count,
            log_head=session.log_head,
            certificate_key=CLIENT_KEY,
            service_name="localhost",
            chip="mt3620",
            root_of_trust="tpm2",
            enforcement=(),
            sandbox="linux",
            os_version="26.11",
            report_digest=sha256(encode_report((), (), ())).digest(),
        )
    )
    assert session.quote is not None
    return CheckinRequest(
        evidence=evidence,
        endorsement=session.endorsement,
        event_log=encode_log(EVENTS),
        tpm_quote=session.quote(evidence),
        firmware=session.firmware,
    )


def judged(root: Tpm2RootOfTrust, sent: CheckinRequest, policy: PolicyInForce | None = None) -> Appraisal:
    enrolment = Enrolment(
        device_id=root.device_id,
        identity_key=bytes.fromhex(root.device_id),
        chip="mt3620",
        trust_tier="tpm",
        attestation_key=parse_public(root._file.attestation.public, ATTESTATION).point,
    )
    return appraise(
        parse_request(encode_request(sent)),
        enrolment=enrolment,
        reference=references(),
        peer_key=cose.spki_from_point(bytes.fromhex(root.device_id)),
        challenge_key=KEY,
        now=NOW + 5,
        service_name="localhost",
        policy=policy,
    )


@needs_tpm
def test_a_machine_whose_log_replays_passes_every_step(root: Tpm2RootOfTrust):
    session = root.begin_boot(EVENTS)
    assert session.firmware is not None
    appraisal = judged(root, request(root, session))
    assert {step.result for step in appraisal.steps} == {"pass"}


@needs_tpm
def test_a_log_that_was_edited_afterwards_fails_its_step(root: Tpm2RootOfTrust):
    session = root.begin_boot(EVENTS)
    assert session.firmware is not None
    good, evil = (sha256(name).digest() for name in (b"boot loader", b"another boot loader"))
    edited = dataclasses.replace(session.firmware, log=LOG.replace(good, evil))
    appraisal = judged(root, dataclasses.replace(request(root, session), firmware=edited))
    assert [step.number for step in appraisal.steps if step.result == "fail"] == [20]


@needs_tpm
@pytest.mark.parametrize("final", [False, True])
def test_a_machines_firmware_is_compared_with_what_a_catalog_states(root: Tpm2RootOfTrust, final: bool):
    session = root.begin_boot(EVENTS)
    assert session.firmware is not None
    sent = request(root, session)
    taken = statable(measured(session.firmware), final=final)
    good = PolicyInForce(AttestationPolicy(), FirmwareReference([FirmwareStatement("mt3620", taken)]))
    assert judged(root, sent, good).verdict == "attested"
    others = tuple(value for value in taken if value.pcr != 4)
    another = FirmwareReference([FirmwareStatement("mt3620", others)])
    appraisal = judged(root, sent, PolicyInForce(AttestationPolicy(), another))
    failed = [step for step in appraisal.steps if step.result == "fail"]
    assert [step.number for step in failed] == [20]
    assert failed[0].detail.startswith("PCR 4 (boot loader): ")


@needs_tpm
@pytest.mark.parametrize(
    "log",
    [None, b"", LOG[:-3], tcg_header(), LOG + tcg_event(0, 13, bytes(32)), LOG + bytes(MAX_FIRMWARE_LOG_BYTES)],
    ids=["missing", "empty", "cut", "too few events", "too many events", "too long"],
)
def test_a_machine_without_a_believable_log_is_let_in_as_before(
    root: Tpm2RootOfTrust, tmp_path: Path, log: bytes | None
):
    (tmp_path / "log").unlink()
    if log is not None:
        (tmp_path / "log").write_bytes(log)
    session = root.begin_boot(EVENTS)
    assert session.firmware is None
    appraisal = judged(root, request(root, session))
    assert (appraisal.verdict, appraisal.steps[19].result) == ("attested", "not-run")


def test_only_a_log_that_replays_is_sent(tmp_path: Path):
    (tmp_path / "log").write_bytes(LOG)
    replayed = tcg_event_log.replay(tcg_event_log.parse_log(LOG))
    values = [replayed[pcr] for pcr in FIRMWARE_PCRS]
    found = firmware.replaying_log(tmp_path / "log", values)
    assert found is not None
    assert (found.log, found.pcr_values) == (LOG, b"".join(values))
    assert firmware.replaying_log(tmp_path / "log", [*values[:7], bytes(32)]) is None
    assert firmware.replaying_log(tmp_path, values) is None  # a folder


def test_a_report_leaves_room_for_a_log():
    reports = [
        ErrorReport(
            sequence=number, boot_count=1, event_category="Unplanned", event_class="App", event_type="AppCrash",
            description="x" * 1000, component_id=None, image_id=None, count=1, start=1, end=2,
        )
        for number in range(32)
    ]  # fmt: skip
    full = encode_report(*proof.fit_report((), (), reports))
    less = encode_report(*proof.fit_report((), (), reports, limit=proof.MAX_REPORT_BYTES - MAX_FIRMWARE_LOG_BYTES))
    assert len(less) <= proof.MAX_REPORT_BYTES - MAX_FIRMWARE_LOG_BYTES < len(full)

# SPDX-License-Identifier: Apache-2.0
"""A check-in always fits, whatever has piled up on the device."""

from __future__ import annotations

import uuid
from pathlib import Path

from tests.fixtures.reports import crash, reverted

from armillary.device.checkin.proof import build_proof, enforcement
from armillary.device.state.configuration import DeviceConfiguration
from armillary.engines.root_of_trust.software import SoftwareRootOfTrust
from armillary.engines.sandbox.port import Mechanism, SandboxReport
from armillary.wire.attestation.event_log import BootEvent, encode_log
from armillary.wire.device import checkin
from armillary.wire.device.checkin import InstalledImage
from armillary.wire.device.error_report import ErrorReport

NOW = 1_800_000_000
EVENTS = tuple(BootEvent("x" * 48, 1, uuid.UUID(int=i), uuid.UUID(int=i), bytes([i]) * 32, 31) for i in range(32))


def report(number: int) -> ErrorReport:
    longest = {"event_type": "T" * 64, "description": "ü" * 512}
    return crash(sequence=number, boot_count=2**40, count=2**31, start=NOW, end=NOW, **longest)


def test_the_largest_possible_check_in_is_one_the_service_accepts(tmp_path: Path) -> None:
    root = SoftwareRootOfTrust.create(tmp_path)
    session = root.begin_boot(EVENTS)
    configuration = DeviceConfiguration(
        device_id=root.device_id,
        chip="c" * 32,
        root_of_trust="software",
        sandbox="linux",
        os_version="v" * 64,
        identity_certificate=(),
        service_root="",
        trusted_os_certificates=(),
        trusted_image_certificates=(),
        device_endpoint="",
        service_name="s" * 253,
        operator_api="",
    )
    worst = Mechanism("m" * 64, enforced=False, detail="ü" * 1000)
    outcome = reverted(outcome="confirmed", reason="r" * 512, at=NOW)
    image = InstalledImage(
        component_id=uuid.UUID(int=1), image_id=uuid.UUID(int=1), image_type=10, name="n" * 64, state="running"
    )
    proof = build_proof(
        challenge=b"c" * 64,
        session=session,
        event_log=encode_log(EVENTS),
        configuration=configuration,
        root_of_trust="software",
        sandbox=SandboxReport("s" * 32, (worst,) * 32, ()),
        installed=[image] * 100,
        outcomes=[outcome] * 100,
        error_reports=[report(n) for n in range(1, 200)],
    )
    data = checkin.encode_request(proof.request)
    assert len(data) <= checkin.MAX_REQUEST_BYTES
    parsed = checkin.parse_request(data)
    assert [r.sequence for r in parsed.error_reports] == list(range(1, len(parsed.error_reports) + 1))
    assert len(parsed.error_reports) >= 10, "there is room for many, oldest first"
    assert len(parsed.outcomes) == checkin.MAX_OUTCOMES
    assert "BEGIN" not in repr(proof)


def test_enforcement_says_what_is_missing_within_its_limit() -> None:
    report = SandboxReport(
        "linux",
        (Mechanism("seccomp", enforced=True, detail="x"), Mechanism("net", enforced=False, detail="ü" * 999)),
        (),
    )
    (name, state), (_, missing) = enforcement(report)
    assert (name, state) == ("seccomp", "enforced")
    assert missing.startswith("missing: ü")
    assert len(missing.encode()) <= 256


def test_evidence_names_what_a_weaker_sandbox_never_had() -> None:
    absent = Mechanism("namespaces", False, "this host forbids them")
    report = SandboxReport("reduced", (Mechanism("seccomp", True, "held"),), ("Less.",), (absent,))
    assert enforcement(report) == (("seccomp", "enforced"), ("namespaces", "missing: this host forbids them"))

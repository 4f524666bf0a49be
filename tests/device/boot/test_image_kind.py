# SPDX-License-Identifier: Apache-2.0
"""Evidence says whether the host runs a release image; a policy that demands one refuses a development image."""

from __future__ import annotations

from armillary.attest.policy import AttestationPolicy, containment_fault
from armillary.device.boot.image_kind import RELEASE_IMAGE, with_image_kind
from armillary.device.checkin.proof import enforcement
from armillary.engines.sandbox.port import Mechanism, SandboxReport
from armillary.wire.attestation.mechanisms import MECHANISMS
from armillary.wire.device_image.command_line import DEVELOPMENT, VerifiedRoot, command_line

ROOT = VerifiedRoot("a" * 64, "b" * 64, 7)
REPORT = SandboxReport("linux", (Mechanism("seccomp", enforced=True, detail="held"),), ())
POLICY = AttestationPolicy(mechanisms=(RELEASE_IMAGE,))


def line(*more: str) -> str:
    return command_line(ROOT, consoles=("ttyS0",), built_at=1, more=more)


def test_a_release_image_says_so_and_a_policy_that_demands_it_is_content() -> None:
    report = with_image_kind(REPORT, line())
    assert report.complete
    assert containment_fault(POLICY, enforcement(report)) == ""
    assert RELEASE_IMAGE in MECHANISMS


def test_a_development_image_says_so_runs_applications_and_is_refused_by_that_policy() -> None:
    report = with_image_kind(REPORT, line(DEVELOPMENT))
    assert report.complete, "it is for trying applications"
    assert report.weaker == ("This is a development image: whoever is at a serial port has a shell.",)
    fault = containment_fault(POLICY, enforcement(report))
    assert "release-image (this is a development image: whoever is at a serial port has a shell)" in fault


def test_on_another_linux_nothing_is_said_of_an_image() -> None:
    for other in ("", "root=/dev/sda1 quiet", f"root=/dev/sda1 {DEVELOPMENT}"):
        assert with_image_kind(REPORT, other) == REPORT
    assert "its self-test knows none" in containment_fault(POLICY, enforcement(REPORT))

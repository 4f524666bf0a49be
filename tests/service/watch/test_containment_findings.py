# SPDX-License-Identifier: Apache-2.0
"""A device whose sandbox is weaker than it could be says so, and that is a finding with the reasons."""

from __future__ import annotations

import pytest
from tests.fixtures import reports

from armillary.sim.device.service_host import ServiceHost

SLOW = "This host did not answer in time whether it allows namespaces: /usr/bin/bwrap: no answer within 120 s."
WAITS = "no application runs: the sandbox does not hold yet"
SHARED = "applications share the host's processes"


@pytest.mark.parametrize(
    ("sandbox", "why", "title"),
    [
        ("reduced", SHARED, "Devices run applications with fewer containment mechanisms than Armillary has"),
        ("waiting", WAITS, "Devices run no application, because their sandbox does not hold"),
    ],
)
def test_a_sandbox_that_is_weaker_than_it_could_be_is_a_finding(
    host: ServiceHost, sandbox: str, why: str, title: str
) -> None:
    with host.claimed(b"a" * 32) as device:
        device.check_in()
        host.service.watch.run_once()
        assert not host.service.watch.list().items, "the evidence alone is on the device's page, and is no alarm"
        device.prover.sandbox = sandbox
        device.prover.enforcement = (("seccomp", "enforced"), ("namespaces", f"missing: {why}"))
        said = f"SandboxWeakened (sandbox={sandbox}): {SLOW}"
        told = reports.crash(
            boot_count=device.prover.boot_count,
            start=1,
            end=2,
            sequence=1,
            event_type="SandboxWeakened",
            description=said,
        )
        device.check_in(error_reports=(told,))
        host.service.watch.run_once()
        (found,) = host.service.watch.list().items
        assert (found.kind, found.severity, found.title) == ("containment-weak", "low", title)
        assert found.cause == f"Device {device.device_id[:16]}: {said} It lacks namespaces ({why})."
        assert found.device_ids == (device.device_id,)
        shown = host.service.registry.devices.get(device.device_id)
        assert (shown.sandbox, dict(shown.enforcement)["namespaces"]) == (sandbox, f"missing: {why}")
        device.prover.sandbox, device.prover.enforcement = "linux", (("namespaces", "enforced"),)
        device.check_in()
        shown = host.service.registry.devices.get(device.device_id)
        assert (shown.sandbox, dict(shown.enforcement)) == ("linux", {"namespaces": "enforced"})

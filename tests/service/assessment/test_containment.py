# SPDX-License-Identifier: Apache-2.0
"""What holds each application of a device: the manifest of its image against what the device attested."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.fixtures.clocks import Clock
from tests.fixtures.images import manifest, package as packed
from tests.fixtures.reports import installed

from armillary.api.views.security.containment import of_device
from armillary.sim.device.service_host import ServiceHost


def upload(host: ServiceHost, **capabilities: Any) -> Any:
    data = packed(manifest("tap", Capabilities=capabilities))
    return host.service.updates.images.upload("Contoso", data, actor="t")


def test_each_application_is_shown_with_what_holds_it(host: ServiceHost, clock: Clock) -> None:
    tap = upload(host, AllowedConnections=["example.com"], Uart=["ISU0"])
    with host.claimed(b"a" * 32) as device:
        device.prover.enforcement = (
            ("seccomp", "enforced"),
            ("network-broker", "enforced"),
            ("memory-limit", "missing: no control groups"),
        )
        unknown = replace(installed(tap), image_id=tap.component_id, name="sideloaded")
        device.installed = (installed(tap), unknown)
        clock.now += 1
        assert device.check_in().verdict == "attested"
        shown = of_device(host.service, device.device_id)
    known, other = shown["applications"]
    assert (known["name"], known["known"], other["name"], other["known"]) == ("tap", True, "sideloaded", False)
    assert other["held_by"] == []
    rows = {(each["granted"], each["mechanism"]): each for each in known["held_by"]}
    assert rows["connections", "network-broker"]["value"] == "example.com"
    assert rows["connections", "network-broker"]["held"]
    assert rows["devices", "device-list"]["value"] == "Uart ISU0"
    memory = rows["memory", "memory-limit"]
    assert (memory["value"], memory["held"], memory["why"]) == ("256 MiB", False, "no control groups")
    assert rows["user", "user"]["why"] == "its self-test knows none"
    assert [each["name"] for each in shown["mechanisms"]] == ["seccomp", "network-broker", "memory-limit"]


def test_a_device_that_has_said_nothing_has_nothing(host: ServiceHost) -> None:
    with host.claimed(b"b" * 32) as device:
        shown = of_device(host.service, device.device_id)
    assert (shown["mechanisms"], shown["applications"]) == ([], [])

# SPDX-License-Identifier: Apache-2.0
"""The firewall that tools see: the rules are what applications declared, the counts what the sandbox decided."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from tests.engines.sandbox.conftest import sandbox, stage
from tests.engines.sandbox.sandbox_stage import Stage
from tests.fixtures.images import manifest

from armillary.capability.grant import Grant, PlatformLimits, grant
from armillary.device.applications.connection_counts import ConnectionCounts
from armillary.device.rest.firewall import rulesets
from armillary.engines.sandbox.port import METHOD, ConnectionAttempt, Sandbox
from armillary.wire.image import app_manifest

__all__ = ["sandbox", "stage"]

DECLARED = "127.0.0.1"
PROGRAM = """
import socket
for host in ["127.0.0.1"] * 3 + ["127.0.0.2"] * 2:
    try: socket.create_connection((host, {port}), 5).close()
    except OSError: pass
try: socket.getaddrinfo("nobody.example", 443)
except OSError: pass
for port in (4001, 4002):
    try:
        with socket.socket() as own: own.bind(("0.0.0.0", port)); own.listen()
    except OSError: pass
print("done")
"""


def granted(number: int = 1, **capabilities: Any) -> Grant:
    described = app_manifest.parse(manifest(f"app{number}", uuid.UUID(int=number), Capabilities=capabilities))
    return grant(described, PlatformLimits(name="t"))


def packets(*applications: tuple[Grant, ConnectionCounts]) -> dict[str, list[tuple[str, int]]]:
    """(destination or action, count) of each rule, by hook."""
    return {
        ruleset["hook"]: [
            (
                rule.get("destinationName", rule["destinationIP"]) if rule["action"] == "accept" else "drop",
                rule["packets"],
            )
            for rule in ruleset["rules"]
        ]
        for ruleset in rulesets(applications)
    }


def test_what_an_application_tried_is_counted_by_the_rule_that_decided(stage: Stage, sandbox: Sandbox) -> None:
    found = stage.run(sandbox, PROGRAM, hosts=[DECLARED], with_listeners=True)
    assert found.lines == ["done"], found.errors
    counts = ConnectionCounts()
    for attempt in found.attempts:
        counts.note(attempt)
    seen = packets((granted(AllowedConnections=[DECLARED]), counts))
    assert seen["output"][0] == (DECLARED, 3)
    refused = counts.refused
    assert refused == sum(each.count for each in found.attempts if not each.allowed and "listen" not in each.protocol)
    assert refused >= 3, "two connections and a name"
    assert seen["output"][1] == ("drop", refused)
    assert seen["input"] == [("drop", counts.refused_listeners)]


def test_counts_are_of_the_application_whose_rule_it_is() -> None:
    one, other = ConnectionCounts(), ConnectionCounts()
    for host, allowed, protocol, count in [
        ("hub.example", True, "tcp", 2),
        ("hub.example", True, "udp", 1),
        ("evil.example", False, "tcp", 4),
        ("nobody.example", False, "lookup", 1),
        ("0.0.0.0", False, "listen", 5),
        ("time.set", False, METHOD, 9),
    ]:
        one.note(ConnectionAttempt(host, 1, allowed=allowed, at=0.0, protocol=protocol, count=count))
    hub = {"AllowedConnections": ["hub.example"]}
    assert packets((granted(2, **hub), other), (granted(1, **hub), one)) == {
        "input": [("drop", 5)],
        "output": [("hub.example", 3), ("hub.example", 0), ("drop", 5)],
    }


def test_nothing_runs() -> None:
    assert packets() == {"input": [("drop", 0)], "output": [("drop", 0)]}


@pytest.mark.parametrize("capabilities", [{"AllowedTcpServerPorts": [8080]}, {"AllowedUdpServerPorts": [8080]}])
def test_what_comes_in_is_not_seen(capabilities: dict[str, Any]) -> None:
    (ruleset, _) = rulesets([(granted(**capabilities), ConnectionCounts())])
    assert [(rule["action"], rule["packets"], rule["bytes"]) for rule in ruleset["rules"]] == [
        ("accept", 0, 0),
        ("drop", 0, 0),
    ]

# SPDX-License-Identifier: Apache-2.0
"""Which mechanism holds what an application was granted, by what a self-test saw."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from armillary.capability.grant import Grant, Peripheral
from armillary.capability.holdings import GRANTED, UNKNOWN, holdings
from armillary.capability.network import allowed_hosts
from armillary.wire.attestation.mechanisms import MECHANISMS

WHOLE = tuple((name, "enforced") for name in MECHANISMS)


def a_grant(**values: Any) -> Grant:
    return Grant(component_id=UUID(int=1), **({"hosts": allowed_hosts([])} | values))


def test_everything_granted_is_held_where_everything_holds() -> None:
    granted = a_grant(
        hosts=allowed_hosts(["hub.example.com", "192.0.2.1"]),
        tcp_server_ports=frozenset({8080}),
        udp_server_ports=frozenset({5683}),
        mutable_storage_kb=64,
        privileges=frozenset({"SntpService", "DhcpService"}),
        peripherals=frozenset({Peripheral(kind="Uart", name="UART2")}),
    )
    found = holdings("tap", granted, WHOLE)
    assert {each.granted for each in found} == set(GRANTED)
    assert all(each.held and not each.why and each.application == "tap" for each in found)
    values = {each.granted: each.value for each in found}
    assert values["connections"] == "hub.example.com, 192.0.2.1"
    assert values["server-ports"] == "TCP 8080, UDP 5683"
    assert values["device-methods"] == "DhcpService, SntpService"
    assert (values["storage"], values["devices"]) == ("64 KiB", "Uart UART2")
    assert (values["memory"], values["processes"], values["processors"]) == ("256 MiB", "64", "80 %")


def test_every_mechanism_named_is_a_word_of_evidence() -> None:
    assert {name for groups in GRANTED.values() for names in groups for name in names} <= set(MECHANISMS)


def test_what_was_not_granted_is_not_listed() -> None:
    found = {each.granted: each.value for each in holdings("tap", a_grant(), WHOLE)}
    assert not found.keys() & {"server-ports", "storage", "device-methods"}
    assert (found["connections"], found["devices"]) == ("none", "none")


def test_one_mechanism_that_is_missing_is_missing_for_what_it_holds_alone() -> None:
    for name in MECHANISMS:
        said = [(each, "missing: why not" if each == name else "enforced") for each in MECHANISMS]
        lost = [each for each in holdings("tap", a_grant(mutable_storage_kb=8), said) if not each.held]
        alternatives = [names for groups in GRANTED.values() for names in groups if name in names and len(names) > 1]
        expected = sum(names == (name,) for groups in GRANTED.values() for names in groups)
        assert len(lost) == (0 if alternatives else expected - 2 * (name == "network-broker"))
        assert all((each.mechanism, each.why) == (name, "why not") for each in lost)


def test_of_alternatives_the_one_that_the_engine_has_is_named() -> None:
    def image(*said: tuple[str, str]) -> tuple[str, bool, str]:
        (row,) = (each for each in holdings("tap", a_grant(), said) if each.granted == "image")
        return row.mechanism, row.held, row.why

    assert image(("read-only-image", "enforced"), ("read-only-root", "missing: x")) == ("read-only-image", True, "")
    assert image(("read-only-image", "missing: y")) == ("read-only-image", False, "y")
    assert image() == ("read-only-root", False, UNKNOWN)

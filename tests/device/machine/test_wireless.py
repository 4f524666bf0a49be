# SPDX-License-Identifier: Apache-2.0
"""The radio of a machine: which interface it is, and its address in each network it joins."""

from __future__ import annotations

import os
from collections.abc import Callable
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from tests.fixtures.waiting import wait_until

from armillary.device.machine import being, network, wireless
from armillary.engines.host.addressing import WIFI_METRIC
from armillary.wire.device_image.address_lease import ACKNOWLEDGE, Lease


def lease_for(seconds: int) -> Lease:
    return Lease(
        kind=ACKNOWLEDGE,
        address=IPv4Address("192.0.2.9"),
        mask=IPv4Address("255.255.255.0"),
        server=bytes(4),
        router=None,
        name_servers=(),
        seconds=seconds,
    )


@pytest.fixture
def interfaces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes interfaces as sysfs shows them."""
    monkeypatch.setattr(network, "INTERFACES", tmp_path)

    def make(name: str, *, radio: bool, kind: str = "1") -> None:
        (tmp_path / name / "device").mkdir(parents=True)
        (tmp_path / name / "type").write_text(kind + "\n")
        if radio:
            (tmp_path / name / "phy80211").mkdir()

    return make


def test_a_radio_is_no_ethernet(interfaces: Callable[..., None]) -> None:
    interfaces("a-radio", radio=True)
    assert network.first_ethernet() is None
    interfaces("eth0", radio=False)
    assert (network.first_ethernet(), network.first_radio()) == ("eth0", "a-radio")


def test_a_machine_without_a_radio_has_none(interfaces: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    interfaces("eth0", radio=False)
    assert being.settings_of_machine().radio is None
    interfaces("wlan0", radio=True)
    opened: list[str] = []
    monkeypatch.setattr(wireless, "open_radio", opened.append)
    opening = being.settings_of_machine().radio
    assert opening is not None
    opening()
    assert opened == ["wlan0"]


def test_an_address_is_asked_for_in_each_network_and_again_before_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    leases = iter([None, lease_for(0), lease_for(10**6)])

    def lease(interface: str, *, metric: int, within_s: float) -> Lease | None:
        assert within_s > 0
        assert metric == WIFI_METRIC
        done.append(f"ask {interface}")
        return next(leases)

    monkeypatch.setattr(network, "lease_address", lease)
    monkeypatch.setattr(network, "leave", lambda interface, *, metric: done.append(f"leave {interface} {metric}"))
    monkeypatch.setattr(wireless, "_AGAIN_S", 0.0)
    addresses = wireless.Addresses("wlan0")
    addresses.hear(3)
    wait_until(lambda: len(done) == 4, "nobody answers, a lease that ends at once, another")
    assert done == ["leave wlan0 600", "ask wlan0", "ask wlan0", "ask wlan0"]
    addresses.hear(None)
    wait_until(lambda: len(done) == 5, "the network is left")
    assert done[4:] == ["leave wlan0 600"]


def test_what_the_kernel_refuses_is_said_and_asked_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(_interface: str, *, metric: int, within_s: float) -> Lease:
        del metric, within_s
        raise OSError(os.EX_OSERR, "Network is down")

    monkeypatch.setattr(network, "lease_address", refused)
    wireless.Addresses("wlan0")._lease()
    assert "wlan0 gets no address: Network is down; asking again" in capsys.readouterr().out

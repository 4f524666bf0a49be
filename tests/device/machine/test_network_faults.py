# SPDX-License-Identifier: Apache-2.0
"""What a network or a hostile server does to the machine's address never ends process 1."""

from __future__ import annotations

import errno

import pytest

from armillary.device.machine import first, network


def test_an_address_that_the_kernel_refuses_is_said_and_asked_for_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(_interface: str, *, within_s: float) -> None:
        del within_s
        raise OSError(errno.ENETUNREACH, "Network is unreachable")

    monkeypatch.setattr(network, "lease_address", refused)
    machine = first.Machine("a", "", "", 0.0)
    machine._interface = "eth0"
    machine._lease()
    assert "eth0 gets no address: Network is unreachable; asking again" in capsys.readouterr().out
    assert machine._renew_at < float("inf")


def test_an_interface_that_is_gone_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def gone(interface: str) -> None:
        if interface != "lo":
            raise OSError(errno.ENODEV, "No such device")

    monkeypatch.setattr(network, "bring_up", gone)
    monkeypatch.setattr(network, "first_ethernet", lambda: "eth0")
    monkeypatch.setattr(network, "lease_address", lambda _interface, **_: None)
    first.Machine("a", "", "", 0.0)._bring_network_up()
    said = capsys.readouterr().out
    assert "eth0 is not switched on: No such device" in said
    assert "nobody gave eth0 an address" in said

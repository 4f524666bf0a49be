# SPDX-License-Identifier: Apache-2.0
"""The machine's end of a service link: there where the host put it, at its card alone, never in the way of the rest."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fixtures.namespaces import Namespace, network_namespace

from armillary.device.machine import network
from armillary.device.machine.attached_computer import attached_computer
from armillary.engines.host import interfaces
from armillary.wire.device_image import service_link

SECRET = b"s" * service_link.SECRET_BYTES


@pytest.fixture
def handed(tmp_path: Path) -> Path:
    path = tmp_path / "raw"
    path.write_bytes(SECRET)
    return path


@pytest.fixture
def cabled() -> Iterator[Namespace]:
    """A network with a card for the link, which is off."""
    with network_namespace() as found:
        words = ("ip", "link", "add", "eth7", "address", service_link.CARD, "type", "veth", "peer", "name", "other")
        subprocess.run(found.command(*words), check=True)
        yield found


def card(folder: Path, name: str, address: str) -> None:
    (folder / name / "device").mkdir(parents=True)
    (folder / name / "type").write_text("1\n")
    (folder / name / "address").write_text(f"{address}\n")


def test_without_a_secret_of_the_host_there_is_no_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "service_card", lambda: pytest.fail("it looks for a card"))
    assert attached_computer(tmp_path / "nothing") is None


@pytest.mark.parametrize(("found", "secret"), [(None, SECRET), ("eth7", SECRET[1:]), ("eth7", SECRET + b"s")])
def test_a_link_that_is_not_whole_is_said_and_not_used(
    handed: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    found: str | None,
    secret: bytes,
) -> None:
    handed.write_bytes(secret)
    monkeypatch.setattr(network, "service_card", lambda: found)
    assert attached_computer(handed) is None
    assert "the device's API is not served" in capsys.readouterr().out


def test_the_card_gets_azure_spheres_name_and_address(
    handed: Path, cabled: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    for present in ("eth7", service_link.INTERFACE):  # a device process that was started again finds it so
        monkeypatch.setattr(network, "service_card", lambda present=present: present)
        settings = cabled.call(lambda: attached_computer(handed))
        assert settings is not None
        assert settings.link is not None
        assert (settings.host, settings.port) == ("192.168.35.2", 443)
        assert (settings.link.interface, settings.link.secret) == ("azspheresvc", SECRET)
        assert not settings.tells_users_apart
        assert "s" * 32 not in repr(settings)
        (there,) = [each for each in cabled.call(interfaces.interfaces) if each.name == "azspheresvc"]
        assert there.is_up
        assert "192.168.35.2" in there.addresses
        assert not there.has_default_route


def test_a_card_that_is_gone_is_said(
    handed: Path, cabled: Namespace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(network, "service_card", lambda: "eth9")
    assert cabled.call(lambda: attached_computer(handed)) is None
    assert "the service link is not switched on: No such device" in capsys.readouterr().out


def test_the_links_card_is_no_uplink(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "INTERFACES", tmp_path)
    card(tmp_path, "azspheresvc", service_link.CARD)
    assert (network.first_ethernet(), network.service_card()) == (None, "azspheresvc")
    card(tmp_path, "eth1", "52:54:00:12:34:56")
    assert (network.first_ethernet(), network.service_card()) == ("eth1", "azspheresvc")

# SPDX-License-Identifier: Apache-2.0
"""``armillary device app|image|network|wifi|certificate|restart`` against a real device process."""

from __future__ import annotations

import functools
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tests.conformance.attached_device import Attached, attached, served
from tests.device.state.test_certificate_store import certificate, private

from armillary.cli.main import needed
from armillary.device.state.configuration import REGION, load_configuration
from armillary.device.state.layout import DeviceFolder
from armillary.engines.flash.file import FileFlash
from armillary.engines.wifi.simulated import PASSPHRASE
from armillary.errors import (
    ArmillaryError,
    ConflictError,
    DataFolderError,
    InvalidArgumentError,
    NotFoundError,
    PermissionDeniedError,
    ServiceUnreachableError,
)
from armillary.identity.manufacturing import ManufacturingState
from armillary.wire.image import capability_file

pytestmark = pytest.mark.e2e
COMPONENT = str(uuid.UUID(int=1))
NOBODY = str(uuid.UUID(int=99))
Call = Any


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attached]:
    with served() as service:
        service.deploy(service.application(AllowedConnections=["hub.example.com"], MutableStorage={"SizeKB": 8}))
        folder = tmp_path_factory.mktemp("attached") / "device"
        with attached(folder, service, ManufacturingState.BLANK, ["--simulated-wifi"]) as found:
            found.wait_until_updated()
            yield found


def run(device: Attached, *words: str, where: tuple[str, ...] = ()) -> str:
    """What a command prints; raises what it reports."""
    command = [*words, *(where or ("--data", str(device.folder)))]
    found = CliRunner().invoke(needed("device", words), command, prog_name="armillary device")
    if isinstance(found.exception, ArmillaryError):
        raise found.exception
    assert found.exit_code == 0, found.output
    return found.stdout


@pytest.fixture
def call(device: Attached) -> Call:
    return functools.partial(run, device)


def asked(call: Call, *words: str) -> Any:
    return json.loads(call(*words, "--json"))


def test_applications_are_shown_stopped_and_started(call: Call):
    assert asked(call, "app", "show-status", "--component-id", COMPONENT) == {"state": "running"}
    assert asked(call, "app", "stop", "--component-id", COMPONENT) == {"state": "stopped"}
    assert asked(call, "app", "start", "--component-id", COMPONENT) == {"state": "running"}
    assert asked(call, "app", "show-quota", "--component-id", COMPONENT) == {"UsageKB": 0, "LimitKB": 8}
    assert asked(call, "app", "show-memory-stats")["currentMemoryUsageInBytes"] > 0
    with pytest.raises(ConflictError, match="no application of component") as refused:
        call("app", "stop", "--component-id", NOBODY)
    assert "14680076" in refused.value.message
    assert "list-installed" in refused.value.remedy


def test_images_are_listed_with_those_of_the_os(call: Call):
    images = asked(call, "image", "list-installed")
    assert next(each for each in images if each["component_id"] == COMPONENT)["name"] == "app1"
    assert {each["image_type"] for each in images} >= {"Applications", "RootFs"}
    assert len(images) > 1
    assert "app1" in call("image", "list-installed")


def test_devices_of_this_host_are_listed(call: Call, device: Attached, tmp_path: Path):
    def listed(folder: Path) -> Any:
        return json.loads(run(device, "list-attached", "--in", str(folder), "--json", where=("--in", str(folder))))

    (found,) = listed(device.folder.parent)
    assert (found["data"], found["url"], found["state"]) == (str(device.folder), device.address["url"], "running")
    assert len(found["device_id"]) == 128
    assert listed(device.folder) == [found], "the folder itself may be named"
    assert listed(tmp_path) == []
    (tmp_path / "other").mkdir()
    (tmp_path / "other/layout.json").write_text("of somebody else")
    assert listed(tmp_path) == [], "what is no device is passed over"
    FileFlash(DeviceFolder(tmp_path / "other").flash).write(REGION, b"not what a device writes")
    (damaged,) = listed(tmp_path)
    assert (damaged["data"], damaged["state"], damaged["device_id"]) == (str(tmp_path / "other"), "damaged", "")
    with pytest.raises(DataFolderError, match=f"record \\({REGION} in its flash\\) is damaged") as refused:
        load_configuration(FileFlash(DeviceFolder(tmp_path / "other").flash))
    assert "armillary device create" in refused.value.remedy
    assert found["device_id"][:12] in run(device, "list-attached", where=("--in", str(device.folder)))
    with pytest.raises(DataFolderError, match="No such file"):
        listed(tmp_path / "nothing")


def test_the_network_and_its_proxy(call: Call):
    assert asked(call, "network", "show-status")["proxy"] == "disabled"
    assert "azspheresvc" in call("network", "list-interfaces")
    assert "hub.example.com" in call("network", "list-firewall-rules")
    shown = asked(
        call, "network", "proxy", "apply", "--address", "proxy.example", "--port", "3128",
        "--authentication", "basic", "--username", "u", "--password", "secret", "--no-proxy-address", "10.0.0.1",
    )  # fmt: skip
    for lost in (["--username", "u"], ["--password", "p"], ["--username", "", "--authentication", "anonymous"]):
        with pytest.raises(AssertionError, match="--username and --password go with --authentication basic"):
            call("network", "proxy", "apply", "--address", "other.example", "--port", "1", *lost)
    assert (shown["address"], shown["noProxyAddresses"], "password" in shown) == ("proxy.example", ["10.0.0.1"], False)
    assert asked(call, "network", "show-status")["proxy"] == "enabled"
    assert asked(call, "network", "proxy", "disable")["enabled"] is False
    assert asked(call, "network", "show-status")["proxy"] == "disabled"
    assert asked(call, "network", "proxy", "enable") == shown
    call("network", "proxy", "delete")
    assert asked(call, "network", "proxy", "show") == {}
    with pytest.raises(InvalidArgumentError, match="no proxy to switch"):
        call("network", "proxy", "enable")
    with pytest.raises(PermissionDeniedError, match="may not switch") as refused:
        call("network", "disable", "--interface", "azspheresvc")
    assert "boot --data DIR --rest ADDRESS --rest-interface azspheresvc" in refused.value.remedy
    with pytest.raises(InvalidArgumentError, match="expected letters"):
        call("network", "enable", "--interface", "../../status")


def test_wifi_networks_of_the_simulated_radio(call: Call, monkeypatch: pytest.MonkeyPatch):
    assert "simulated-psk" in call("wifi", "scan")
    with pytest.raises(InvalidArgumentError, match="at least 8 characters"):
        call("wifi", "add", "--ssid", "simulated-psk", "--psk", "short")
    monkeypatch.setenv("ARMILLARY_WIFI_PSK", PASSPHRASE)
    number = str(asked(call, "wifi", "add", "--ssid", "simulated-psk", "--config-name", "bench")["id"])
    assert asked(call, "wifi", "show", "--id", number)["connectionState"] == "connected"
    assert asked(call, "wifi", "show-status")["ssid"] == "simulated-psk"
    assert asked(call, "wifi", "disable", "--id", number)["configState"] == "disabled"
    assert asked(call, "wifi", "enable", "--id", number)["configState"] == "enabled"
    assert asked(call, "network", "show-diagnostics") == []
    call("wifi", "reload-config")
    call("wifi", "disable")
    with pytest.raises(InvalidArgumentError, match="13631506"):
        call("wifi", "list")
    call("wifi", "enable")
    call("wifi", "forget", "--id", number)
    assert asked(call, "wifi", "list") == []


def test_a_network_whose_server_is_not_checked_is_warned_of(device: Attached, call: Call, tmp_path: Path):
    public, secret = tmp_path / "c.pem", tmp_path / "k.pem"
    public.write_text(certificate())
    secret.write_text(private())
    add = ("certificate", "add", "--public-key-filepath", str(public), "--cert-id")
    call(*add, "me", "--cert-type", "client", "--private-key-filepath", str(secret))
    call(*add, "root", "--cert-type", "rootca")
    enterprise = ("wifi", "add", "--ssid", "simulated-eaptls", "--client-cert-id", "me")
    made, checked = asked(call, *enterprise), asked(call, *enterprise, "--root-ca-cert-id", "root")
    assert (made["serverIsChecked"], checked["serverIsChecked"]) == (False, True)
    assert asked(call, "wifi", "show-status")["id"] == made["id"], "the radio is in it"
    for words in (("list",), ("show", "--id", str(made["id"])), ("show-status",)):
        said = CliRunner().invoke(needed("device", ("wifi",)), ["wifi", *words, "--data", str(device.folder)]).stderr
        assert said.count("believes any access point of that name") == 1, said
        assert f"network {made['id']} (simulated-eaptls)" in said
    for each in (made, checked):
        call("wifi", "forget", "--id", str(each["id"]))
    for name in ("me", "root"):
        call("certificate", "delete", "--cert-id", name)


def test_certificates_are_added_shown_and_deleted(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    public, secret = tmp_path / "c.pem", tmp_path / "k.pem"
    public.write_text(certificate())
    secret.write_text(private(password="secret"))
    monkeypatch.setenv("ARMILLARY_KEY_PASSWORD", "secret")
    adding = ("certificate", "add", "--cert-id", "it", "--public-key-filepath", str(public))
    call(*adding, "--cert-type", "client", "--private-key-filepath", str(secret))
    assert asked(call, "certificate", "list") == [{"id": "it"}]
    assert asked(call, "certificate", "show", "--cert-id", "it")["subjectName"] == "/CN=test"
    assert int(asked(call, "certificate", "show-quota")["AvailableSpace"]) < 24_514
    call("certificate", "delete", "--cert-id", "it")
    with pytest.raises(NotFoundError, match="no certificate 'it'"):
        call("certificate", "show", "--cert-id", "it")
    with pytest.raises(InvalidArgumentError, match="without its key"):
        call(*adding, "--cert-type", "rootca", "--private-key-filepath", str(secret))
    with pytest.raises(InvalidArgumentError, match="No such file"):
        call("certificate", "add", "--cert-id", "x", "--cert-type", "rootca", "--public-key-filepath", "/nowhere")


def test_a_device_is_named_by_its_folder_or_by_address_and_certificate(device: Attached, call: Call, tmp_path: Path):
    by_address = ("--url", device.address["url"], "--ca", device.address["ca"])
    assert "running" in call("app", "show-status", "--component-id", COMPONENT, where=by_address)
    device.service.url = "https://127.0.0.1:1"
    device.service.provision(tmp_path / "other")
    with pytest.raises(NotFoundError, match="does not run"):
        call("image", "list-installed", where=("--data", str(tmp_path / "other")))
    nowhere = ("--url", "https://127.0.0.1:1", "--ca", device.address["ca"])
    with pytest.raises(ServiceUnreachableError):
        call("image", "list-installed", where=nowhere)
    with pytest.raises(InvalidArgumentError, match="--url"):
        call("image", "list-installed", where=("--url", "http://127.0.0.1", "--ca", device.address["ca"]))


def test_a_capability_file_opens_a_finished_device(tmp_path: Path):
    with served() as service, attached(tmp_path / "device", service, ManufacturingState.DEVICE_COMPLETE) as device:
        device.wait_for("check-in")
        with pytest.raises(PermissionDeniedError, match="DeviceComplete"):
            run(device, "image", "list-installed")
        (tmp_path / "it").write_bytes(
            capability_file.build(
                load_configuration(FileFlash(DeviceFolder(device.folder).flash)).device_id,
                (capability_file.FIELD_SERVICING,),
                image_id=uuid.uuid4(),
                built=service.now,
                key=service.os_key,
                certificate=service.os_certificate,
            )
        )
        applied = json.loads(run(device, "capability", "apply", "--file", str(tmp_path / "it"), "--json"))
        assert applied == {"device_capabilities": [capability_file.FIELD_SERVICING]}
        assert "FieldServicing (13)" in run(device, "capability", "apply", "--file", str(tmp_path / "it"))
        assert "RootFs" in run(device, "image", "list-installed")
        (tmp_path / "it").write_bytes(b"no capability file")
        with pytest.raises(PermissionDeniedError, match="expected 392 bytes"):
            run(device, "capability", "apply", "--file", str(tmp_path / "it"))


def test_restart_boots_the_device_again(tmp_path: Path):
    with served() as service, attached(tmp_path / "device", service, ManufacturingState.BLANK) as device:
        device.wait_for("check-in")
        assert json.loads(run(device, "restart", "--json")) == {"restartingSystem": True}
        device.wait_for("rest-listening")
        device.wait_for("check-in")


def test_a_client_certificate_without_its_key_is_not_sent(call: Call, tmp_path: Path):
    (tmp_path / "own.pem").write_text("a certificate")
    with pytest.raises(InvalidArgumentError, match="--private-key-filepath: expected the private key"):
        call("certificate", "add", "--cert-id", "own", "--cert-type", "client", "--public-key-filepath",
             str(tmp_path / "own.pem"))  # fmt: skip

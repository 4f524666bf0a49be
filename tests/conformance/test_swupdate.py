# SPDX-License-Identifier: Apache-2.0
"""Debian's unmodified swupdate installs, confirms, fails and cancels updates over the bridge.

Traps of the program (2024.12): ``-S hawkbit`` is needed where several servers are built in; a ``sw-description`` has to
list hardware-compatibility; without a bootloader's variables nothing remembers an installation, so it is installed at
each poll until a start with ``--confirm`` says how it went, as a boot script does after the restart.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from tests.api.running_service import RunningService, own_service
from tests.fixtures.certificates import self_signed
from tests.fixtures.controllers import PRODUCT, Controller, artifact, bridged_catalog, deploy, service_admission
from tests.fixtures.processes import killed_process
from tests.fixtures.waiting import wait_while

SWUPDATE, OPENSSL = shutil.which("swupdate"), shutil.which("openssl")
pytestmark = pytest.mark.skipif(
    SWUPDATE is None or OPENSSL is None, reason="needs swupdate and openssl: sudo apt-get install swupdate openssl"
)
service = own_service(bridge_port="0")

# --confirm: how the update before this start went (swupdate's update_state_t).
WENT_WELL, WENT_WRONG = "2", "3"
PAYLOAD = os.urandom(200_000)
BOARD = 'identify : ( { name = "board"; value = "bench"; } );'


class Maker:
    """A device's maker: signs packages with a key whose certificate its devices have."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key, self.certificate = folder / "maker-key.pem", folder / "maker.pem"
        _openssl(
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=maker",
            "-addext", "extendedKeyUsage=emailProtection,codeSigning",
            "-keyout", self.key, "-out", self.certificate,
        )  # fmt: skip

    def package(self, target: Path, *, version: str, good: bool = True) -> bytes:
        """A ``.swu`` that writes the payload to a file; a bad one was changed after it was signed."""
        description = (
            f'software = {{ version = "{version}"; hardware-compatibility = [ "1.0" ];\n'
            f'  files: ( {{ filename = "payload"; path = "{target}"; sha256 = "{sha256(PAYLOAD).hexdigest()}"; }} );\n}}\n'
        ).encode()
        plain, signed = self.folder / "sw-description", self.folder / "sw-description.sig"
        plain.write_bytes(description)
        _openssl(
            "cms", "-sign", "-in", plain, "-out", signed, "-signer", self.certificate, "-inkey", self.key,
            "-outform", "DER", "-nosmimecap", "-binary",
        )  # fmt: skip
        if not good:
            description = description.replace(b"1.0", b"1.0 ")
        entries = (("sw-description", description), ("sw-description.sig", signed.read_bytes()), ("payload", PAYLOAD))
        return b"".join(_cpio(name, content) for name, content in (*entries, ("TRAILER!!!", b"")))


def _openssl(*arguments: object) -> None:
    subprocess.run([str(OPENSSL), *map(str, arguments)], check=True, capture_output=True, timeout=60)


def _cpio(name: str, content: bytes) -> bytes:
    """An entry of an archive in cpio's "crc" format (magic 070702): the one that swupdate reads."""
    path = name.encode() + b"\0"
    numbers = (1, 0o100644, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(path), sum(content) & 0xFFFFFFFF)
    head = b"070702" + b"".join(b"%08X" % each for each in numbers) + path
    return head + b"\0" * (-len(head) % 4) + content + b"\0" * (-len(content) % 4)


@pytest.fixture(scope="module")
def maker(tmp_path_factory: pytest.TempPathFactory) -> Maker:
    return Maker(tmp_path_factory.mktemp("maker"))


@pytest.fixture
def catalog(service: RunningService) -> str:
    return bridged_catalog(service, polling_s=10)


@contextlib.contextmanager
def swupdate(
    device: Controller,
    maker: Maker,
    folder: Path,
    *options: str,
    port: int = 0,
    certificate: Path | None = None,
    attributes: str = "",
) -> Iterator[Callable[[], None]]:
    """The program as a device runs it: its files in a folder of its own, this service's root trusted.

    Yields what fails, with the end of its log, when it has ended. With attributes the first poll is spent on them.
    """
    private = folder / "run"
    private.mkdir(exist_ok=True)
    shown = "" if certificate is None else f'sslcert = "{certificate}"; sslkey = "{certificate}";'
    configuration, log = folder / "swupdate.cfg", folder / "swupdate.log"
    configuration.write_text(
        f'globals : {{ verbose = true; }};\nsuricatta : {{ cafile = "{device.service.root}"; {shown} }};\n{attributes}\n'
    )
    address = f"https://localhost:{port or device.service.port}"
    words = ["-S", "hawkbit", "-t", device.tenant or device.catalog, "-u", address, "-i", device.controller, "-p", "1"]
    command = [
        str(SWUPDATE), "-v", "-M", "-m", "-H", "dev:1.0", "-k", str(maker.certificate), "-f", str(configuration),
        "-u", " ".join([*words, *options]),
    ]  # fmt: skip
    environment = {**os.environ, "TMPDIR": str(private)}
    with (
        log.open("ab") as output,
        killed_process(command, stdout=output, stderr=output, env=environment, cwd=folder) as process,
    ):

        def runs() -> None:
            assert process.poll() is None, f"swupdate ended: {log.read_text(errors='replace')[-3000:]}"

        yield runs


def until(runs: Callable[[], None], condition: Callable[[], object], what: str) -> None:
    wait_while(runs, condition, what, deadline_s=90)


def test_an_update_is_installed_and_confirmed_after_the_restart(
    service: RunningService, catalog: str, maker: Maker, tmp_path: Path
) -> None:
    target = tmp_path / "installed"
    device = Controller.made(service, catalog)
    image = artifact(service, catalog, maker.package(target, version="2.0"), version="2.0")
    deploy(service, catalog, image["image_id"])
    with swupdate(device, maker, tmp_path, "-k", device.token) as runs:
        until(runs, lambda: device.has_said("All Chunks Installed."), what="the installation")
    assert target.read_bytes() == PAYLOAD
    assert device.state() == "running", "installed is not yet proven"
    assert device.shown()["installed"] == []
    with swupdate(device, maker, tmp_path, "-k", device.token, "-c", WENT_WELL) as runs:
        until(runs, lambda: device.state() == "finished", what="the confirmation")
    (action,) = device.actions()
    last = device.said(action["action"])[-1]
    assert (last["event"], last["messages"]) == ("succeed", ["Update Installed."])
    assert [each["image_id"] for each in device.shown()["installed"]] == [image["image_id"]]
    assert "deploymentBase" not in device.links(), "it is not offered again"


def test_a_package_that_was_changed_is_refused_by_the_device_and_heard_of(
    service: RunningService, catalog: str, maker: Maker, tmp_path: Path
) -> None:
    target = tmp_path / "installed"
    device = Controller.made(service, catalog)
    image = artifact(service, catalog, maker.package(target, version="2.0", good=False))
    deploy(service, catalog, image["image_id"])
    with swupdate(device, maker, tmp_path, "-k", device.token) as runs:
        until(runs, lambda: device.state() == "error", what="the failure")
    assert not target.exists()
    (action,) = device.actions()
    assert action["reason"]
    device_id = device.shown()["device_id"]
    outcomes = service.call("GET", f"/api/v1/devices/{device_id}/outcomes").body["items"]
    assert [each["outcome"] for each in outcomes] == ["failed"]


def test_a_start_that_says_that_the_update_went_wrong_closes_it(
    service: RunningService, catalog: str, maker: Maker, tmp_path: Path
) -> None:
    """With the gateway token, of a device that registers itself."""
    token = service_admission(service, catalog, gateway_token="new", registers_into=f"{PRODUCT}/Production")["token"]
    deploy(service, catalog, artifact(service, catalog, maker.package(tmp_path / "x", version="2.0"))["image_id"])
    device = Controller(service, catalog, "gateway-child-1", f"GatewayToken {token}")
    with swupdate(device, maker, tmp_path, "-g", token, "-c", WENT_WRONG) as runs:
        until(runs, lambda: device.is_known() and device.state() == "error", what="the failure")
    assert device.actions()[0]["reason"] == "Update Failed."


def test_a_cancellation_is_acknowledged(service: RunningService, catalog: str, maker: Maker, tmp_path: Path) -> None:
    device = Controller.made(service, catalog)
    deploy(service, catalog, artifact(service, catalog, maker.package(tmp_path / "x", version="2.0"))["image_id"])
    device.links()
    number = device.actions()[0]["action"]
    place = f"/api/v1/catalogs/{catalog}/bridge-devices/{device.controller}/actions/{number}/cancel"
    assert service.call("POST", place, {}).body["state"] == "canceling"
    with swupdate(device, maker, tmp_path, "-k", device.token) as runs:
        until(runs, lambda: device.state() == "canceled", what="the acknowledgement")
    assert device.has_said("cancellation acknowledged.")
    assert not (tmp_path / "x").exists()


def test_a_device_with_a_certificate_needs_no_token(service: RunningService, maker: Maker, tmp_path: Path) -> None:
    catalog = bridged_catalog(service, certificates=True, registers_into=f"{PRODUCT}/Production")
    _, pem, authority = self_signed(tmp_path, "Fleet of swupdate", authority=True)
    added = service.call("POST", f"/api/v1/catalogs/{catalog}/bridge-authorities", {"certificate": pem})
    assert added.status == 200, added.raw
    file, _, _ = self_signed(tmp_path, "cert-1", issuer=authority)
    device = Controller(service, catalog, "cert-1")
    port = service.ports["bridge_port"]
    with swupdate(device, maker, tmp_path, port=port, certificate=file, attributes=BOARD) as runs:
        until(runs, lambda: device.is_known() and device.shown()["attributes"], what="its attributes")
    assert device.shown()["attributes"] == {"board": "bench"}

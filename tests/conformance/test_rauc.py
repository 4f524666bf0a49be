# SPDX-License-Identifier: Apache-2.0
"""RAUC's unmodified updater (rauc-hawkbit-updater) and Debian's unmodified RAUC install, refuse and cancel updates.

The updater polls the bridge, fetches, and asks RAUC over D-Bus to install. RAUC is on a bus of its own here, for a board
of two slots that are files: it checks the bundle's signature, mounts it, and writes the slot that is not in use.

Debian 13 has no package of the updater. Build it from https://github.com/rauc/rauc-hawkbit-updater (tried: 227a2f3)::

    apt-get install meson gcc pkg-config libcurl4-openssl-dev libjson-glib-dev libglib2.0-dev
    meson setup build && meson compile -C build && export RAUC_HAWKBIT_UPDATER=$PWD/build/rauc-hawkbit-updater

Traps: it has no option for the authority of its server and goes by the system's, so this service's root is bound over
those, in a namespace of its own. RAUC's mounts are in one as well, so that they end with it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.api.running_service import RunningService, own_service
from tests.fixtures.certificates import self_signed
from tests.fixtures.controllers import PRODUCT, Controller, artifact, bridged_catalog, deploy, service_admission
from tests.fixtures.processes import killed_process
from tests.fixtures.waiting import wait_until, wait_while

from armillary.wire.hawkbit.action import FINAL

UPDATER = os.environ.get("RAUC_HAWKBIT_UPDATER", "")
MISSING = [each for each in ("rauc", "dbus-daemon", "mksquashfs", "bwrap") if shutil.which(each) is None]
MOUNTS = os.geteuid() == 0 and Path("/dev/loop-control").exists()
pytestmark = [
    pytest.mark.skipif(
        not UPDATER, reason=f"RAUC_HAWKBIT_UPDATER names no rauc-hawkbit-updater: build it as {__name__} says"
    ),
    pytest.mark.skipif(
        bool(MISSING),
        reason=f"{', '.join(MISSING)} missing: sudo apt-get install rauc-service dbus-daemon squashfs-tools bubblewrap",
    ),
    pytest.mark.skipif(not MOUNTS, reason="RAUC mounts bundles: run as root, where there are loop devices"),
]
service = own_service(bridge_port="0")

COMPATIBLE = "bench"
# Where libcurl of Debian looks for the authorities that the host trusts.
AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
SLOT_BYTES = 1 << 20
SYSTEM = os.urandom(300_000)


class Maker:
    """A device's maker: signs bundles with a key whose authority its devices have."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        _, pem, authority = self_signed(folder, "maker", authority=True)
        self.keyring = folder / "keyring.pem"
        self.keyring.write_text(pem)
        self.key, _, _ = self_signed(folder, "release key", issuer=authority)

    def bundle(self, version: str) -> bytes:
        """A bundle with a new system for the slot that is not in use."""
        content, bundle = self.folder / f"content-{version}", self.folder / f"{version}.raucb"
        content.mkdir()
        (content / "rootfs.img").write_bytes(SYSTEM)
        (content / "manifest.raucm").write_text(
            f"[update]\ncompatible={COMPATIBLE}\nversion={version}\n\n"
            "[bundle]\nformat=plain\n\n[image.rootfs]\nfilename=rootfs.img\n"
        )
        made = ["rauc", "bundle", "--cert", self.key, "--key", self.key, content, bundle]
        subprocess.run([*map(str, made)], check=True, capture_output=True, timeout=60)
        return bundle.read_bytes()


class Board:
    """A board of two slots, booted from the first, with RAUC's service on a bus of its own."""

    def __init__(self, folder: Path, keyring: Path) -> None:
        self.folder = folder
        self.slots = (folder / "slot.a", folder / "slot.b")
        self.bus = {
            "DBUS_STARTER_BUS_TYPE": "session", "DBUS_SESSION_BUS_ADDRESS": f"unix:path={folder}/bus",
        }  # fmt: skip
        for each in (folder / "data", folder / "mount", *self.slots):
            each.mkdir() if each.suffix == "" else each.write_bytes(bytes(SLOT_BYTES))
        self.configuration = folder / "system.conf"
        self.configuration.write_text(
            f"[system]\ncompatible={COMPATIBLE}\nbootloader=noop\nmountprefix={folder}/mount\n"
            f"data-directory={folder}/data\nbundle-formats=+plain\n\n[keyring]\npath={keyring}\n\n"
            + "".join(
                f"[slot.rootfs.{number}]\ndevice={path}\ntype=raw\nbootname={'AB'[number]}\n\n"
                for number, path in enumerate(self.slots)
            )
        )

    @property
    def spare(self) -> bytes:
        """What the slot that is not in use holds."""
        return self.slots[1].read_bytes()

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """The bus and RAUC's service on it."""
        environment = {**os.environ, **self.bus}
        bus = [
            "dbus-daemon",
            "--session",
            "--nofork",
            "--nopidfile",
            f"--address={self.bus['DBUS_SESSION_BUS_ADDRESS']}",
        ]
        rauc = ["unshare", "--mount", "rauc", "service", f"--conf={self.configuration}", "--override-boot-slot=A"]
        log = self.folder / "rauc.log"
        with log.open("wb") as output, killed_process(bus, stdout=output, stderr=output):
            wait_until((self.folder / "bus").exists, what="the bus")
            with killed_process(rauc, stdout=output, stderr=output, env=environment) as started:

                def runs() -> None:
                    assert started.poll() is None, f"RAUC ended: {log.read_text(errors='replace')[-3000:]}"

                wait_while(runs, self._answers, what="RAUC's service")
                yield

    def _answers(self) -> bool:
        asked = subprocess.run(
            ["rauc", "status"], env={**os.environ, **self.bus}, capture_output=True, timeout=30, check=False
        )
        return asked.returncode == 0


@pytest.fixture(scope="module")
def maker(tmp_path_factory: pytest.TempPathFactory) -> Maker:
    return Maker(tmp_path_factory.mktemp("maker"))


@pytest.fixture
def board(maker: Maker, tmp_path: Path) -> Iterator[Board]:
    made = Board(tmp_path, maker.keyring)
    with made.running():
        yield made


@pytest.fixture
def catalog(service: RunningService) -> str:
    return bridged_catalog(service, polling_s=10)


@contextlib.contextmanager
def updater(device: Controller, board: Board, port: int = 0, **identity: object) -> Iterator[Callable[[], None]]:
    """The updater as a device runs it; yields what fails, with the end of its log, when it has ended."""
    options = {
        "hawkbit_server": f"localhost:{port or device.service.port}", "ssl": "true", "ssl_verify": "true",
        "tenant_id": device.catalog, "target_name": device.controller,
        "bundle_download_location": board.folder / "bundle.raucb", "retry_wait": 1, "log_level": "debug", **identity,
    }  # fmt: skip
    configuration, log = board.folder / "updater.conf", board.folder / "updater.log"
    lines = "".join(f"{name} = {value}\n" for name, value in options.items())
    configuration.write_text(f"[client]\n{lines}\n[device]\nboard = {COMPATIBLE}\n")
    command = [
        *("bwrap", "--dev-bind", "/", "/", "--ro-bind", str(device.service.root), AUTHORITIES),
        *("--", UPDATER, "-c", str(configuration)),
    ]
    with (
        log.open("ab") as output,
        killed_process(command, stdout=output, stderr=output, env={**os.environ, **board.bus}) as process,
    ):

        def runs() -> None:
            assert process.poll() is None, f"the updater ended: {log.read_text(errors='replace')[-3000:]}"

        yield runs


def until(runs: Callable[[], None], condition: Callable[[], object], what: str) -> None:
    wait_while(runs, condition, what, deadline_s=90)


def idle_polls(board: Board) -> int:
    """How often the updater asked and was told that there is nothing to do."""
    return (board.folder / "updater.log").read_text().count("No new software.")


def bundled(service: RunningService, catalog: str, maker: Maker, version: str) -> str:
    """Upload a bundle, and put it in force for the group; the image id of the artifact."""
    image = artifact(service, catalog, maker.bundle(version), version=version, filename="bench.raucb")
    deploy(service, catalog, image["image_id"])
    return str(image["image_id"])


def test_an_update_is_installed_into_the_other_slot(
    service: RunningService, catalog: str, maker: Maker, board: Board
) -> None:
    device = Controller.made(service, catalog)
    image = bundled(service, catalog, maker, "2.0")
    with updater(device, board, auth_token=device.token) as runs:
        until(runs, lambda: device.state() in FINAL, what="the installation")
        assert device.state() == "finished", device.said(device.actions()[0]["action"])
        assert board.spare.startswith(SYSTEM)
        assert not any(board.slots[0].read_bytes()), "what runs stays"
        polled = idle_polls(board)
        until(runs, lambda: idle_polls(board) > polled, what="a poll that brings nothing")
    (action,) = device.actions()
    last = device.said(action["action"])[-1]
    assert (last["event"], last["messages"]) == ("succeed", ["Software bundle installed successfully."])
    assert device.has_said("Copying image to rootfs.1 done."), "RAUC's own progress is there to be read"
    assert [each["image_id"] for each in device.shown()["installed"]] == [image]
    assert device.shown()["attributes"] == {"board": COMPATIBLE}


def test_a_bundle_of_another_maker_is_refused_by_rauc_and_heard_of(
    service: RunningService, catalog: str, board: Board, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """With the gateway token, of a device that registers itself."""
    token = service_admission(service, catalog, gateway_token="new", registers_into=f"{PRODUCT}/Production")["token"]
    bundled(service, catalog, Maker(tmp_path_factory.mktemp("stranger")), "2.0")
    device = Controller(service, catalog, "gateway-child-1", f"GatewayToken {token}")
    with updater(device, board, gateway_token=token) as runs:
        until(runs, lambda: device.is_known() and device.state() in FINAL, what="the failure")
    assert device.state() == "error"
    assert not any(board.spare)
    assert device.actions()[0]["reason"] == "Failed to install software bundle."
    assert device.has_said("LastError: signature verification failed"), "and why"


def test_a_deployment_of_two_artifacts_is_more_than_it_takes(
    service: RunningService, catalog: str, maker: Maker, board: Board
) -> None:
    device = Controller.made(service, catalog)
    images = (artifact(service, catalog, os.urandom(2000), name=name)["image_id"] for name in ("one", "two"))
    deploy(service, catalog, *images)
    with updater(device, board, auth_token=device.token) as runs:
        until(runs, lambda: device.state() in FINAL, what="the failure")
    assert device.state() == "error"
    assert "cannot handle multiple chunks" in device.actions()[0]["reason"]


def test_a_cancellation_is_acknowledged(service: RunningService, catalog: str, maker: Maker, board: Board) -> None:
    device = Controller.made(service, catalog)
    bundled(service, catalog, maker, "3.0")
    device.links()
    number = device.actions()[0]["action"]
    place = f"/api/v1/catalogs/{catalog}/bridge-devices/{device.controller}/actions/{number}/cancel"
    assert service.call("POST", place, {}).body["state"] == "canceling"
    with updater(device, board, auth_token=device.token) as runs:
        until(runs, lambda: device.state() == "canceled", what="the acknowledgement")
    assert device.has_said("Action canceled.")
    assert not any(board.spare)


def test_a_device_with_a_certificate_needs_no_token(
    service: RunningService, maker: Maker, board: Board, tmp_path: Path
) -> None:
    catalog = bridged_catalog(service, certificates=True, registers_into=f"{PRODUCT}/Production", polling_s=10)
    _, pem, authority = self_signed(tmp_path, "Fleet of RAUC", authority=True)
    added = service.call("POST", f"/api/v1/catalogs/{catalog}/bridge-authorities", {"certificate": pem})
    assert added.status == 200, added.raw
    file, _, _ = self_signed(tmp_path, "cert-1", issuer=authority)
    device = Controller(service, catalog, "cert-1")
    bundled(service, catalog, maker, "4.0")
    with updater(device, board, service.ports["bridge_port"], ssl_key=file, ssl_cert=file) as runs:
        until(runs, lambda: device.is_known() and device.state() in FINAL, what="the installation")
    assert device.state() == "finished", device.said(device.actions()[0]["action"])
    assert board.spare.startswith(SYSTEM)

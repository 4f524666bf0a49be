# SPDX-License-Identifier: Apache-2.0
"""The device process of a machine, from its start: it becomes the device that it was told, with the disk it is on."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import ssl
from pathlib import Path
from typing import Any

import pytest
from tests.device.machine.test_enrolment import WHOLE

from armillary.device.boot import flashed_os, provision
from armillary.device.machine import being, cellular, enrolling, first, network, program
from armillary.device.machine.reporting import Told
from armillary.device.state.layout import DeviceFolder
from armillary.device_image import disk as disk_layout, virtual_machine
from armillary.engines.flash.boot_slots import EfiBootSlots
from armillary.engines.flash.os_disk import OsDisk
from armillary.errors import OperatorError


class StoppedError(Exception):
    """The machine would wait now."""


@pytest.fixture
def disk(tmp_path: Path) -> OsDisk:
    slots = {"boot/unified-kernel-image": tmp_path, "boot/root-fs": tmp_path}
    return OsDisk(slots, EfiBootSlots({}, variables=tmp_path), "x")


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, disk: OsDisk) -> list[tuple[object, ...]]:
    """What the device process comes to on a machine that is told something on its disk and is no device yet."""
    done: list[tuple[object, ...]] = []
    folder = DeviceFolder(tmp_path / "device")

    def enrol(where: DeviceFolder, told: object, disk: OsDisk) -> None:
        done.append(("enrols", where.root, told, disk))
        where.root.mkdir()
        (where.root / "layout.json").write_text("{}")

    def stop(_seconds: float) -> None:
        raise StoppedError

    @contextlib.contextmanager
    def online(interface: object) -> Any:
        done.append(("is on-line", interface))
        yield

    (tmp_path / "told").write_text(json.dumps(WHOLE))
    monkeypatch.setattr(enrolling, "PLACES", (tmp_path / "told",))
    monkeypatch.setattr(program, "ENROLMENT", tmp_path / "told")
    monkeypatch.setattr(enrolling, "enrol", enrol)
    monkeypatch.setattr(network, "modem_card", lambda: "eth9")
    monkeypatch.setattr(cellular, "online", online)
    monkeypatch.setattr(program, "DeviceFolder", lambda _place: folder)
    monkeypatch.setattr(program, "open_os_disk", lambda node, components, **_: done.append((node, components)) or disk)
    monkeypatch.setattr(program.time, "sleep", stop)
    monkeypatch.setattr(program, "hollow", lambda *_: contextlib.nullcontext())
    monkeypatch.setattr(
        program, "gc", type("Gc", (), dict.fromkeys(("disable", "enable", "freeze"), staticmethod(int)))
    )
    monkeypatch.setattr(being, "be_device", lambda _folder, disk, _words, _begun: done.append(("is a device", disk)))
    monkeypatch.setenv(program.DISK_VARIABLE, "/dev/vda")
    return done


def test_it_becomes_what_it_was_told_over_its_modem_too_and_then_is_that_device(
    done: list[tuple[object, ...]], disk: OsDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "told_by_process_1", lambda: Told(keeps=True, faults=()))
    program.main()
    told = enrolling.parse_enrolment(json.dumps(WHOLE).encode())
    assert done == [
        (Path("/dev/vda"), ("unified-kernel-image", "root-fs")),
        ("is on-line", "eth9"),
        ("enrols", tmp_path / "device", told, disk),
        ("is a device", disk),
    ]


def test_where_nothing_is_kept_it_becomes_none(
    done: list[tuple[object, ...]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(program, "told_by_process_1", lambda: Told(keeps=False, faults=()))
    with pytest.raises(StoppedError):
        program.main()
    assert [each[0] for each in done[1:]] == ["is on-line"]
    assert "what an enrolment makes could not be kept" in capsys.readouterr().out


def test_what_a_device_was_told_on_its_disk_is_removed_also_at_its_next_start_and_before_that_stays(
    done: list[tuple[object, ...]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The token in it may be good for other devices."""
    told = tmp_path / "told"
    monkeypatch.setattr(program, "told_by_process_1", lambda: Told(keeps=True, faults=()))
    enrol, unlink = enrolling.enrol, Path.unlink

    def refused(*_: object) -> None:
        raise OperatorError("not now", remedy="Later.")

    monkeypatch.setattr(enrolling, "enrol", refused)
    with pytest.raises(StoppedError):
        program.main()
    assert told.exists(), "it is asked again"
    monkeypatch.setattr(enrolling, "enrol", enrol)

    def fails(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(Path, "unlink", fails)
    program.main()
    assert f"{told} with the token in it stays on the disk: Input/output error" in capsys.readouterr().out
    monkeypatch.setattr(Path, "unlink", unlink)
    program.main()
    assert not told.exists()


def test_the_token_goes_to_the_service_alone_and_the_device_is_made_of_the_disk(
    disk: OsDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[object, ...]] = []
    given: dict[str, Any] = {}

    class Connection:
        status = 200

        def __init__(self, host: str, port: int, *, timeout: float, context: ssl.SSLContext) -> None:
            assert timeout > 0
            asked.append((host, port, context.verify_mode, context.check_hostname, context.cert_store_stats()["x509"]))

        def request(self, method: str, path: str, body: str | None, headers: dict[str, str]) -> None:
            asked.append((method, path, headers["Authorization"], body and json.loads(body)))

        def getresponse(self) -> Connection:
            return self

        def read(self, _limit: int) -> bytes:
            return b"{}"

        def close(self) -> None:
            pass

    monkeypatch.setattr(enrolling.http.client, "HTTPSConnection", Connection)
    monkeypatch.setattr(enrolling, "CHIPS", dict.fromkeys(enrolling.CHIPS, "gateway-x86-64"))
    monkeypatch.setattr(provision, "provision", lambda *_folder, **named: given.update(named))
    monkeypatch.setattr(flashed_os, "find_os", lambda nodes, answer: {(): "26.12"}[(*answer,)] if nodes else "")
    told = enrolling.parse_enrolment(json.dumps(WHOLE).encode())
    enrolling.enrol(DeviceFolder(tmp_path / "device"), told, disk)
    assert {name: given[name] for name in ("chip", "root_of_trust", "sandbox", "disk")} == {
        "chip": "gateway-x86-64",
        "root_of_trust": "tpm2",
        "sandbox": "linux",
        "disk": disk,
    }
    assert asked == [
        ("10.0.2.2", 8443, ssl.CERT_REQUIRED, True, 1),
        ("GET", "/api/v1/factory/releases?chip=gateway-x86-64", "Bearer secret", None),
    ]
    given["factory"]("a request", "gateway-x86-64")
    given["tpm_factory"]("tpm-challenges", {"chip": "x"})
    given["tpm_factory"]("tpm-devices", {"chip": "x"})
    flashed = {"is_flashed": True, "os_version": "26.12"}
    made = {"csr": "a request", "chip": "gateway-x86-64", **flashed}
    assert asked[2] == asked[0]
    assert asked[3] == ("POST", "/api/v1/factory/devices", "Bearer secret", made)
    assert asked[5] == ("POST", "/api/v1/factory/tpm-challenges", "Bearer secret", {"chip": "x"})
    assert asked[7] == ("POST", "/api/v1/factory/tpm-devices", "Bearer secret", {"chip": "x", **flashed})


def test_a_machine_is_told_by_its_host_or_on_its_data_partition() -> None:
    """Whose files these are: QEMU's ``-fw_cfg`` of ``virtual_machine.py``; ``image flash`` and ``put_enrolment``."""
    by_host, on_disk = enrolling.PLACES
    assert str(by_host) == f"/sys/firmware/qemu_fw_cfg/by_name/{virtual_machine.ENROLMENT}/raw"
    assert on_disk == program.ENROLMENT == Path(first.DATA) / disk_layout.ENROLMENT_FILE

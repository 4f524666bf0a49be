# SPDX-License-Identifier: Apache-2.0
"""``armillary device``: the local verbs, as a person types them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest
from tests.fixtures.processes import OwnProcess, killed_process
from typer.testing import CliRunner

from armillary.cli.device import create as create_command, device as command
from armillary.device.boot.provision import boot_region
from armillary.device.state.layout import DeviceFolder
from armillary.device.state.status import write_status
from armillary.engines.flash.file import FileFlash
from armillary.errors import ArmillaryError
from armillary.wire.device.problem import Problem

# Of updates, of the command line, of the service; of libraries, what a device never uses.
PACKAGES_NOT_AT_REST = {"tuf", "securesystemslib", "typer", "structlog", "greenlet", "rich", "pydantic", "sqlalchemy"}
NOT_AT_REST = {
    "aiohttp.client_middleware_digest_auth",
    "aiohttp.web",
    "armillary.attest.appraise",
    "armillary.device.boot.provision",
    "armillary.device.boot.recovery",
    "armillary.device.interface.methods",
    "armillary.engines.flash.os_disk",
    "armillary.device.telemetry.hub_link",
    "armillary.engines.real_time.emulated",
    "armillary.wire.image.application",
    "armillary.wire.image.elf_symbols",
    "armillary.wire.image.firmware",
    "armillary.wire.mqtt.codec",
    "attr.validators",
    "cryptography.hazmat.primitives.serialization.ssh",
    "difflib",
    "html.entities",
    "http.client",
    "importlib.resources",
    "pickle",
    "urllib.request",
    "zipfile",
}


class Remote:
    """Stands for the operator API: answers the factory route out of the small service."""

    address = "https://localhost:8443"

    def __init__(self, service: Any) -> None:
        self._service = service

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def post(self, path: str, body: dict[str, str]) -> Any:
        assert path == "/factory/devices"
        return self._service.factory(body["csr"], body["chip"])


@pytest.fixture
def service(tiny_service: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The small service in its own thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    asyncio.run_coroutine_threadsafe(tiny_service.start(), loop).result(10)
    for module in (command, create_command):
        monkeypatch.setattr(module, "connect", lambda *_: Remote(tiny_service))
    yield tiny_service
    asyncio.run_coroutine_threadsafe(tiny_service.close(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def call(*arguments: str) -> Any:
    return CliRunner().invoke(command.app, list(arguments), prog_name="armillary device")


def create(folder: Path) -> dict[str, Any]:
    result = call("create", "--data", str(folder), "--sandbox", "process", "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@contextlib.contextmanager
def booted(folder: Path, *python: str, options: tuple[str, ...] = ()) -> Iterator[OwnProcess]:
    """The process of a device once it has checked in; ``python`` are options of the interpreter."""
    command_line = ["-m", "armillary", "device", "boot", "--data", str(folder), "--json", *options]
    arguments = [sys.executable, *python, *command_line]
    errors = folder.parent / "stderr"
    with (
        errors.open("w") as stderr,
        killed_process(arguments, stdout=subprocess.PIPE, stderr=stderr, text=True) as process,
    ):
        try:
            deadline = time.monotonic() + 20
            while (json.loads(process.readline() or "{}")).get("event") != "check-in":
                assert process.poll() is None, errors.read_text()
                assert time.monotonic() < deadline
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=20)


def test_create_says_what_it_made_and_that_it_is_software(service: Any, tmp_path: Path) -> None:
    result = call("create", "--data", str(tmp_path / "d"), "--sandbox", "process", "--json")
    made = json.loads(result.stdout)
    assert len(made["device_id"]) == 128
    assert made["chip"] == "mt3620"
    assert "not hardware" in result.stderr
    assert "weaker" in result.stderr, "what the chosen sandbox does not do is said at once"
    again = call("create", "--data", str(tmp_path / "d"), "--sandbox", "process")
    assert isinstance(again.exception, ArmillaryError)
    assert again.exception.code == "host.data-folder"


def test_attest_prints_every_step(service: Any, tmp_path: Path) -> None:
    create(tmp_path / "d")
    result = call("attest", "--data", str(tmp_path / "d"))
    assert result.exit_code == 0
    assert "attested" in result.stdout
    assert "(1)" in result.stdout
    as_json = json.loads(call("attest", "--data", str(tmp_path / "d"), "--json").stdout)
    assert [step["number"] for step in as_json["steps"]] == list(range(1, len(as_json["steps"]) + 1))
    assert all(step["prevents"] for step in as_json["steps"])


def test_running_device_answers_to_check_in_attest_status_and_log(service: Any, tmp_path: Path) -> None:
    folder = tmp_path / "d"
    made = create(folder)
    with booted(folder) as process:
        before = len(service.checks)
        assert call("check-in", "--data", str(folder)).exit_code == 0
        assert len(service.checks) == before + 1
        assert json.loads(call("attest", "--data", str(folder), "--json").stdout)["verdict"] == "attested"
        assert len(service.checks) == before + 2
        status = json.loads(call("status", "--data", str(folder), "--json").stdout)
        assert (status["alive"], status["state"], status["pid"]) == (True, "running", process.pid)
        assert status["device_id"] == made["device_id"]
        second = call("boot", "--data", str(folder))
        assert second.exception.code == "host.data-folder-in-use"
    assert process.returncode == 0
    assert "weaker sandbox: " in (tmp_path / "stderr").read_text()
    text = call("status", "--data", str(folder))
    assert "stopped" in text.stdout
    assert "weaker:" in text.stderr
    assert isinstance(call("check-in", "--data", str(folder)).exception, ArmillaryError)
    events = [json.loads(line)["event"] for line in call("log", "--data", str(folder), "--json").stdout.splitlines()]
    assert events[0] == "booted"
    assert events.count("check-in") == before + 2
    assert len(call("log", "--data", str(folder), "--last", "2").stdout.splitlines()) == 2


def test_status_says_what_holds_each_application(service: Any, tmp_path: Path) -> None:
    folder = tmp_path / "d"
    create(folder)
    bound = {"application": "tap", "granted": "memory", "value": "256 MiB", "mechanism": "memory-limit"}
    held_by = [
        bound | {"granted": "user", "value": "", "mechanism": "user", "held": True, "why": ""},
        bound | {"held": False, "why": "no control groups"},
    ]
    write_status(folder / "status.json", {"state": "running", "applications": [{"name": "tap", "held_by": held_by}]})
    shown = call("status", "--data", str(folder))
    assert "tap: 1 of 2 bounds held" in shown.stderr
    assert "tap: not held: memory 256 MiB by memory-limit: no control groups" in shown.stderr
    assert json.loads(call("status", "--data", str(folder), "--json").stdout)["applications"][0]["held_by"] == held_by


def test_serial_ports_are_told_at_the_start_and_shown_by_status(service: Any, tmp_path: Path) -> None:
    folder = tmp_path / "d"
    create(folder)
    outer, inner = os.openpty()
    node = os.ttyname(inner)
    try:
        with booted(folder, options=("--peripheral", f"Uart:ISU0={node}", "--peripheral", "Uart:ISU1=/dev/none-such")):
            refused = call("boot", "--data", str(folder), "--peripheral", "UART2")
            assert "expected Uart:NAME=NODE" in str(refused.exception)
            shown = call("status", "--data", str(folder))
        assert f"serial port ISU0: {node}" in shown.stderr
        refused = call("boot", "--data", str(folder), "--peripheral", f"Uart:ISU9={node}")
        assert "expected a serial port of MediaTek MT3620 (ISU0, ISU1, ISU2, ISU3, ISU4)" in str(refused.exception)
    finally:
        os.close(outer)
        os.close(inner)


def test_a_device_that_runs_no_application_and_is_not_being_updated_loads_nothing_for_either(
    service: Any, tmp_path: Path
) -> None:
    """Each of these costs memory that stays; ``armillary bench sandbox-supervisor`` measures all of it."""
    folder = tmp_path / "d"
    create(folder)
    with booted(folder, "-X", "importtime", options=("--rest", "127.0.0.1:0")):
        assert call("check-in", "--data", str(folder)).exit_code == 0
    lines = (tmp_path / "stderr").read_text().splitlines()
    loaded = {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")}
    assert {"armillary.device.checkin.checkin", "armillary.device.rest.server"} <= loaded
    assert loaded & NOT_AT_REST == set()
    assert {name for name in loaded if name.partition(".")[0] in PACKAGES_NOT_AT_REST} == set()


def test_tampered_boot_ends_with_a_hint_and_recover_repairs_it(service: Any, tmp_path: Path) -> None:
    folder = tmp_path / "d"
    create(folder)
    flash = FileFlash(DeviceFolder(folder).flash)
    package = flash.read(boot_region("normal-world-kernel"))
    flash.write(boot_region("normal-world-kernel"), package[:99] + b"!" + package[100:])
    arguments = [sys.executable, "-m", "armillary", "device", "boot", "--data", str(folder)]
    refused = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)
    assert refused.returncode == 1
    assert "[device.boot]" in refused.stderr
    assert "hint: Restore normal-world-kernel from a release: armillary device recover." in refused.stderr
    assert "boot-refused" in call("status", "--data", str(folder)).stdout
    assert call("attest", "--data", str(folder)).exception.code == "device.boot"
    assert service.checks == []
    repaired = call("recover", "--data", str(folder), "--json")
    assert json.loads(repaired.stdout) == {"restored": ["normal-world-kernel"]}
    assert call("attest", "--data", str(folder)).exit_code == 0
    assert json.loads(call("recover", "--data", str(folder), "--json").stdout) == {"restored": []}


def test_refusal_of_the_service_is_shown_with_its_remedy(service: Any, tmp_path: Path) -> None:
    create(tmp_path / "d")
    service.refuse = (403, Problem("device.unclaimed", "belongs to no catalog yet", "Claim it.", None))
    error = call("attest", "--data", str(tmp_path / "d")).exception
    assert (error.code, error.remedy) == ("device.unclaimed", "Claim it.")


@pytest.mark.parametrize("verb", ["boot", "status", "attest", "check-in", "log", "recover"])
def test_without_a_device_every_verb_says_how_to_make_one(tmp_path: Path, verb: str) -> None:
    error = call(verb, "--data", str(tmp_path)).exception
    assert isinstance(error, ArmillaryError)
    assert "armillary device create" in error.remedy

# SPDX-License-Identifier: Apache-2.0
"""A factory run that is killed anywhere goes on: every device once, every row whole."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from tests.api.running_service import RunningService, own_service
from tests.fault.device_count import devices_in
from tests.fixtures.processes import killed_process
from tests.fixtures.waiting import wait_until

from armillary.cli.catalog.factory_run import FactoryRun, RunOptions, open_run
from armillary.errors import DataFolderError, DataFolderInUseError

DEVICES = 40
SERVICE_OPTIONS = RunOptions(chip="mt3620", sandbox="process", state="DeviceComplete", service="https://x:1")

# The command, killed at a step of its third device.
CUT = """
import os, sys
from armillary.cli.catalog import factory_run
from armillary.cli.main import run
from armillary.device.boot import provision
from armillary.device.state import layout
step, calls = sys.argv[1], [0]
def third(kind, name, after=False):
    inner = getattr(kind, name)
    def call(*given, **named):
        calls[0] += 1
        if calls[0] == 3 and not after:
            os.kill(os.getpid(), 9)
        value = inner(*given, **named)
        if calls[0] == 3:
            os.kill(os.getpid(), 9)
        return value
    setattr(kind, name, call)
if step == "before the service":
    third(factory_run, "provision")
elif step == "after the answer":
    third(provision, "parse_reply", after=True)
elif step == "before the mark":
    third(layout.DeviceFolder, "finish_creation")
elif step == "after the mark":
    third(layout.DeviceFolder, "finish_creation", after=True)
elif step == "after the label":
    third(factory_run.FactoryRun, "_label", after=True)
elif step == "in the journal":
    class Cut:
        def __getattr__(self, name):
            return getattr(os, name)
        def fsync(self, descriptor):
            calls[0] += 1
            if calls[0] == 3:
                os.ftruncate(descriptor, os.fstat(descriptor).st_size - 7)
                os.kill(os.getpid(), 9)
            os.fsync(descriptor)
    factory_run.os = Cut()
run(sys.argv[2:])
"""

service = own_service()


@pytest.fixture
def env(service: RunningService, tmp_path: Path) -> dict[str, str]:
    return {
        **os.environ,
        "ARMILLARY_SERVICE": service.address,
        "ARMILLARY_CA": str(service.root),
        "ARMILLARY_TOKEN": service.token,
        "XDG_CONFIG_HOME": str(tmp_path),
    }


def arguments(folder: Path, count: int, *more: str) -> list[str]:
    return ["factory", "run", "--output", str(folder), "--count", str(count), "--sandbox", "process", "--json", *more]


def finish(env: dict[str, str], folder: Path, count: int) -> dict[str, int]:
    command = [sys.executable, "-m", "armillary", *arguments(folder, count)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr
    assert "devices" not in done.stderr.splitlines()  # a bar is for terminals
    found: dict[str, int] = json.loads(done.stdout)
    return found


def check(service: RunningService, folder: Path, count: int, before: int) -> None:
    rows = list(csv.DictReader((folder / "devices.csv").open(newline="")))
    assert [int(row["number"]) for row in rows] == list(range(1, count + 1))
    ids = {row["device_id"] for row in rows}
    assert len(ids) == count
    assert devices_in(service.service) == before + count, "one device a row, none besides"
    for row in rows:
        assert service.service.registry.devices.get(row["device_id"]).chip == row["chip"] == "mt3620"
        assert (folder / row["folder"] / "layout.json").exists()
        assert ET.fromstring((folder / row["label"]).read_bytes()).tag.endswith("svg")  # noqa: S314 - our own file
    assert sum(1 for _ in (folder / "journal.jsonl").open()) == count


@pytest.mark.timeout(180)
def test_killed_at_any_time_and_given_again(service: RunningService, env: dict[str, str], tmp_path: Path) -> None:
    chance = random.Random(5)  # noqa: S311 - reproducible, not secret
    folder, before = tmp_path / "run1", devices_in(service.service)
    kills = 0
    for _ in range(4):
        noted = len(journal(folder))
        command = [sys.executable, "-m", "armillary", *arguments(folder, DEVICES)]
        with killed_process(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env) as process:
            wait_until(
                lambda n=noted + 3, p=process: len(journal(folder)) >= n or p.poll() is not None, "three more devices"
            )
            time.sleep(chance.random() / 20)
            kills += process.end() == -signal.SIGKILL
    assert kills >= 2
    found = finish(env, folder, DEVICES)
    assert found["made"] + found["made_before"] == DEVICES
    assert found["made_before"] > 0
    check(service, folder, DEVICES, before)
    assert finish(env, folder, DEVICES)["made"] == 0  # and again: nothing to do
    assert finish(env, folder, DEVICES + 2)["made"] == 2  # a run may grow
    check(service, folder, DEVICES + 2, before)


def journal(folder: Path) -> list[bytes]:
    path = folder / "journal.jsonl"
    return path.read_bytes().splitlines() if path.exists() else []


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "step",
    [
        "before the service",
        "after the answer",
        "before the mark",
        "after the mark",
        "after the label",
        "in the journal",
    ],
)
def test_killed_at_each_step_of_a_device(
    service: RunningService, env: dict[str, str], tmp_path: Path, step: str
) -> None:
    folder, before = tmp_path / "run1", devices_in(service.service)
    cut = [sys.executable, "-c", CUT, step, *arguments(folder, 5)]
    killed = subprocess.run(cut, capture_output=True, text=True, check=False, env=env)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert finish(env, folder, 5)["made_before"] == 2
    check(service, folder, 5, before)


@pytest.mark.timeout(120)
def test_a_service_that_is_down_stops_the_run_with_one_clear_error(env: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "run1"
    command = [sys.executable, "-m", "armillary", *arguments(folder, 5), "--service", "https://localhost:9"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 1
    assert done.stderr.count("error:") == 1
    assert "host.service-unreachable" in done.stderr
    assert "0 of 5 devices are made; the same command goes on." in done.stderr
    assert "Traceback" not in done.stderr
    assert list(csv.DictReader((folder / "devices.csv").open(newline=""))) == []


def test_a_run_goes_on_with_its_own_options_and_alone(tmp_path: Path) -> None:
    folder = tmp_path / "run1"
    with open_run(folder, SERVICE_OPTIONS), pytest.raises(DataFolderInUseError), open_run(folder, SERVICE_OPTIONS):
        pass
    other = RunOptions(chip="imx8mp", sandbox="process", state="DeviceComplete", service="https://x:1")
    with pytest.raises(DataFolderError, match="chip='mt3620'"), open_run(folder, other):
        pass
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_bytes(b"")
    with pytest.raises(DataFolderError, match="empty folder"), open_run(tmp_path / "photos", SERVICE_OPTIONS):
        pass


@pytest.mark.parametrize("damage", [b"{}\n", b"garbage\n", b'{"number": 1}\n'])
def test_a_damaged_journal_is_said_and_left_alone(tmp_path: Path, damage: bytes) -> None:
    with open_run(tmp_path, SERVICE_OPTIONS) as run:
        assert isinstance(run, FactoryRun)
    (tmp_path / "journal.jsonl").write_bytes(damage)
    with pytest.raises(DataFolderError, match="line 1"), open_run(tmp_path, SERVICE_OPTIONS):
        pass
    assert (tmp_path / "journal.jsonl").read_bytes() == damage


def test_a_damaged_note_of_the_options_is_said(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("[]")
    with pytest.raises(DataFolderError, match="damaged"), open_run(tmp_path, SERVICE_OPTIONS):
        pass


def test_two_devices_of_one_number_are_said(tmp_path: Path) -> None:
    with open_run(tmp_path, SERVICE_OPTIONS):
        pass
    row = {"chip": "mt3620", "manufacturing_state": "DeviceComplete", "os_version": "26.11", "made_at": 1}
    lines = (json.dumps({**row, "number": 1, "device_id": one * 128}) for one in "ab")
    (tmp_path / "journal.jsonl").write_text("\n".join(lines) + "\n")
    with pytest.raises(DataFolderError, match="two lines"), open_run(tmp_path, SERVICE_OPTIONS):
        pass


def test_a_line_that_was_cut_off_is_dropped(tmp_path: Path) -> None:
    with open_run(tmp_path, SERVICE_OPTIONS):
        pass
    (tmp_path / "journal.jsonl").write_bytes(b'{"number": 1, "dev')
    with open_run(tmp_path, SERVICE_OPTIONS) as run:
        assert run.made == {}
        assert run.missing(2) == [1, 2]
    assert (tmp_path / "journal.jsonl").read_bytes() == b""

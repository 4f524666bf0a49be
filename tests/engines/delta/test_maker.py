# SPDX-License-Identifier: Apache-2.0
"""The process that makes a delta: whole or not there, one of several works, nothing else is left behind."""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import sys
import threading
from io import BytesIO
from pathlib import Path

import pytest
from tests.fixtures.processes import OwnProcess
from tests.fixtures.waiting import wait_until
from tests.update.delta.pairs import digest, edited, noise, text

from armillary.engines.delta import maker
from armillary.engines.delta.files import apply_delta
from armillary.engines.durable import PARTIAL_SUFFIX
from armillary.errors import DeltaError

OLD = text(1, 200_000)
NEW = edited(OLD, 5, 5)


def blob(folder: Path, content: bytes) -> Path:
    path = folder / digest(content).sha256.hex()
    path.write_bytes(content)
    return path


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path, Path]:
    return blob(tmp_path, OLD), blob(tmp_path, NEW), tmp_path / "delta"


def leads_to_new(files: tuple[Path, Path, Path]) -> bool:
    made = BytesIO()
    with files[0].open("rb") as source:
        apply_delta((digest(OLD), source), digest(NEW), BytesIO(files[2].read_bytes()), made.write)
    return made.getvalue() == NEW


def only_these(files: tuple[Path, Path, Path], *names: str) -> None:
    kept = {files[0].name, files[1].name, *names}
    assert {path.name for path in files[0].parent.iterdir()} == kept


def test_the_process_makes_a_delta(files: tuple[Path, Path, Path]) -> None:
    command = [sys.executable, "-P", "-m", "armillary.engines.delta.maker", *map(str, files)]
    with OwnProcess(command, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        assert process.stderr.read() == ""
        assert process.wait(60) == 0
    assert leads_to_new(files)
    only_these(files, "delta")


def test_the_process_gives_way_has_a_limit_of_memory_and_ends_with_its_service(files: tuple[Path, Path, Path]) -> None:
    """What it says of itself while it waits for another that makes the same; its service is killed without a word."""
    command = [sys.executable, "-P", "-m", "armillary.engines.delta.maker", *map(str, files)]
    service = f"import subprocess, sys; print(subprocess.Popen({command!r}).pid, flush=True); sys.stdin.read()"
    with (
        (files[2].parent / f"delta{PARTIAL_SUFFIX}").open("wb") as busy,
        OwnProcess([sys.executable, "-c", service], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent,
    ):
        fcntl.flock(busy, fcntl.LOCK_EX)
        process = Path(f"/proc/{int(parent.readline())}")
        most = maker.MAX_MEMORY_BYTES + len(OLD) + len(NEW)
        limit = re.compile(rf"Max address space +{most} ")
        wait_until(lambda: limit.search((process / "limits").read_text()), "the process has limited itself")
        niceness = int((process / "stat").read_text().rpartition(")")[2].split()[16])  # proc(5), field 19
        assert niceness == min(19, os.nice(0) + 15)
        parent.kill()
        wait_until(lambda: not process.exists() or " Z " in (process / "stat").read_text(), "it ends with its service")


def test_a_pair_with_nothing_in_common_leaves_an_empty_file(tmp_path: Path) -> None:
    files = blob(tmp_path, OLD), blob(tmp_path, noise(3, 100_000)), tmp_path / "delta"
    maker.make(*files)
    assert files[2].read_bytes() == b""
    only_these(files, "delta")


@pytest.mark.parametrize("which", [0, 1])
def test_a_file_that_was_changed_on_the_disk_leaves_nothing(files: tuple[Path, Path, Path], which: int) -> None:
    with files[which].open("r+b") as file:
        file.write(b"changed")
    with pytest.raises(DeltaError, match=f"SHA-256 {files[which].name}"):
        maker.make(*files)
    only_these(files)


def test_a_delta_that_does_not_lead_to_its_target_is_not_kept(
    files: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(source: object, target: object, write: object) -> None:
        written = BytesIO()
        real(source, target, written.write)
        damaged = bytearray(written.getvalue())
        damaged[-1] ^= 1
        write(bytes(damaged))

    real = maker.write_delta
    monkeypatch.setattr(maker, "write_delta", wrong)
    with pytest.raises(DeltaError):
        maker.make(*files)
    only_these(files)


def test_what_a_killed_process_left_is_overwritten(files: tuple[Path, Path, Path]) -> None:
    files[2].with_name("delta.partial").write_bytes(bytes(500_000))
    maker.make(*files)
    assert leads_to_new(files)
    only_these(files, "delta")


def test_of_two_processes_one_works_and_the_other_waits(
    files: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, waits = [], threading.Event()
    real_fill, real_lock = maker._fill, fcntl.flock

    def fill(*arguments: object) -> None:
        made.append(1)
        second.start()
        assert waits.wait(30)
        real_fill(*arguments)

    def lock(file: object, how: int) -> None:
        if made:
            waits.set()
        real_lock(file, how)

    second = threading.Thread(target=maker.make, args=files)
    monkeypatch.setattr(maker, "_fill", fill)
    monkeypatch.setattr(maker.fcntl, "flock", lock)
    maker.make(*files)
    second.join(30)
    assert not second.is_alive()
    assert made == [1]
    assert leads_to_new(files)
    only_these(files, "delta")


def test_a_full_disk_leaves_nothing(files: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        maker.make(*files)
    only_these(files)

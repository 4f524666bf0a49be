# SPDX-License-Identifier: Apache-2.0
"""Programs that end with the process that starts them, whenever that is killed: also before the kernel was asked."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.fixtures.cores_beside import until_gone
from tests.fixtures.processes import killed_process
from tests.fixtures.waiting import wait_until

from armillary.engines.host.ended_with import ended_with_us

STARTS = """
import subprocess, sys
from armillary.engines.host.ended_with import ended_with_us
process = subprocess.Popen([*ended_with_us(), "sleep", "600"])
print(process.pid, flush=True)
sys.stdin.read()
"""


def test_a_program_ends_with_a_process_that_is_killed() -> None:
    with killed_process([sys.executable, "-c", STARTS], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        program = int(process.readline())
        try:
            command = Path(f"/proc/{program}/cmdline")
            wait_until(lambda: command.read_bytes() == b"sleep\x00600\x00", "the program runs")
            os.kill(process.pid, signal.SIGKILL)
            until_gone(program)
        except BaseException:  # it has not ended with its parent
            with contextlib.suppress(ProcessLookupError):
                os.kill(program, signal.SIGKILL)
            raise


def test_nothing_starts_for_a_process_that_was_gone_before_the_kernel_was_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who starts it is another one than it is told, as after a kill in that moment."""
    monkeypatch.setattr(os, "getpid", lambda: 1)
    words = [*ended_with_us(), "touch", str(tmp_path / "started")]
    monkeypatch.undo()
    assert subprocess.run(words, check=True, capture_output=True).stderr == b""
    assert [*tmp_path.iterdir()] == []
    subprocess.run([*ended_with_us(), "touch", str(tmp_path / "started")], check=True)
    assert (tmp_path / "started").exists(), "the control"


def test_a_program_begins_as_if_it_was_started_directly(tmp_path: Path) -> None:
    """With its arguments, its environment, what it inherits, and no signal that Python ignores."""
    words = ["sh", "-c", 'echo "$NAME $1"; cat "/proc/self/fd/$2"; grep SigIgn /proc/self/status', "sh", "an argument"]
    (tmp_path / "file").write_text("inherited\n")
    with (tmp_path / "file").open() as opened:

        def said(*before: str) -> str:
            os.lseek(opened.fileno(), 0, os.SEEK_SET)
            return subprocess.run(
                [*before, *words, str(opened.fileno())],
                env={"PATH": "/usr/bin:/bin", "NAME": "a name"},
                pass_fds=(opened.fileno(),),
                check=True,
                capture_output=True,
                text=True,
            ).stdout

        assert said(*ended_with_us()) == said()
        assert said().startswith("a name an argument\ninherited\nSigIgn:")

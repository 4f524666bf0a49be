# SPDX-License-Identifier: Apache-2.0
"""What is said of an entry point that is not executed: the interpreter that is missing, the processor it is for."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
from tests.engines.sandbox.sandbox_stage import Stage, linux

from armillary.engines.real_time.process_of_core import contained
from armillary.engines.sandbox.network import kernel
from armillary.engines.sandbox.port import AppEvent, Launch, RunningApplication, Sandbox
from armillary.engines.sandbox.start.executed import check_executed
from armillary.engines.sandbox.within.self_test import observe
from armillary.errors import InstallError, SandboxUnavailableError

# e_machine of a processor that no test runs on.
RISCV = 243


def program(machine: int) -> bytes:
    return struct.pack("<4s5B7xHH", b"\x7fELF", 2, 1, 1, 0, 0, 2, machine).ljust(64, b"\0")


@pytest.mark.parametrize(
    ("content", "number", "said"),
    [
        (b"#!/bin/sh\n", 2, "names the interpreter '/bin/sh', which the sandbox does not have"),
        (b"#! /usr/bin/lua -e\n", 2, "names the interpreter '/usr/bin/lua'"),
        (b"#!/usr/bin/python3\r\n", 2, r"names the interpreter '/usr/bin/python3\\r'"),
        (program(62), 2, "the loader that it names is not in the sandbox"),
        (program(183), 8, "it is a program for aarch64, the processor is x86_64"),
        (
            b"#!/usr/bin/env python3\n",
            8,
            "a script for '/usr/bin/env', and this kernel executes compiled programs alone",
        ),
        (b"echo\n", 8, "a script whose first line names an interpreter, got neither"),
        (program(62), 12, "Cannot allocate memory"),
    ],
)
def test_each_cause_is_named(tmp_path: Path, content: bytes, number: int, said: str) -> None:
    (tmp_path / "app").write_bytes(content)
    check_executed({}, tmp_path / "app", "x86_64")  # the control: it was executed
    problem = {"error": f"[Errno {number}] Cannot allocate memory", "errno": number}
    with pytest.raises(InstallError, match=said):
        check_executed(problem, tmp_path / "app", "x86_64")


def test_a_start_says_what_the_program_lacks(stage: Stage) -> None:
    with pytest.raises(InstallError, match="names the interpreter '/bin/sh'") as caught:
        stage.run(linux(), "exit 0", interpreter="#!/bin/sh\n")
    assert "#!/usr/bin/env python3" in caught.value.remedy
    with pytest.raises(InstallError, match=f"a program for riscv64, the processor is {kernel.machine()}"):
        stage.run(linux(), "", files={"bin/app": program(RISCV)})


class Recorder:
    """A sandbox that keeps what it was to start."""

    launch: Launch

    async def start(self, launch: Launch, _: Callable[[AppEvent], None]) -> RunningApplication:
        self.launch = launch
        raise SandboxUnavailableError("only recorded", remedy="")


def test_what_the_device_starts_of_its_own_is_a_compiled_program(tmp_path: Path) -> None:
    recorder = Recorder()
    with pytest.raises(SandboxUnavailableError, match="only recorded"):
        observe(cast("Sandbox", recorder))
    core = contained(recorder.launch, tmp_path, {})
    for launch in (recorder.launch, core):
        assert Path(launch.command(launch.manifest.entry_point)[0]).read_bytes().startswith(b"\x7fELF")

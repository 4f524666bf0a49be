# SPDX-License-Identifier: Apache-2.0
"""What is said of an entry point that is not executed: the interpreter that is missing, the processor it is for."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from tests.engines.sandbox.sandbox_stage import Stage, linux

from armillary.engines.sandbox.network import kernel
from armillary.engines.sandbox.start.executed import check_executed
from armillary.errors import InstallError

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

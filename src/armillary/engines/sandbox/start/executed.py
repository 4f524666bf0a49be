# SPDX-License-Identifier: Apache-2.0
"""Why an entry point was not executed, in the words of whoever packed it: execve(2) names the file, not the cause."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from armillary.capability.image_checks import SCRIPT_REMEDY
from armillary.capability.programs import HEAD_BYTES, architecture, interpreter
from armillary.errors import InstallError

_WHAT: Final = "the application's entry point cannot be executed"
_ABSENT: Final = (errno.ENOENT, errno.EACCES, errno.ENOTDIR)


def check_executed(problem: Mapping[str, Any], program: Path, machine: str) -> None:
    """Raise InstallError for what the launcher reports of the execution; it reports nothing where it was executed.

    ``program`` is the entry point on the host, ``machine`` the host's processor as ``uname -m`` prints it.
    """
    if not problem:
        return
    with program.open("rb") as file:
        head = file.read(HEAD_BYTES)
    number, built_for, named = problem.get("errno"), architecture(head), interpreter(head)
    if named is not None and number in _ABSENT:
        raise InstallError(
            f"{_WHAT}: its first line names the interpreter {named!a:.200}, which the sandbox does not have",
            remedy=SCRIPT_REMEDY,
        )
    if named is not None and number == errno.ENOEXEC:
        raise InstallError(
            f"{_WHAT}: it is a script for {named!a:.200}, and this kernel executes compiled programs alone",
            remedy="Take a compiled program: a device whose image has the own kernel runs no scripts.",
        )
    if built_for is not None and number == errno.ENOENT:
        raise InstallError(
            f"{_WHAT}: the loader that it names is not in the sandbox",
            remedy="Link the program statically, or against the C library of the device's system.",
        )
    if built_for not in (None, machine):
        raise InstallError(
            f"{_WHAT}: it is a program for {built_for}, the processor is {machine}",
            remedy=f"Compile it for {machine}, or run it on a device with that processor.",
        )
    if built_for is None and number == errno.ENOEXEC:
        raise InstallError(
            f"{_WHAT}: expected a program (ELF) or a script whose first line names an interpreter, got neither",
            remedy=SCRIPT_REMEDY,
        )
    raise InstallError(
        f"{_WHAT}: {problem.get('error')}",
        remedy="Check EntryPoint in the manifest and the interpreter the program names.",
    )

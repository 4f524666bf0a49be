# SPDX-License-Identifier: Apache-2.0
"""What a machine is told of whose device it becomes (``--enrolment``), looked at on the host.

A slip in it would show at the machine's first start only, or not at all.
"""

from __future__ import annotations

from pathlib import Path

from armillary.cli.terminal.files import explained, read_file
from armillary.errors import InvalidArgumentError


def read_enrolment(file: Path) -> bytes:
    """An enrolment that a person named; ``-`` is stdin. InvalidArgumentError if it cannot be read, or is none."""
    from armillary.device.machine.enrolling import MAX_BYTES, parse_enrolment  # noqa: PLC0415 - for this option only

    data = read_file(file, limit=MAX_BYTES)
    parse_enrolment(data)
    return data


def check_enrolment(file: Path) -> None:
    """InvalidArgumentError unless it is an enrolment that QEMU can read again: a file, no pipe."""
    with explained(file, "cannot be read"):
        is_there, is_file = file.exists(), file.is_file()
    if not is_there:
        raise InvalidArgumentError(
            f"--enrolment {file}: expected a file, it is not there",
            remedy="Check the path. docs/guides/device-image.md says how the file is made.",
        )
    if not is_file:
        raise InvalidArgumentError(
            f"--enrolment {file}: expected a file, got a folder, a pipe or a device",
            remedy="Write the enrolment into a file, and name that.",
        )
    read_enrolment(file.absolute())  # no stdin: QEMU gets the file by its name

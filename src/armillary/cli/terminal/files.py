# SPDX-License-Identifier: Apache-2.0
"""Files that a person named on the command line; ``-`` is stdin or stdout."""

from __future__ import annotations

import sys
from pathlib import Path

from armillary.errors import InvalidArgumentError


def read_file(path: Path, *, limit: int) -> bytes:
    """The bytes of a file that a person named; ``-`` is stdin.

    Raises:
        InvalidArgumentError: it cannot be read or is larger than ``limit`` bytes.
    """
    try:
        if str(path) == "-":
            data = sys.stdin.buffer.read(limit + 1)
        else:
            with path.open("rb") as file:
                data = file.read(limit + 1)
    except OSError as error:
        raise InvalidArgumentError(f"{path}: cannot be read ({error.strerror})", remedy="Check the path.") from error
    if len(data) > limit:
        raise InvalidArgumentError(f"{path}: larger than {limit} bytes", remedy="Use a smaller file.")
    return data


def write_file(path: Path, data: bytes) -> None:
    """Write what the service gave to a file that a person named; ``-`` is stdout.

    Raises:
        InvalidArgumentError: it cannot be written.
    """
    try:
        if str(path) == "-":
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        else:
            path.write_bytes(data)
    except OSError as error:
        raise InvalidArgumentError(f"{path}: cannot be written ({error.strerror})", remedy="Check the path.") from error

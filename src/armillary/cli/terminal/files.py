# SPDX-License-Identifier: Apache-2.0
"""Files that a person named on the command line; ``-`` is stdin or stdout."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from armillary.errors import InvalidArgumentError


@contextlib.contextmanager
def explained(path: Path, fault: str, *, remedy: str = "Check the path.") -> Iterator[None]:
    """Makes an InvalidArgumentError of an OSError: what could not be done with the file, and the system's reason."""
    try:
        yield
    except OSError as error:
        raise InvalidArgumentError(f"{path}: {fault} ({error.strerror})", remedy=remedy) from error


def read_file(path: Path, *, limit: int) -> bytes:
    """The bytes of a file that a person named; ``-`` is stdin.

    Raises:
        InvalidArgumentError: it cannot be read or is larger than ``limit`` bytes.
    """
    with explained(path, "cannot be read"):
        if str(path) == "-":
            data = sys.stdin.buffer.read(limit + 1)
        else:
            with path.open("rb") as file:
                data = file.read(limit + 1)
    if len(data) > limit:
        raise InvalidArgumentError(f"{path}: larger than {limit} bytes", remedy="Use a smaller file.")
    return data


def write_file(path: Path, data: bytes) -> None:
    """Write to a file that a person named; ``-`` is stdout. Raises InvalidArgumentError if that fails."""
    with explained(path, "cannot be written"):
        if str(path) == "-":
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        else:
            path.write_bytes(data)

# SPDX-License-Identifier: Apache-2.0
"""The process that makes one delta: ``python -m armillary.engines.delta.maker SOURCE TARGET RESULT``.

SOURCE and TARGET are files that are named by their SHA-256, RESULT is where the delta goes. It is there, whole and
tried once, when the process ends with 0; an empty file says that no delta is worth it. A process of its own, because
it takes seconds to minutes of a core and 200 MB: it gives way to everything else, has a limit of memory, and ends with
its service. Of several processes that make the same delta one works and the others wait for it.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import resource
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final

from armillary.engines.delta.files import apply_delta, digest_of, write_delta
from armillary.engines.durable import PARTIAL_SUFFIX
from armillary.errors import ArmillaryError, DeltaError
from armillary.update.delta.choice import is_worth_it
from armillary.wire.update.delta import ArtifactDigest

# Beside the two mapped files: the compressor's tables for a window, the index of blocks, the interpreter.
MAX_MEMORY_BYTES: Final = 1 << 30
_PR_SET_PDEATHSIG: Final = 1  # prctl(2)
_NICENESS: Final = 15


class _NotWorthItError(Exception):
    """The delta has become too large before its end."""


def main(arguments: Sequence[str]) -> int:
    """Make one delta; returns the exit status."""
    source, target, result = (Path(argument) for argument in arguments)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    os.nice(_NICENESS)
    try:
        _limit_memory(source, target)
        make(source, target, result)
    except (ArmillaryError, OSError, MemoryError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def make(source: Path, target: Path, result: Path) -> None:
    """Make the delta between two files named by their SHA-256, unless another process has made it meanwhile.

    Raises:
        DeltaError: a file is not what its name says, empty, or too large; or what was made does not lead to the target.
        OSError: a file cannot be read or written.
    """
    partial = result.with_name(result.name + PARTIAL_SUFFIX)
    with _locked(partial) as file:
        try:
            if not result.exists():
                _fill(file, source, target)
                file.flush()
                os.fsync(file.fileno())
                partial.rename(result)
        finally:
            partial.unlink(missing_ok=True)  # made by another, or not to be had: a full disk needs the room


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[BinaryIO]:
    """The file at ``path``, made if need be, while no other process has it; waits for one that does."""
    while True:
        with open(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+b") as file:  # noqa: PTH123 - the mode
            fcntl.flock(file, fcntl.LOCK_EX)
            try:
                is_it = os.path.samestat(os.fstat(file.fileno()), path.stat())
            except FileNotFoundError:
                is_it = False
            if is_it:
                yield file
                return
            # Whoever had it renamed or removed it: what is locked here is not what others would find.


def _fill(file: BinaryIO, source: Path, target: Path) -> None:
    """Write the delta to an open file, or leave it empty; then try it."""
    old, new = _checked(source), _checked(target)
    written = 0

    def write(part: bytes) -> None:
        nonlocal written
        written += len(part)
        if not is_worth_it(written, new.size):
            raise _NotWorthItError
        file.write(part)

    file.truncate(0)  # of a process that was killed
    try:
        write_delta((old, source), (new, target), write)
    except _NotWorthItError:
        file.seek(0)
        file.truncate(0)
        return
    file.seek(0)
    with source.open("rb") as opened:
        apply_delta((old, opened), new, file, lambda _: None)


def _checked(path: Path) -> ArtifactDigest:
    found = digest_of(path)
    if found.sha256.hex() != path.name:
        raise DeltaError("artifact", expected=f"SHA-256 {path.name}", got=found.sha256.hex())
    return found


def _limit_memory(source: Path, target: Path) -> None:
    limit = MAX_MEMORY_BYTES + source.stat().st_size + target.stat().st_size
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

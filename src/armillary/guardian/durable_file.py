# SPDX-License-Identifier: Apache-2.0
"""Small files of a guardian that survive a power cut: after it one is as it was, or as it became, never half of it."""

from __future__ import annotations

import os
from pathlib import Path

# What a guardian keeps beside its queue: profiles and recipes. A larger file is none of its own.
FILE_LIMIT_BYTES = 4 * 1024 * 1024


def read_if_there(path: Path) -> bytes | None:
    """The content of a file, None where there is none. Raises OSError where it cannot be read or is too large."""
    try:
        with path.open("rb") as file:
            content = file.read(FILE_LIMIT_BYTES + 1)
    except FileNotFoundError:
        return None
    if len(content) > FILE_LIMIT_BYTES:
        raise OSError(f"{path.name}: more than {FILE_LIMIT_BYTES} bytes")
    return content


def write_file(path: Path, content: bytes) -> None:
    """Replace a file, its folder is made where it is missing. Raises OSError where the disk refuses."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:  # noqa: PTH123 - of a descriptor
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)

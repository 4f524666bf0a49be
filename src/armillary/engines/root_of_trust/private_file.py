# SPDX-License-Identifier: Apache-2.0
"""Files of a root of trust: readable by their owner only, replaced atomically."""

from __future__ import annotations

import contextlib
import os
import ssl
import stat
from collections.abc import Iterator
from pathlib import Path

from armillary.engines.durable import sync_folder
from armillary.errors import RootOfTrustError


def read_private(path: Path, limit: int) -> bytes:
    """The contents, at most ``limit`` bytes and one more, which tells the caller that there are more.

    Raises:
        RootOfTrustError: it cannot be read, or others could have read it.
    """
    with explained(path):
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:  # noqa: PTH123 - checked on the descriptor: no race with a rename
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            data = file.read(limit + 1)
    if mode & 0o077:
        raise RootOfTrustError(
            f"{path}: expected mode 0600, got {mode:04o}: other users could have read the device's secret",
            remedy=f"If nobody else used this machine: chmod 600 {path}. Otherwise make a new device.",
        )
    return data


def replace_private(path: Path, data: bytes) -> None:
    """Write, sync, move into place, sync the folder."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:  # noqa: PTH123 - the descriptor carries the mode
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    fresh.rename(path)
    sync_folder(path.parent)


def load_from_memory(context: ssl.SSLContext, pem: bytes) -> None:
    """Have ``context`` present the key and certificates of ``pem``.

    ``ssl`` reads keys from files only; they are in an anonymous memory file, so that they never reach a disk.

    Raises:
        ssl.SSLError: the key does not load, or the certificate is for another key.
    """
    descriptor = os.memfd_create("identity", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, pem)
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn an OSError into a RootOfTrustError that names ``path``."""
    try:
        yield
    except OSError as error:
        raise RootOfTrustError(
            f"{path}: {error.strerror or error}",
            remedy="Check owner, permissions and free space; make a device with: armillary device create.",
        ) from error

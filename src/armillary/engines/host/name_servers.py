# SPDX-License-Identifier: Apache-2.0
"""The name servers of a machine with several interfaces: each has a file with its own, and resolv.conf has them all.

Those of the interface that the kernel prefers come first. A C library takes the first three (resolv.conf(5)).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address
from pathlib import Path
from typing import Final

RESOLVER: Final = Path("/run/resolv.conf")
MOST: Final = 3


def tell(interface: str, metric: int, servers: Iterable[IPv4Address], resolver: Path = RESOLVER) -> None:
    """Say which name servers an interface leads to; OSError where nothing can be written."""
    folder = _folder(resolver)
    folder.mkdir(exist_ok=True)
    with _alone(folder):
        (folder / f"{metric:05}-{interface}").write_text("".join(f"nameserver {each}\n" for each in servers), "ascii")
        _gather(resolver)


def forget(interface: str, metric: int, resolver: Path = RESOLVER) -> None:
    """Ask those of this interface no more."""
    folder = _folder(resolver)
    with contextlib.suppress(OSError), _alone(folder):
        (folder / f"{metric:05}-{interface}").unlink()
        _gather(resolver)


def _folder(resolver: Path) -> Path:
    return resolver.with_name(f"{resolver.name}.d")


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Be the only one who changes them: process 1 has Ethernet's, the device process those of radio and modem."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _gather(resolver: Path) -> None:
    lines = [line for path in sorted(_folder(resolver).iterdir()) for line in path.read_text("ascii").splitlines()]
    fresh = resolver.with_name(f".{resolver.name}")
    fresh.write_text("".join(f"{line}\n" for line in list(dict.fromkeys(lines))[:MOST]), "ascii")
    fresh.replace(resolver)

# SPDX-License-Identifier: Apache-2.0
"""The name servers of a machine with several interfaces: each has a file with its own, and resolv.conf has them all.

Those of the interface that the kernel prefers come first. A C library takes the first three (resolv.conf(5)).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from ipaddress import IPv4Address
from pathlib import Path
from typing import Final

RESOLVER: Final = Path("/run/resolv.conf")
MOST: Final = 3


def tell(interface: str, metric: int, servers: Iterable[IPv4Address], resolver: Path = RESOLVER) -> None:
    """Say which name servers an interface leads to; OSError where nothing can be written."""
    folder = _folder(resolver)
    folder.mkdir(exist_ok=True)
    (folder / f"{metric:05}-{interface}").write_text("".join(f"nameserver {each}\n" for each in servers), "ascii")
    _gather(resolver)


def forget(interface: str, metric: int, resolver: Path = RESOLVER) -> None:
    """Ask those of this interface no more."""
    with contextlib.suppress(OSError):
        (_folder(resolver) / f"{metric:05}-{interface}").unlink()
        _gather(resolver)


def _folder(resolver: Path) -> Path:
    return resolver.with_name(f"{resolver.name}.d")


def _gather(resolver: Path) -> None:
    lines: list[str] = []
    for path in sorted(_folder(resolver).iterdir()):
        with contextlib.suppress(OSError):
            lines += path.read_text("ascii").splitlines(keepends=True)
    fresh = resolver.with_name(f".{resolver.name}.{os.getpid()}")
    fresh.write_text("".join(dict.fromkeys(lines[:MOST])), "ascii")
    fresh.replace(resolver)

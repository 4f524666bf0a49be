# SPDX-License-Identifier: Apache-2.0
"""Resolves the names that a manifest declares, outside the sandbox, and decides which of the addresses may be used."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import ipaddress
import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from armillary.capability.network import parse_address, refuse_resolved
from armillary.engines.sandbox.network.lookups import Lookups
from armillary.engines.sandbox.network.own_ports import check_not_own

RESOLVE_TIMEOUT_S = 10.0
# Addresses tried for one name.
ADDRESS_LIMIT = 4
# What a name resolved to is used again for so long: a lookup costs as much as the rest of a connect, and programs
# connect several times in a row. Less than the times to live that names have, so that a change is seen as soon.
KEPT_S = 3.0
HOSTS_FILE = Path("/etc/hosts")
HOSTS_FILE_LIMIT_BYTES = 1 << 20
Place = tuple[socket.AddressFamily, str]


@dataclass(slots=True)
class Answers:
    """What declared names resolved to a moment ago, of one application: another does not learn what it asked for.

    Kept is what the resolver said and not what was decided about it: every address is checked at each use.
    """

    lookups: Lookups = field(default_factory=Lookups)
    _found: dict[str, tuple[float, list[Place]]] = field(default_factory=dict)  # Name to when, and what

    def find(self, name: str) -> list[Place] | None:
        """What the name resolved to, if that is not long ago."""
        at, found = self._found.get(name, (0.0, None))
        return found if time.monotonic() - at < KEPT_S else None

    def keep(self, name: str, found: list[Place]) -> None:
        """Remember; names are declared ones, so they are bounded."""
        self._found[name] = (time.monotonic(), found)

    def forget(self, name: str) -> None:
        """Have the name resolved anew: nothing answered at its addresses."""
        self._found.pop(name, None)


async def addresses_of(host: str, port: int, answers: Answers | None = None) -> list[Place]:
    """Addresses of a declared name or address, except refused ones.

    Raises:
        OSError: EHOSTUNREACH when none is left, with the reason as text; EACCES where a device itself listens.
    """
    address = parse_address(host)
    if address is not None:
        check_not_own(address, port)
        return [(socket.AF_INET if address.version == 4 else socket.AF_INET6, str(address))]
    answers = Answers() if answers is None else answers
    found = answers.find(host)
    if found is None:
        found = await _resolve(host, answers.lookups)
        answers.keep(host, found)
    return _usable(host, port, found)


async def _resolve(host: str, lookups: Lookups) -> list[Place]:
    """Raises OSError (EHOSTUNREACH) for a name that does not resolve in time."""
    try:
        async with asyncio.timeout(RESOLVE_TIMEOUT_S):
            found = await lookups.ask(host)
    except (OSError, TimeoutError) as error:
        raise OSError(errno.EHOSTUNREACH, f"{host} does not resolve outside ({error})") from error
    return [(family, str(where[0])) for family, _, _, _, where in found]


def _usable(host: str, port: int, found: list[Place]) -> list[Place]:
    known = frozenset((host,)) if _is_local(host) else frozenset()
    usable: list[Place] = []
    reasons: list[str] = []
    for family, where in found:
        check_not_own(ipaddress.ip_address(where), port)
        reason = refuse_resolved(host, where, local_names=known)
        if reason is None:
            usable.append((family, where))
        else:
            reasons.append(reason)
    if not usable:
        raise OSError(errno.EHOSTUNREACH, "; ".join(reasons) or f"{host} has no address")
    return usable[:ADDRESS_LIMIT]


def hosts_file_entries() -> Mapping[str, frozenset[str]]:
    """Lower-case name to addresses in this machine's hosts file; empty where there is none."""
    try:
        state = os.stat(HOSTS_FILE)  # noqa: PTH116 - at every connect by name
    except OSError:
        return {}
    return _read_hosts_file(HOSTS_FILE, (state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns))


@functools.lru_cache(maxsize=1)
def _read_hosts_file(path: Path, _: tuple[int, ...]) -> Mapping[str, frozenset[str]]:
    """Read it as it is in this state; files that block advertisements have a hundred thousand lines."""
    found: dict[str, set[str]] = {}
    with contextlib.suppress(OSError):
        text = path.read_bytes()[:HOSTS_FILE_LIMIT_BYTES].decode("utf-8", "replace")
        for line in text.splitlines():
            address, *names = line.partition("#")[0].split() or [""]
            for name in names:
                found.setdefault(name.lower(), set()).add(address)
    return {name: frozenset(addresses) for name, addresses in found.items()}


def _is_local(name: str) -> bool:
    """Whether a name has an address on this machine by its hosts file, or is its own."""
    return name in hosts_file_entries() or name == socket.gethostname().lower()

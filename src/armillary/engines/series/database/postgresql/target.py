# SPDX-License-Identifier: Apache-2.0
"""Which PostgreSQL database: the URL of ``series_database``, read by libpq's rules, and shown without its password."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from armillary.errors import InvalidArgumentError

# Seconds. A database that answers does so at once; whoever waits for it does nothing else meanwhile.
CONNECT_TIMEOUT_S = 5

# A connection whose other end is gone is given up after 15 seconds (libpq: seconds, seconds, times, milliseconds).
_KEEPALIVE: Mapping[str, Any] = {
    "keepalives_idle": 5,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "tcp_user_timeout": 15_000,
    "connect_timeout": CONNECT_TIMEOUT_S,
}

_LOOPBACK = frozenset(("localhost", "127.0.0.1", "::1"))


@dataclass(frozen=True, slots=True)
class Target:
    """The address of a database."""

    place: str  # Host, port and name, for people
    options: Mapping[str, Any] = field(repr=False)  # What libpq is given; may hold the password
    password: str = field(repr=False)  # The one in them; empty where libpq finds it elsewhere, or none is needed

    def redacted(self, text: str) -> str:
        """A driver's message, on one line and without the password."""
        line = " ".join(text.split())
        return line.replace(self.password, "***") if self.password else line


def parse_target(url: str) -> Target:
    """Read a URL.

    Where the database is another host's and the URL says nothing of TLS, the server has to prove its name
    (``sslmode=verify-full``): libpq's own default would go on without.

    Raises:
        InvalidArgumentError: not a URL of a PostgreSQL database. The message is without it: it may contain a password.
    """
    try:
        if not url.startswith(("postgresql://", "postgres://")):
            raise ValueError  # noqa: TRY301 - libpq would take "host=.. password=.." too
        options: dict[str, Any] = {**_KEEPALIVE, **conninfo_to_dict(url)}
    except (psycopg.Error, ValueError):
        raise InvalidArgumentError(
            "series_database: expected a URL as postgresql://user@host:5432/name, got something else",
            remedy="Correct it; write other characters than letters and digits in user and password as %XX.",
        ) from None
    hosts, addresses = _listed(options, "host"), _listed(options, "hostaddr")
    # A service file may name any host; libpq reads it later.
    is_elsewhere = "service" in options or "PGSERVICE" in os.environ or not all(map(_is_here, hosts + addresses))
    if is_elsewhere and "PGSSLMODE" not in os.environ:
        options.setdefault("sslmode", "verify-full")
    name = options.get("dbname") or options.get("user") or "the user's own"
    host = ",".join(hosts or addresses) or "the local socket"
    port = f":{options['port']}" if options.get("port") else ""
    return Target(f"{host}{port}/{name}", options, str(options.get("password") or ""))


def _listed(options: Mapping[str, Any], name: str) -> list[str]:
    listed = options.get(name) or os.environ.get(f"PG{name.upper()}") or ""
    return [each for each in str(listed).split(",") if each]


def _is_here(host: str) -> bool:
    """Whether a host is this one: a socket in a folder, an abstract one, or the loopback."""
    return host.startswith(("/", "@")) or host in _LOOPBACK

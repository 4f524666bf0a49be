# SPDX-License-Identifier: Apache-2.0
"""Finds the service to call: from options, then the environment, then what ``armillary login`` stored."""

from __future__ import annotations

import json
import os
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from armillary.errors import InvalidArgumentError
from armillary.wire.text.web_address import split_web_address

SERVICE_VARIABLE = "ARMILLARY_SERVICE"
TOKEN_VARIABLE = "ARMILLARY_TOKEN"  # noqa: S105 - the variable's name, not a token
CA_VARIABLE = "ARMILLARY_CA"
# A CA bundle is a few kilobytes; larger files are something else.
MAX_CA_BYTES = 1 << 20

_LOGIN_REMEDY = "Log in: armillary login --service URL --token TOKEN --ca FILE. Or give this command the three."


@dataclass(frozen=True, slots=True)
class Connection:
    """Where the service is (``https://host:port``, no path) and how to prove who we are: an operator token.

    ``ca_pem`` are the certificates that the server's must chain to, "" the system's; ``catalog`` is the one of commands
    that name none, "" when none is remembered.
    """

    service: str
    token: str = field(repr=False)
    ca_pem: str = field(repr=False)
    host: str
    port: int
    catalog: str = ""


def stored_path(environment: Mapping[str, str] | None = None) -> Path:
    """File that ``armillary login`` writes: ``$XDG_CONFIG_HOME/armillary/service.json``."""
    variables = os.environ if environment is None else environment
    folder = variables.get("XDG_CONFIG_HOME") or str(Path(variables.get("HOME", "~")).expanduser() / ".config")
    return Path(folder) / "armillary" / "service.json"


def resolve(
    service: str | None, token: str | None, ca: Path | None, environment: Mapping[str, str] | None = None
) -> Connection:
    """Find the connection: from options, else variables, else the stored login. Raises InvalidArgumentError."""
    variables = os.environ if environment is None else environment
    stored = remembered(stored_path(variables))
    address = service or variables.get(SERVICE_VARIABLE) or stored.get("service")
    if not address:
        raise InvalidArgumentError("no service is known", remedy=_LOGIN_REMEDY)
    secret = token or variables.get(TOKEN_VARIABLE)
    if not secret and stored.get("service") == address:
        secret = stored.get("token")  # a stored token is only ever sent to the service it was stored for
    if not secret:
        raise InvalidArgumentError(f"no token is known for {address}", remedy=_LOGIN_REMEDY)
    file = ca or (Path(variables[CA_VARIABLE]) if variables.get(CA_VARIABLE) else None)
    kept = stored if stored.get("service") == address else {}
    pem = read_ca(file) if file else kept.get("ca_pem", "")
    return make_connection(address, secret, pem, catalog=kept.get("catalog", ""))


def make_connection(service: str, token: str, ca_pem: str, *, catalog: str = "") -> Connection:
    """A checked connection. Raises InvalidArgumentError unless address and token can be a service's."""
    try:
        parts = split_web_address(service)
    except ValueError:
        parts = None
    if parts is None or parts.scheme != "https" or parts.path not in ("", "/") or parts.query:
        raise InvalidArgumentError(
            f"service: expected https://host[:port], got {service!r}",
            remedy="Use the API address that armillary up printed.",
        )
    if not token.isascii() or not token.isprintable() or " " in token:
        raise InvalidArgumentError("token: it has characters that no token has", remedy="Copy the token again.")
    return Connection(f"https://{parts.netloc}", token, ca_pem, parts.hostname or "", parts.port or 443, catalog)


def read_ca(path: Path) -> str:
    """The PEM text of a CA file. Raises InvalidArgumentError if it cannot be read or holds no certificate."""
    try:
        if path.stat().st_size > MAX_CA_BYTES:
            raise InvalidArgumentError(f"{path}: too large for a CA file", remedy="Use the service's root.pem.")
        pem = path.read_text("ascii")
        ssl.create_default_context(cadata=pem)
    except (OSError, UnicodeDecodeError, ssl.SSLError) as error:
        raise InvalidArgumentError(
            f"{path}: expected a PEM certificate, got {type(error).__name__}", remedy="Use the service's root.pem."
        ) from error
    return pem


def store(connection: Connection, path: Path) -> None:
    """Write a login to ``path``, readable by its owner only, in one step."""
    _write({"service": connection.service, "token": connection.token, "ca_pem": connection.ca_pem}, path)


def remember_catalog(service: str, catalog: str, path: Path) -> None:
    """Add to a stored login which catalog commands mean that name none; "" forgets it.

    Raises:
        InvalidArgumentError: no login to this service is stored.
        OSError: ``path`` cannot be written.
    """
    stored = remembered(path)
    if stored.get("service") != service:
        raise InvalidArgumentError(f"no login to {service} is remembered", remedy=_LOGIN_REMEDY)
    _write({**stored, "catalog": catalog}, path)


def remembered(path: Path) -> dict[str, str]:
    """What a login has stored, nothing where there is none. Raises InvalidArgumentError if it cannot be read."""
    try:
        document = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise InvalidArgumentError(
            f"{path}: cannot be read ({type(error).__name__})", remedy="Delete it and log in again."
        ) from error
    if not isinstance(document, dict):
        raise InvalidArgumentError(f"{path}: not a stored login", remedy="Delete it and log in again.")
    return {name: value for name, value in document.items() if isinstance(value, str)}


def _write(document: Mapping[str, str], path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".service-")  # mode 0600
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(document, file)
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise

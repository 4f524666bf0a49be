# SPDX-License-Identifier: Apache-2.0
"""Where the device's own API listens and who may reach it, as the options of ``armillary device boot`` say."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from armillary.errors import InvalidArgumentError

MIN_TOKEN_BYTES: Final = 16
MAX_TOKEN_BYTES: Final = 1024
_TOKEN: Final = re.compile(rb"[A-Za-z0-9._~+/=-]+")
_ADDRESS: Final = re.compile(r"(?:\[(?P<wide>[0-9A-Fa-f:.]+)\]|(?P<host>[^:\[\]]+)):(?P<port>[0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class ServiceLink:
    """A cable to the one computer that a machine is attached to: its interface, and how each connection begins."""

    interface: str
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RestSettings:
    """The API of one device process.

    Attributes:
        host: Address that it listens at.
        port: 0 for a free one.
        token: What every request has to show; None where the users of this host are told apart instead.
        list_port: Port of the plain list of devices, at loopback; None for no such list.
        simulated_wifi: Whether the device has a pretended radio.
        interfaces: Names of the interfaces of this host that it may switch on and off.
        link: The service link that it listens at, and nowhere else; None on a host that somebody else runs.
    """

    host: str
    port: int
    token: bytes | None = field(default=None, repr=False)
    list_port: int | None = None
    simulated_wifi: bool = False
    interfaces: tuple[str, ...] = ()
    link: ServiceLink | None = None

    @property
    def tells_users_apart(self) -> bool:
        """Whether the users of this host are, who are all that can connect."""
        return self.token is None and self.link is None


def rest_settings(
    listen: str | None,
    *,
    token_file: Path | None = None,
    list_port: int | None = None,
    simulated_wifi: bool = False,
    interfaces: Sequence[str] = (),
) -> RestSettings | None:
    """The settings, None where the API is not asked for.

    Raises:
        InvalidArgumentError: the address is none, would let in everybody on a network, or an option has no API.
    """
    if listen is None:
        if token_file is not None or list_port is not None or simulated_wifi or interfaces:
            raise InvalidArgumentError(
                "options of the device's API were given without the API",
                remedy="Add --rest 127.0.0.1:PORT, or leave out the other options that begin with --rest.",
            )
        return None
    host, port = _address(listen)
    token = None if token_file is None else _token(token_file)
    if token is None and not ipaddress.ip_address(host).is_loopback:
        raise InvalidArgumentError(
            f"--rest {listen}: at this address everybody on the network would reach the device",
            remedy="Listen at 127.0.0.1, or give a secret that every request has to show: --rest-token-file FILE.",
        )
    for name in interfaces:
        _check_interface(name)
    return RestSettings(
        host=host,
        port=port,
        token=token,
        list_port=list_port,
        simulated_wifi=simulated_wifi,
        interfaces=tuple(interfaces),
    )


def _check_interface(name: str) -> None:
    try:
        socket.if_nametoindex(name)
    except (OSError, ValueError) as error:
        there = ", ".join(each for _, each in socket.if_nameindex())
        raise InvalidArgumentError(
            f"--rest-interface: expected an interface of this host, got {name!r:.40}", remedy=f"There are: {there}."
        ) from error


def _address(text: str) -> tuple[str, int]:
    found = _ADDRESS.fullmatch(text)
    host = "" if found is None else found["wide"] or found["host"]
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
        port = int("" if found is None else found["port"])
    except ValueError:
        port, address = -1, None
    if address is None or not 0 <= port <= 65535:
        raise InvalidArgumentError(
            f"--rest: expected ADDRESS:PORT, got {text!r:.80}",
            remedy="Give an address of this host and a port, such as 127.0.0.1:8443; [::1]:8443 for IPv6.",
        )
    return str(address), port


def _token(path: Path) -> bytes:
    try:
        token = path.read_bytes()[: MAX_TOKEN_BYTES + 1].strip()
        is_ours = path.stat().st_mode & 0o077 == 0
    except OSError as error:
        raise InvalidArgumentError(
            f"--rest-token-file {path}: {error.strerror or error}", remedy="Name a file that this user can read."
        ) from error
    if not is_ours:
        raise InvalidArgumentError(
            f"--rest-token-file {path}: other users of this host can read it", remedy=f"chmod 600 {path}"
        )
    if not MIN_TOKEN_BYTES <= len(token) <= MAX_TOKEN_BYTES or _TOKEN.fullmatch(token) is None:
        raise InvalidArgumentError(
            f"--rest-token-file {path}: expected {MIN_TOKEN_BYTES} to {MAX_TOKEN_BYTES} letters and digits in one line",
            remedy=f"Make one: (umask 077; openssl rand -hex 32 > {path})",
        )
    return token

# SPDX-License-Identifier: Apache-2.0
"""The proxy of a device: which requests take it, what the HTTP client is told of it, and what is said when it fails.

A request over TLS goes through a tunnel (CONNECT, RFC 9110 §9.3.6): TLS is between device and service as ever, with the
device's pinned roots, so that a proxy learns names and lengths and can do no more than break off. Credentials are Basic
(RFC 7617); they are sent to the proxy alone and stand in no message. There is no way around a proxy that fails, but
one that an application set is given up in time (``checkin/proxy_trial.py``), and is nothing of this machine.
"""

from __future__ import annotations

import asyncio
import base64
import errno
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Final

import aiohttp
from yarl import URL

from armillary.capability.network import refuse_resolved

_WANTS_CREDENTIALS: Final = (401, 407)  # what is meant is 407; tinyproxy says 401 of wrong ones


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """A proxy that is in use.

    Attributes:
        bypass: Names and addresses that are reached without it; a name stands for all names below it, too.
        username, password: What it is told of who is there; empty where it does not ask.
        of_application: Whether an application set it, and not the owner of the host by a tool.
    """

    host: str
    port: int
    bypass: tuple[str, ...] = ()
    username: str = ""
    password: str = field(default="", repr=False)
    of_application: bool = False

    def takes(self, host: str) -> bool:
        """Whether requests to a host go through it."""
        return not any(_covers(entry, host) for entry in self.bypass)


class ProxyAddressError(aiohttp.ClientOSError):
    """A proxy has no name that can be looked up; one of an application only addresses of this machine, or none."""


FindProxy = Callable[[], Proxy | None]


def no_proxy() -> None:
    """Of a device that has no proxy."""


def through(find: FindProxy, url: URL) -> str:
    """How a request to ``url`` goes, to stand behind the address in a message; empty where it goes directly."""
    proxy = find()
    return f" through the proxy {proxy.host} port {proxy.port}" if proxy and proxy.takes(url.host or "") else ""


async def request_options(find: FindProxy, url: URL) -> dict[str, Any]:
    """What aiohttp is to be told of a request to ``url``: nothing where it goes directly.

    Raises:
        ProxyAddressError: the proxy may not be connected to.
    """
    proxy = find()
    if proxy is None or not proxy.takes(url.host or ""):
        return {}
    host = await host_to_connect(proxy)
    options: dict[str, Any] = {"proxy": URL.build(scheme="http", host=host, port=proxy.port)}
    if proxy.username:
        pair = f"{proxy.username}:{proxy.password}".encode()
        # aiohttp sends it as Proxy-Authorization, with CONNECT and with requests that are not over TLS.
        options["proxy_headers"] = {"Authorization": f"Basic {base64.b64encode(pair).decode('ascii')}"}
    return options


async def host_to_connect(proxy: Proxy) -> str:
    """Where a proxy is: the name that the owner of the host gave, or an address of an application's that may be used.

    The address that was looked at is the one that is connected to, so that a name cannot lead elsewhere meanwhile.

    Raises:
        ProxyAddressError: there is none: the device would lend its place in the host's network to the application. Or
            no resolver takes the name.
    """
    if not proxy.of_application:
        try:
            proxy.host.encode("idna")  # as whoever connects there does, whose error would be none of a connection
        except UnicodeError as error:
            raise ProxyAddressError(errno.EINVAL, f"its name cannot be looked up ({error})") from error
        return proxy.host
    try:
        found = await asyncio.get_running_loop().getaddrinfo(proxy.host, proxy.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ProxyAddressError(errno.EHOSTUNREACH, f"its name has no address ({error})") from error
    reason = ""
    for _, _, _, _, where in found:
        refused = refuse_address(proxy.host, str(where[0]))
        if not refused:
            return str(where[0])
        reason = reason or refused
    raise ProxyAddressError(errno.EACCES, f"an application set it, and {reason}")


def refuse_address(host: str, address: str) -> str:
    """Why a proxy of an application may not be at an address: loopback, link-local, no host at all; else empty."""
    return refuse_resolved(f"its name {host}", address, local_names=frozenset()) or ""


def proxy_fault(error: BaseException) -> str:
    """What is said of an error that comes from a proxy, behind :func:`through`; empty for every other error."""
    if isinstance(error, aiohttp.ClientHttpProxyError):
        # Its own words are left out: nobody vouches for them.
        if error.status in _WANTS_CREDENTIALS:
            return f"it wants credentials, or refuses those that it has been given (HTTP {error.status})"
        return f"it refuses to connect there (HTTP {error.status})"
    if isinstance(error, ProxyAddressError):
        return error.strerror or ""
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return f"it cannot be reached ({error.os_error.strerror or error.os_error})"
    return ""


def request_fault(error: BaseException) -> str:
    """Why a request failed, by a proxy or not, in this device's own words where a library's say how it is made."""
    if fault := proxy_fault(error):
        return fault
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"its certificate is not accepted ({error.certificate_error})"
    if isinstance(error, aiohttp.ClientConnectorError):
        reason = error.os_error.strerror
        return f"it cannot be connected to ({reason})" if reason else "it ended the connection while that was made"
    said = next((words for kind, words in _WORDS.items() if isinstance(error, kind)), "")
    return said or str(error) or type(error).__name__


# What the library says of these names its own parts, and not what happened.
_WORDS: Mapping[type[BaseException], str] = {
    aiohttp.ClientResponseError: "what answers there does not speak HTTP",
    aiohttp.ServerDisconnectedError: "it ended the connection without an answer",
    aiohttp.ClientPayloadError: "its answer ended too early",
    TimeoutError: "no answer in time",
}


def _covers(entry: str, host: str) -> bool:
    """Whether an entry of the bypass list is this host, a name above it, or the same address."""
    wanted = _address(host)
    if wanted is not None:
        return wanted == _address(entry)
    name, below = entry.lower().strip("."), host.lower().rstrip(".")
    return bool(name) and (below == name or below.endswith(f".{name}"))


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None

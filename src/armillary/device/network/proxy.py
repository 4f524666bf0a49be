# SPDX-License-Identifier: Apache-2.0
"""The proxy of a device: which requests take it, what the HTTP client is told of it, and what is said when it fails.

A request over TLS goes through a tunnel (CONNECT, RFC 9110 §9.3.6): TLS is between device and service as ever, with the
device's pinned roots, so that a proxy learns names and lengths and can do no more than break off. Credentials are Basic
(RFC 7617); they are sent to the proxy alone and stand in no message. There is no way around a proxy that fails.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Final

import aiohttp
from yarl import URL

_WANTS_CREDENTIALS: Final = (401, 407)  # what is meant is 407; tinyproxy says 401 of wrong ones


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """A proxy that is in use.

    Attributes:
        bypass: Names and addresses that are reached without it; a name stands for all names below it, too.
        username, password: What it is told of who is there; empty where it does not ask.
    """

    host: str
    port: int
    bypass: tuple[str, ...] = ()
    username: str = ""
    password: str = field(default="", repr=False)

    def takes(self, host: str) -> bool:
        """Whether requests to a host go through it."""
        return not any(_covers(entry, host) for entry in self.bypass)


FindProxy = Callable[[], Proxy | None]


def no_proxy() -> None:
    """Of a device that has no proxy."""


def through(find: FindProxy, url: URL) -> str:
    """How a request to ``url`` goes, to stand behind the address in a message; empty where it goes directly."""
    proxy = find()
    return f" through the proxy {proxy.host} port {proxy.port}" if proxy and proxy.takes(url.host or "") else ""


def request_options(find: FindProxy, url: URL) -> dict[str, Any]:
    """What aiohttp is to be told of a request to ``url``: nothing where it goes directly."""
    proxy = find()
    if proxy is None or not proxy.takes(url.host or ""):
        return {}
    options: dict[str, Any] = {"proxy": URL.build(scheme="http", host=proxy.host, port=proxy.port)}
    if proxy.username:
        pair = f"{proxy.username}:{proxy.password}".encode()
        # aiohttp sends it as Proxy-Authorization, with CONNECT and with requests that are not over TLS.
        options["proxy_headers"] = {"Authorization": f"Basic {base64.b64encode(pair).decode('ascii')}"}
    return options


def proxy_fault(error: BaseException) -> str:
    """What is said of an error that comes from a proxy, behind :func:`through`; empty for every other error."""
    if isinstance(error, aiohttp.ClientHttpProxyError):
        # Its own words are left out: nobody vouches for them.
        if error.status in _WANTS_CREDENTIALS:
            return f"it wants credentials, or refuses those that it has been given (HTTP {error.status})"
        return f"it refuses to connect there (HTTP {error.status})"
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return f"it cannot be reached ({error.os_error.strerror or error.os_error})"
    return ""


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

# SPDX-License-Identifier: Apache-2.0
"""One address that has the files of a repository: the device endpoint, or a mirror (any static HTTP server).

Whatever it answers, a device reads no more bytes than it asked for, waits no longer than ``pace`` allows, follows no
redirect and unpacks nothing. Nothing that comes from here is trusted.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

import aiohttp
from yarl import URL

from armillary.device.network.proxy import FindProxy, no_proxy, request_fault, request_options, through
from armillary.errors import TransferError
from armillary.update.repository.pace import DEFAULT_PACE, Pace, PaceRules

CONNECT_TIMEOUT_S = 10.0
# What a static server says of a file that it does not have; some that keep listings private say 403.
NOT_THERE = (403, 404, 410)
_CONTENT_RANGE = re.compile(r"bytes (\d{1,15})-\d{1,15}/(?:\d{1,15}|\*)")
_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=CONNECT_TIMEOUT_S, sock_connect=CONNECT_TIMEOUT_S)
_IDENTITY = {"Accept-Encoding": "identity"}  # a packed answer could unpack to any size


class Sink(Protocol):
    """Takes a file as it arrives."""

    @property
    def received(self) -> int:
        """Bytes that it has."""

    def restart(self) -> None:
        """Forget what it has."""

    def write(self, data: bytes) -> None:
        """Take the next bytes."""


def mirror_session(mirrors: Sequence[str]) -> aiohttp.ClientSession:
    """A session for mirrors: those with TLS are known by the authorities that this host trusts.

    These are 2 MB, and are read only where there is such a mirror.
    """
    is_encrypted = any(mirror.lower().startswith("https:") for mirror in mirrors)
    connector = aiohttp.TCPConnector(ssl=ssl.create_default_context()) if is_encrypted else None
    return aiohttp.ClientSession(connector=connector, auto_decompress=False, trust_env=False)


class HttpSource:
    """Files below ``url``, over ``session`` and the ``proxy`` that there is then; ``name`` is for people.

    Raises:
        TransferError: the source does not answer, answers something else, or is too slow.
    """

    def __init__(
        self,
        name: str,
        url: str,
        session: Callable[[], aiohttp.ClientSession],
        *,
        monotonic: Callable[[], float],
        pace: PaceRules = DEFAULT_PACE,
        proxy: FindProxy = no_proxy,
    ) -> None:
        self.name = name
        self._url = url.rstrip("/") + "/"
        self._session = session
        self._monotonic = monotonic
        self._pace = pace
        self._proxy = proxy

    async def read(self, path: str, limit: int) -> bytes | None:
        """A whole file of at most ``limit`` bytes; None when the source has no such file."""
        data = bytearray()
        async with self._get(path, {}) as response:
            if response.status in NOT_THERE:
                return None
            if response.status != 200:
                raise TransferError(f"{self._named(path)}: expected HTTP 200, got {response.status}")
            async for block in self._blocks(path, response, limit):
                data += block
        return bytes(data)

    async def append(self, path: str, sink: Sink, length: int) -> None:
        """Bring ``sink`` nearer to the file's ``length`` bytes, from where it stands; it may end before.

        A source without ranges begins anew, and so does the sink.
        """
        wanted = sink.received
        headers = {"Range": f"bytes={wanted}-"} if wanted else {}
        async with self._get(path, headers) as response:
            if response.status == 206 and wanted:
                found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
                if found is None or int(found[1]) != wanted:
                    raise TransferError(f"{self._named(path)}: expected the bytes from {wanted} on, got other ones")
            elif response.status == 200:
                sink.restart()
            elif response.status in NOT_THERE:
                raise TransferError(f"{self._named(path)}: there is no such file")
            else:
                raise TransferError(f"{self._named(path)}: expected HTTP 200 or 206, got {response.status}")
            async for block in self._blocks(path, response, length - sink.received):
                sink.write(block)

    def _named(self, path: str) -> str:
        """A file's address as messages have it, with the proxy that is taken to it."""
        return f"{self._url}{path}{through(self._proxy, URL(self._url))}"

    @asynccontextmanager
    async def _get(self, path: str, headers: dict[str, str]) -> AsyncIterator[aiohttp.ClientResponse]:
        url = URL(self._url + path, encoded=True)  # quoted already: no second quoting, no dissolving of ".."
        try:
            async with asyncio.timeout(self._pace.allowance_s):  # headers can come slowly as well
                response = await self._session().get(
                    url,
                    headers={**_IDENTITY, **headers},
                    timeout=_TIMEOUT,
                    allow_redirects=False,
                    **await request_options(self._proxy, url),
                )
            try:
                yield response
            finally:
                response.close()  # what was not read to its end is not read on
        except TimeoutError as error:
            raise TransferError(f"{self._named(path)}: no answer within {self._pace.allowance_s:.0f} s") from error
        except (aiohttp.ClientError, ssl.SSLError, OSError, ValueError) as error:
            cause = request_fault(error)
            raise TransferError(f"{self._named(path)}: {cause}") from error

    async def _blocks(self, path: str, response: aiohttp.ClientResponse, limit: int) -> AsyncIterator[bytes]:
        """The answer's bytes as they come, at most ``limit`` and at the least pace."""
        name = self._named(path)
        if response.content_length is not None and response.content_length > limit:
            raise TransferError(f"{name}: expected at most {limit} bytes, got {response.content_length}")
        pace = Pace(name, self._pace, length=limit, started=self._monotonic())
        received = 0
        while True:
            try:
                async with asyncio.timeout(pace.patience_s(self._monotonic())):
                    block = await response.content.readany()
            except TimeoutError:
                pace.received(0, self._monotonic())
                continue
            if not block:
                return
            received += len(block)
            if received > limit:
                raise TransferError(f"{name}: expected at most {limit} bytes, got more")
            pace.received(len(block), self._monotonic())
            yield block

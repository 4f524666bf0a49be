# SPDX-License-Identifier: Apache-2.0
"""The event loop of an export to Kafka: what an untrusted cluster may have this process connect to, read and compute.

aiokafka makes its connections, reads and hands long work to threads through the loop that it is given; so this is the
one place where all of it is seen, whoever named the address or sent the message.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any, Final

from armillary.engines.outbound import webhook as rule_webhook
from armillary.engines.outbound.webhook import AllowedHosts
from armillary.errors import PermissionDeniedError

# Bytes of the answers that are on their way at once. The largest lists all topics, which it does once: 40 bytes for
# each of 400,000 partitions, more than a cluster has.
MAX_ANSWER_BYTES: Final = 16 << 20
# How often the broker may have the secret hashed (RFC 5802 section 5.1). RFC 7677 section 4 asks for the lower one:
# fewer would help who gets hold of the proof to guess the secret. Brokers of Apache Kafka keep at most 16,384; the
# upper one is done in less than a second, and 2**31, which the client would begin, in half an hour that nothing ends.
MIN_ITERATIONS: Final = 4096
MAX_ITERATIONS: Final = 1_000_000

_HOST: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|[0-9A-Fa-f:.]{2,45}")
# The member of a server's first message (RFC 5802 section 7).
_ITERATIONS: Final = re.compile(rb"(?:^|,)i=([^,]*)")


class AnswerTooLargeError(ConnectionAbortedError):
    """A broker sends more than is read."""


class IterationsError(ConnectionAbortedError):
    """A broker asks for too little or too much work."""


class NonsenseError(ConnectionAbortedError):
    """A broker sends what the client does not understand."""


class GuardedLoop(asyncio.SelectorEventLoop):
    """An event loop that connects to allowed hosts only, and reads and computes no more for them than the limits above.

    Without ``tls`` only hosts that are allowed by name are connected to.
    """

    def __init__(self, allowed: AllowedHosts, *, tls: bool) -> None:
        super().__init__()
        self._allowed = allowed
        self._scheme = "https" if tls else "http"
        self.refused: str | None = None  # The address that was refused last
        self.heard: BaseException | None = None  # In the library's log: the last error, or the first that says why
        self.coming = 0  # Bytes of the answers that have begun to arrive

    async def create_connection(self, protocol_factory: Any, host: Any = None, port: Any = None, **options: Any) -> Any:
        """As asyncio's, to an allowed host, with its answers measured; ConnectionRefusedError to another one."""
        if not isinstance(host, str) or not _HOST.fullmatch(host) or not 1 <= int(port) <= 65535:
            raise self._refusal(host, port)
        url = f"{self._scheme}://{f'[{host}]' if ':' in host else host}:{port}/"
        try:
            place = await self.run_in_executor(None, rule_webhook.resolve, url, self._allowed)
        except PermissionDeniedError as error:
            raise self._refusal(host, port) from error
        if options.get("ssl"):
            options["server_hostname"] = host
        return await super().create_connection(lambda: _Measured(self, protocol_factory()), *place, **options)

    def run_in_executor(  # type: ignore[override]  # what asyncio's own says differs from version to version
        self, executor: Any, func: Any, *args: Any
    ) -> asyncio.Future[Any]:
        """As asyncio's; but not for a broker's message that asks for too much work: the client does it in a thread."""
        for each in args:
            # Each: of a member that comes twice the client takes the last.
            asked = _ITERATIONS.findall(each) if isinstance(each, bytes) else []
            if not all(map(_is_reasonable, asked)):
                raise IterationsError
        return super().run_in_executor(executor, func, *args)

    def _refusal(self, host: object, port: object) -> OSError:
        self.refused = f"{host!s:.64}:{port!s:.5}"
        return ConnectionRefusedError("not allowed")


class _Measured(asyncio.Protocol):
    """Hands on what a broker sends, and ends the connection before an answer that is too large.

    An answer is its length in four bytes, then so many (Apache Kafka protocol, "Protocol Primitives").
    """

    def __init__(self, loop: GuardedLoop, inner: asyncio.Protocol) -> None:
        self._loop, self._inner = loop, inner
        self._transport: asyncio.Transport | None = None
        self._size = self._left = 0
        self._head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport if isinstance(transport, asyncio.Transport) else None
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        at = 0
        while at < len(data):
            if self._left:
                taken = min(self._left, len(data) - at)
                self._left -= taken
            else:
                self._let_go()
                taken = min(4 - len(self._head), len(data) - at)
                self._head += data[at : at + taken]
                if len(self._head) == 4 and not self._begins(int.from_bytes(self._head, signed=True)):
                    return
            at += taken
        if not self._left:
            self._let_go()
        self._inner.data_received(data)

    def _begins(self, size: int) -> bool:
        """Whether an answer of so many bytes is read; the connection is cut off where not."""
        self._head = b""
        if size < 0 or self._loop.coming + size > MAX_ANSWER_BYTES:
            self._loop.heard = AnswerTooLargeError()
            if self._transport is not None:
                self._transport.abort()
            return False
        self._size = self._left = size
        self._loop.coming += size
        return True

    def _let_go(self) -> None:
        self._loop.coming -= self._size
        self._size = 0

    def eof_received(self) -> bool | None:
        return self._inner.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._let_go()
        self._inner.connection_lost(exc)

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()


def _is_reasonable(iterations: bytes) -> bool:
    return re.fullmatch(rb"[1-9][0-9]{0,9}", iterations) is not None and (
        MIN_ITERATIONS <= int(iterations) <= MAX_ITERATIONS
    )

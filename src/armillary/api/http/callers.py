# SPDX-License-Identifier: Apache-2.0
"""Limits on what each caller of the operator API has in progress, so that none uses up the service.

A request is unauthenticated until a token, a console session or a signed address identifies its caller. From then
until its answer is sent it counts against that caller's limits:

=============  ===========================================================================================
requests       in progress, live streams and requests that wait for a turn included
turns          calls of one caller that run in threads at once; its further calls wait, other callers' do not
streams        live values, of the API and the console together
exports        files of values that are being written
large bodies   in memory at once, and answers with a whole OS in them
=============  ===========================================================================================

All tokens of one catalog share a limit, too (``engines/quota.py``), because its Administrator can make more of them.
Unauthenticated requests are counted by address (``unauthenticated.py``).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from armillary.engines.quota import Quota, without_reserve
from armillary.identity.operator import Operator

if TYPE_CHECKING:
    from armillary.engines.records.schema.rows import Token

# Requests in progress; beyond it a caller gets 429 instead of everybody getting slow.
MAX_REQUESTS: Final = 512
# A quarter of them for one caller: a script has a few dozen, each screen of a control room a live stream.
MAX_REQUESTS_OF_CALLER: Final = 128
# Operators' calls that run in threads at once; each waits for the one writer or one of a few readers anyway.
OPERATOR_THREADS: Final = 8
# Half of them for one caller, and for all callers of one catalog together, so that some are left for others.
THREADS_OF_CALLER: Final = 4
THREADS_OF_CATALOG: Final = 4
# Live streams: each holds a request and a listener of the hub.
MAX_STREAMS: Final = 200
MAX_STREAMS_OF_CALLER: Final = 50
# Exports: each reads the store for as long as its caller takes to download.
MAX_EXPORTS: Final = 4
MAX_EXPORTS_OF_CALLER: Final = 2
# Bodies above LARGE_BYTES: images and applications, up to 48 MiB each, and several times that while they are read.
LARGE_BYTES: Final = 1 << 20
# An answer's body is written in parts of at most so many bytes: as much as TLS holds before it stops who writes.
PART_BYTES: Final = 256 << 10
MAX_LARGE_BODIES: Final = 8
MAX_LARGE_BODIES_OF_CALLER: Final = 4
# Retry-After in seconds: requests end soon, streams and exports do not.
SOON_S: Final = 2
LATER_S: Final = 30

# Where a request's scope has its caller, and its connection.
_CALLER: Final = "armillary.caller"
CONNECTION: Final = "armillary.connection"
# Where the state of a request has the client certificate that TLS verified (DER), or None.
CLIENT_CERTIFICATE: Final = "client_certificate"


@dataclass(frozen=True, slots=True)
class Link:
    """What a request can ask of its connection.

    ``admitted`` is called when the caller is known; ``taken`` returns when the peer has read nearly all that was
    written to it, or has disconnected.
    """

    admitted: Callable[[], None]
    taken: Callable[[], Awaitable[None]]


class Turns:
    """A semaphore for each owner, all with the same limit. Belongs to one event loop."""

    def __init__(self, each: int) -> None:
        self.each = each
        self._busy: Counter[str] = Counter()
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    @contextlib.asynccontextmanager
    async def turn(self, owner: str) -> AsyncIterator[None]:
        """Wait for the owner's semaphore, and hold it while the block lasts."""
        if self._busy[owner] < self.each:
            self._busy[owner] += 1
        else:
            await self._wait(owner)
        try:
            yield
        finally:
            self._pass_on(owner)

    async def _wait(self, owner: str) -> None:
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(owner, deque()).append(mine)
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():  # it had the turn already
                self._pass_on(owner)
            raise

    def _pass_on(self, owner: str) -> None:
        waiting = self._waiting.get(owner)
        while waiting:
            following = waiting.popleft()
            if not following.done():
                following.set_result(None)
                return
        self._waiting.pop(owner, None)
        self._busy[owner] -= 1
        if not self._busy[owner]:
            del self._busy[owner]


class Budgets:
    """The limits of one service and what is counted against them."""

    def __init__(self) -> None:
        self.requests = Quota(
            "requests under way", each=MAX_REQUESTS_OF_CALLER, total=MAX_REQUESTS, retry_after_s=SOON_S
        )
        self.streams = Quota("live streams", each=MAX_STREAMS_OF_CALLER, total=MAX_STREAMS, retry_after_s=LATER_S)
        self.exports = Quota("exports under way", each=MAX_EXPORTS_OF_CALLER, total=MAX_EXPORTS, retry_after_s=LATER_S)
        self.large_bodies = Quota(
            "large bodies under way", each=MAX_LARGE_BODIES_OF_CALLER, total=MAX_LARGE_BODIES, retry_after_s=SOON_S
        )
        self.turns = Turns(THREADS_OF_CALLER)
        self.turns_of_catalog = Turns(THREADS_OF_CATALOG)
        self.turns_of_catalogs = Turns(without_reserve(OPERATOR_THREADS))
        self.unauthenticated_dropped = 0

    def refused(self) -> Mapping[str, int]:
        """Refused requests since the start, by the limit that was reached."""
        return {
            "requests": self.requests.refused,
            "streams": self.streams.refused,
            "exports": self.exports.refused,
            "large_bodies": self.large_bodies.refused,
            "strangers": self.unauthenticated_dropped,
        }


class Caller:
    """The caller of one request; ``admitted`` is called once, when it becomes known.

    ``owner`` is its name, empty until then; ``catalog`` the owner's catalog, empty for none.
    """

    def __init__(self, budgets: Budgets, admitted: Callable[[], None] | None = None) -> None:
        self.budgets = budgets
        self.owner = self.catalog = ""
        self._admitted = admitted
        self._held: list[Quota] = []

    def admit(self, owner: str, catalog: str = "") -> None:
        """Set the caller, once; further calls change nothing. ``catalog`` is as :func:`catalog_of` returns it.

        Raises:
            QuotaExceededError: the owner or its catalog has reached its limit of requests.
        """
        if self.owner:
            return
        self.budgets.requests.take(owner, catalog)
        self.owner, self.catalog = owner, catalog
        self._held.append(self.budgets.requests)
        if self._admitted is not None:
            self._admitted()

    def hold(self, quota: Quota) -> None:
        """Count this request against a limit until its answer is sent. Raises QuotaExceededError at the limit."""
        quota.take(self.owner, self.catalog)
        self._held.append(quota)

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait until the caller may use another thread, and count it as used while the block lasts."""
        async with contextlib.AsyncExitStack() as turns:
            await turns.enter_async_context(self.budgets.turns.turn(self.owner))
            if self.catalog:
                await turns.enter_async_context(self.budgets.turns_of_catalog.turn(self.catalog))
                await turns.enter_async_context(self.budgets.turns_of_catalogs.turn(""))
            yield

    def close(self) -> None:
        """Stop counting the request against all limits, as its answer is sent."""
        while self._held:
            self._held.pop().free(self.owner, self.catalog)


def _parts(message: Message) -> Iterator[Message]:
    """A message of an answer, a large body in parts.

    The server waits for the peer between two writes, and TLS takes any single one whole: nobody would wait then.
    """
    body = message.get("body", b"")
    rest = len(body) - PART_BYTES
    if rest <= 0:
        yield message
        return
    for begin in range(0, len(body), PART_BYTES):
        is_last = begin >= rest
        more = message.get("more_body", False) if is_last else True
        yield {**message, "body": body[begin : begin + PART_BYTES], "more_body": more}


class CallerScope:
    """ASGI wrapper that gives every request its caller and closes it after the answer."""

    def __init__(self, app: ASGIApp, budgets: Budgets) -> None:
        self._app = app
        self._budgets = budgets

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        link: Link | None = scope.get(CONNECTION)
        caller = Caller(self._budgets, link.admitted if link else None)
        is_whole = False

        async def noted(message: Message) -> None:
            nonlocal is_whole
            is_whole = message["type"] == "http.response.body" and not message.get("more_body", False)
            for part in _parts(message):
                await send(part)

        try:
            await self._app({**scope, _CALLER: caller}, receive, noted)
            if link is not None and is_whole:
                await link.taken()  # an answer that nobody takes is in memory: it is still under way
        finally:
            caller.close()


def caller_of(request: Request) -> Caller:
    """The caller of a request; one with limits of its own outside of :class:`CallerScope` (pages in tests)."""
    found = request.scope.get(_CALLER)
    if found is None:
        found = request.scope[_CALLER] = Caller(Budgets())
    return cast("Caller", found)


def owner_of(operator: Any) -> str:
    """The name of a caller: its token's name, for people, and the id, because names may be the same."""
    name = getattr(operator, "name", None) or type(operator).__name__
    if person_id := getattr(operator, "person_id", ""):
        return f"the person {str(name)[:40]!a} ({str(person_id)[:8]})"
    return f"the token {str(name)[:40]!a} ({str(operator.token_id)[:8]})"


def catalog_of(operator: Any) -> str:
    """The catalog of any kind of token; empty for one of all catalogs."""
    found = getattr(operator, "catalog_id", None)
    return "" if found is None else str(found)


def operator_of(token: Token) -> Operator:
    """Who acts with a token, as operations that change something take it."""
    return Operator(token.name, token.role, token.catalog_id, token.organisation, ends_at=token.expires_at)

# SPDX-License-Identifier: Apache-2.0
"""A running service that is attacked over real TLS, and what asks for its health meanwhile."""

from __future__ import annotations

import contextlib
import socket
import ssl
import statistics
import threading
import time
from collections.abc import Iterator, Sized
from concurrent.futures import ThreadPoolExecutor
from typing import Self

import pytest
from tests.api.running_service import RunningService, running_service, wait_until

from armillary.api.http import callers
from armillary.api.http.callers import Budgets
from armillary.api.http.server import ApiServer

HEALTH = "/api/v1/health"
# The promise. The median of what was measured under an attack has to hold it.
HEALTH_S = 0.1
# Where an attack comes from: the honest come from 127.0.0.1.
ELSEWHERE = "127.0.0.2"


@pytest.fixture(scope="session")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningService, ApiServer]]:
    begin, servers = ApiServer.start, list[ApiServer]()

    async def noted(self: ApiServer, host: str, port: int) -> int:
        servers.append(self)
        return await begin(self, host, port)

    folder = tmp_path_factory.mktemp("availability")
    with contextlib.ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ApiServer, "start", noted)
            running = stack.enter_context(running_service(folder, console=True, webhook_hosts="127.0.0.1"))
        running.token_of("Reader")
        running.tokens["other"] = running.service.tokens.create("other", "Reader", actor="test").secret
        running.azure("PUT", "/Contoso", {"location": "global"})
        yield running, servers[0]


@pytest.fixture(scope="session")
def own(attacked: tuple[RunningService, ApiServer]) -> RunningService:
    return attacked[0]


@pytest.fixture(scope="session")
def server(attacked: tuple[RunningService, ApiServer]) -> ApiServer:
    return attacked[1]


@pytest.fixture
def budgets(own: RunningService) -> Budgets:
    found: Budgets = own.app.state.budgets
    return found


@pytest.fixture
def opened() -> Iterator[list[socket.socket]]:
    found: list[socket.socket] = []
    yield found
    for each in found:
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        each.close()


class Health:
    """Asks for health again and again while the block lasts, over a connection of its own."""

    def __init__(self, own: RunningService) -> None:
        self._own = own
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self.waits: list[float] = []

    def __enter__(self) -> Self:
        self._thread.start()
        wait_until(lambda: self.waits, "the first answer")
        return self

    def __exit__(self, *error: object) -> None:
        before = len(self.waits)
        if error[0] is None:
            wait_until(lambda: len(self.waits) > before + 1, "an answer after the attack")
        self._over.set()
        self._thread.join(20)

    def _ask(self) -> None:
        with contextlib.closing(self._own.connection()) as asked:
            while not self._over.wait(0.005):
                begun = time.perf_counter()
                asked.request("GET", HEALTH)
                with asked.getresponse() as answer:
                    assert (answer.status, answer.read()) == (200, b'{"status":"ok"}')
                self.waits.append(time.perf_counter() - begun)

    def check(self) -> None:
        """Assert what is promised."""
        assert len(self.waits) >= 3
        assert statistics.median(self.waits) < HEALTH_S, f"of {len(self.waits)}: {sorted(self.waits)[-5:]}"


# What the kernel takes for a peer that reads nothing: by itself up to 32 MB, and no answer would wait for its peer.
UNREAD_BYTES = 64 << 10


def dial(own: RunningService, source: str = ELSEWHERE) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=str(own.root))
    plain = socket.socket()
    plain.settimeout(20)
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, UNREAD_BYTES)
    plain.bind((source, 0))
    plain.connect(("127.0.0.1", own.port))
    return context.wrap_socket(plain, server_hostname="localhost")


def sent(own: RunningService, opened: list[socket.socket], count: int, data: bytes, source: str = ELSEWHERE) -> None:
    """Open connections that send something and then nothing."""

    def one(_: int) -> ssl.SSLSocket:
        made = dial(own, source)
        made.sendall(data)
        return made

    with ThreadPoolExecutor(4) as pool:
        opened += pool.map(one, range(count))


def authorized(own: RunningService, who: str) -> str:
    return f"host: x\r\nauthorization: Bearer {own.tokens[who]}\r\n"


def half_a_body(own: RunningService, who: str, path: str = "/api/v1/group-preview") -> bytes:
    """A request whose body is announced with 9 bytes, and the first of them."""
    head = f"POST {path} HTTP/1.1\r\n{authorized(own, who)}content-type: application/json\r\n"
    return f"{head}content-length: 9\r\n\r\n{{".encode()


HALF_A_FORM = b"POST /sign-in HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: 500\r\n\r\nt"


def close(opened: list[socket.socket], quota: Sized = ()) -> None:
    """Close connections, and wait until what they held is given back."""
    for each in opened:
        each.close()
    opened.clear()
    wait_until(lambda: len(quota) == 0, "all to be given back")


def owner(own: RunningService, who: str = "Reader") -> str:
    name = f"{who}-token" if who != "other" else who
    return next(callers.owner_of(each) for each in own.service.tokens.list() if each.name == name)


class Gate:
    """Holds calls in the service's threads until it is opened, at the latest at the end of the block."""

    def __init__(self) -> None:
        self._open, self._begun = threading.Event(), threading.Semaphore(0)
        self.open = self._open.set

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.open()

    def hold(self) -> None:
        self._begun.release()
        assert self._open.wait(30)

    def holds(self, count: int) -> None:
        """Wait until it holds so many calls more."""
        for _ in range(count):
            assert self._begun.acquire(timeout=20)

    def is_reached(self) -> bool:
        """Whether it holds one more, or does so at once."""
        return self._begun.acquire(timeout=0.1)

    def shut(self) -> None:
        self._open.clear()
        while self._begun.acquire(blocking=False):
            pass


def waits_long(own: RunningService) -> bool:
    """Whether another token's call, which needs a thread, gets no answer for a second."""
    asked = own.connection()
    asked.timeout = 1.0
    with contextlib.closing(asked), contextlib.suppress(TimeoutError):
        asked.request("GET", "/api/v1/me", headers={"Authorization": f"Bearer {own.tokens['other']}"})
        return asked.getresponse().status != 200
    return True

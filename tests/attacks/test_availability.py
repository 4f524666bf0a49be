# SPDX-License-Identifier: Apache-2.0
"""One caller that takes more than its share: the others are served, and health answers meanwhile.

Each attack is played against one running service over real TLS, and once more as its control with the limit in question
taken away: then it hurts. Loads are small and limits are lowered to them, so that a host half as fast shows the same.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
import statistics
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

import pytest
from tests.api.running_service import RunningService, running_service, wait_until

from armillary.api import callers, connection, dashboard_live, json_body, native_series, routes
from armillary.api.callers import Budgets
from armillary.api.server import ApiServer
from armillary.twin import template as template_of

HEALTH = "/api/v1/health"
# The promise. The median of what was measured under an attack has to hold it.
HEALTH_S = 0.1
# Where an attack comes from: the honest come from 127.0.0.1.
ELSEWHERE = "127.0.0.2"


@pytest.fixture(scope="module")
def servers() -> list[ApiServer]:
    return []


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, servers: list[ApiServer]) -> Iterator[RunningService]:
    begin = ApiServer.start

    async def noted(self: ApiServer, host: str, port: int) -> int:
        servers.append(self)
        return await begin(self, host, port)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ApiServer, "start", noted)
        with running_service(
            tmp_path_factory.mktemp("availability"), console=True, webhook_hosts="127.0.0.1"
        ) as running:
            running.token_of("Reader")
            running.tokens["other"] = running.service.tokens.create("other", "Reader", actor="test").secret
            running.azure("PUT", "/Contoso", {"location": "global"})
            yield running


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

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        before = len(self.waits)
        if kind is None:
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


def dial(own: RunningService, source: str = ELSEWHERE) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=str(own.root))
    plain = socket.create_connection(("127.0.0.1", own.port), timeout=20, source_address=(source, 0))
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


# JSON ------------------------------------------------------------------------------------------------------------


def names_with_one_twice(count: int) -> bytes:
    names = [f'"k{number}":0' for number in range(count)]
    return ("{" + ",".join([*names, names[-1]]) + "}").encode()


def test_a_name_twice_among_thousands_holds_up_nobody(own: RunningService, monkeypatch: pytest.MonkeyPatch) -> None:
    body = names_with_one_twice(9_000)
    with Health(own) as health:
        for _ in range(4):
            reply = own.call("POST", "/api/v1/group-preview", body, token=own.tokens["Reader"])
            assert (reply.status, reply.body["code"]) == (400, "request.invalid")
            assert "the name 'k8999' twice" in reply.body["detail"]
    health.check()

    def one_by_one(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(twice)
        return dict(pairs)

    monkeypatch.setattr(json_body, "_each_name_once", one_by_one)
    monkeypatch.setattr(json_body, "INLINE_BYTES", 1 << 30)
    with Health(own) as control:
        own.call("POST", "/api/v1/group-preview", body, token=own.tokens["Reader"])
    assert max(control.waits) > 3 * HEALTH_S, "the control has to hurt"


def test_an_image_of_millions_of_values_is_refused_before_there_are_any(
    own: RunningService, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = 400_000
    body = b'{"images":[' + b",".join([b"{}"] * values) + b"]}"
    path = "/Contoso/uploadImage"
    made: list[int] = []

    def noted(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made.append(1)
        return dict(pairs)

    monkeypatch.setattr(json_body, "_each_name_once", noted)
    with Health(own) as health:
        reply = own.azure("POST", path, body)
        assert (reply.status, reply.body["error"]["code"]) == (413, "RequestContentTooLarge")
        assert "at most 1,000 values" in reply.body["error"]["message"]
    health.check()
    assert made == []
    monkeypatch.setattr(routes, "VALUES", dict.fromkeys(routes.VALUES, 1 << 30))
    assert own.azure("POST", path, body).status == 400
    assert len(made) > values, "the control: every one is built"


def test_a_template_that_multiplies_is_refused_before_it_is_built(
    own: RunningService, monkeypatch: pytest.MonkeyPatch
) -> None:
    def models(components: int, contents: int) -> dict[str, Any]:
        head = {"@context": "dtmi:dtdl:context;3", "@type": "Interface"}
        parts = [{"@type": "Component", "name": f"c{n}", "schema": "dtmi:a:p;1"} for n in range(components)]
        inner = [{"@type": "Telemetry", "name": f"t{n}", "schema": "double"} for n in range(contents)]
        root, part = {**head, "@id": "dtmi:a:r;1", "contents": parts}, {**head, "@id": "dtmi:a:p;1", "contents": inner}
        documents = [{"name": "a", "content": json.dumps(root)}, {"name": "b", "content": json.dumps(part)}]
        return {"documents": documents}

    path = "/api/v1/templates/large/import"
    with Health(own) as health:
        for _ in range(3):
            reply = own.call("POST", path, models(1000, 1000))
            assert (reply.status, reply.body["code"]) == (400, "request.invalid")
            assert "at most 3,000 capabilities" in reply.body["detail"]
    health.check()
    monkeypatch.setattr(template_of, "MAX_CAPABILITIES", 1 << 30)
    monkeypatch.setattr(template_of, "MAX_SCHEMA_PARTS", 1 << 30)
    grown = own.call("POST", path, models(80, 80))
    assert grown.status == 200
    assert len(grown.raw) > 1 << 20, "the control: a megabyte from twelve kilobytes"
    own.call("DELETE", "/api/v1/templates/large")


# Strangers -------------------------------------------------------------------------------------------------------

HALF_A_FORM = b"POST /sign-in HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: 500\r\n\r\nt"


def signs_in(own: RunningService) -> bool:
    """Whether somebody elsewhere gets as far as being told that the form is not ours."""
    reply = own.call(
        "POST", "/sign-in", b"token=x", token=None, headers={"Content-Type": "application/x-www-form-urlencoded"}
    )
    return reply.status == 403


def test_strangers_that_send_slowly_take_no_place_from_others(
    own: RunningService,
    opened: list[socket.socket],
    servers: list[ApiServer],
    budgets: Budgets,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "MAX_REQUESTS", 40)  # of the 512 that there are
    assert own.call("GET", "/sign-in", token=None).status == 200  # the console is made at the first visit
    shed = budgets.strangers_shed
    with Health(own) as health:
        sent(own, opened, 60, HALF_A_FORM)
        assert own.call("GET", "/api/v1/me", token=own.tokens["Reader"]).status == 200
        assert signs_in(own)
    health.check()
    assert len(servers[-1].strangers) <= 16
    assert budgets.strangers_shed - shed == 44, "those of the address that were at it longest"
    metrics = own.call("GET", "/metrics").raw.decode()
    assert f'armillary_api_refused_total{{place="strangers"}} {float(budgets.strangers_shed)}' in metrics
    _close(opened)
    monkeypatch.setattr(servers[-1].strangers, "each", 1 << 30)
    monkeypatch.setattr(servers[-1].strangers, "total", 1 << 30)
    sent(own, opened, 40, HALF_A_FORM)
    assert own.call("GET", "/api/v1/me", token=own.tokens["Reader"], fresh=True).status == 503, "the control"
    _close(opened)
    wait_until(lambda: len(servers[-1].strangers) == 0, "all of them to be forgotten")


def _close(opened: list[socket.socket]) -> None:
    for each in opened:
        each.close()
    opened.clear()


def test_an_address_goes_first_for_itself_and_then_the_one_with_most(
    own: RunningService, opened: list[socket.socket], servers: list[ApiServer]
) -> None:
    strangers = servers[-1].strangers
    honest = dial(own, "127.0.0.3")
    opened.append(honest)
    honest.sendall(HALF_A_FORM)
    wait_until(lambda: len(strangers) == 1, "the honest one to be there")
    for last in range(4, 10):  # six addresses of 12 each: 72, with the honest one
        sent(own, opened, 12, HALF_A_FORM, f"127.0.0.{last}")
    wait_until(lambda: len(strangers) == 64, "the number that there may be")
    honest.sendall(b"x" * 499)
    assert honest.recv(64).startswith(b"HTTP/1.1 403"), "it was not let go for any of them"


def test_an_answer_that_a_stranger_does_not_take_is_waited_for_no_longer_than_its_body(
    own: RunningService,
    opened: list[socket.socket],
    servers: list[ApiServer],
    budgets: Budgets,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shed = budgets.strangers_shed
    monkeypatch.setattr(servers[-1].strangers, "each", 3)
    monkeypatch.setattr(own.app, "openapi", lambda: {"x": "y" * (2 << 20)})  # eight are more than the system buffers
    context = ssl.create_default_context(cafile=str(own.root))
    with Health(own) as health:
        for _ in range(6):
            plain = socket.socket()
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            plain.bind((ELSEWHERE, 0))
            plain.connect(("127.0.0.1", own.port))
            opened.append(context.wrap_socket(plain, server_hostname="localhost"))
            opened[-1].sendall(b"GET /api/v1/openapi.json HTTP/1.1\r\nhost: x\r\n\r\n" * 8)
        wait_until(lambda: budgets.strangers_shed > shed, "the one that was at it longest to be let go")
    assert len(servers[-1].strangers) <= 3
    health.check()


def test_a_slow_body_of_somebody_who_is_known_keeps_its_place(
    own: RunningService, opened: list[socket.socket], servers: list[ApiServer]
) -> None:
    body = json.dumps({"filter": {}}).encode()
    slow = dial(own)
    opened.append(slow)
    slow.sendall(
        f"POST /api/v1/group-preview HTTP/1.1\r\n{authorized(own, 'Reader')}content-type: application/json\r\n"
        f"content-length: {len(body)}\r\n\r\n".encode()
    )
    slow.sendall(body[:3])
    wait_until(lambda: own.app.state.budgets.requests.of(_owner(own)) == 1, "the request to be the token's")
    sent(own, opened, 30, HALF_A_FORM)
    wait_until(lambda: len(servers[-1].strangers) == 16, "the strangers of the address to be few")
    slow.sendall(body[3:])
    assert slow.recv(64).startswith((b"HTTP/1.1 200", b"HTTP/1.1 400"))


def _owner(own: RunningService, who: str = "Reader") -> str:
    name = f"{who}-token" if who != "other" else who
    return next(callers.owner_of(each) for each in own.service.tokens.list() if each.name == name)


# Budgets of a token ----------------------------------------------------------------------------------------------


def test_one_token_never_takes_all_threads(
    own: RunningService, budgets: Budgets, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, begun = threading.Event(), threading.Semaphore(0)

    def waits(*_: Any, **__: Any) -> dict[str, Any]:
        begun.release()
        assert gate.wait(30)
        return {}

    monkeypatch.setattr("armillary.api.views_series.retention", waits)
    path = "/api/v1/telemetry/retention"

    def attack() -> list[http.client.HTTPSConnection]:
        found = [own.connection() for _ in range(12)]
        for each in found:
            each.request("GET", path, headers={"Authorization": f"Bearer {own.tokens['Reader']}"})
        return found

    def other(timeout_s: float) -> int:
        asked = own.connection()
        asked.timeout = timeout_s
        with contextlib.closing(asked):
            asked.request("GET", "/api/v1/me", headers={"Authorization": f"Bearer {own.tokens['other']}"})
            return asked.getresponse().status

    try:
        with Health(own) as health:
            held = attack()
            for _ in range(callers.THREADS_OF_CALLER):
                assert begun.acquire(timeout=20)
            wait_until(lambda: budgets.requests.of(_owner(own)) == 12, "all of them to be there")
            assert other(20) == 200
            assert not begun.acquire(timeout=0.1), "the others of this token wait for their turn"
        health.check()
        gate.set()
        assert [each.getresponse().status for each in held] == [200] * 12, "and get it"
        _hang_up(held)
        gate.clear()
        while begun.acquire(blocking=False):
            pass
        monkeypatch.setattr(budgets.turns, "each", 1 << 30)
        with Health(own) as control:
            held = attack()
            for _ in range(8):
                assert begun.acquire(timeout=20)
            with pytest.raises(TimeoutError):
                other(1.0)
        control.check()  # health needs no thread at all
    finally:
        gate.set()
    assert [each.getresponse().status for each in held] == [200] * 12
    _hang_up(held)


def _hang_up(held: list[http.client.HTTPSConnection]) -> None:
    for each in held:
        each.close()
    held.clear()


def test_one_token_never_takes_all_requests_streams_and_exports(
    own: RunningService, opened: list[socket.socket], budgets: Budgets, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = own.make_device().device_id
    stream = f"/api/v1/devices/{device}/telemetry/stream"
    export = f"/api/v1/devices/{device}/telemetry/export"

    def endless(*_: Any, **__: Any) -> Iterator[bytes]:
        while True:
            yield b"x" * 65536

    monkeypatch.setattr(native_series.views_series, "export", endless)
    for path, places, each, total in (
        (stream, budgets.streams, 3, 5),
        (export, budgets.exports, callers.MAX_EXPORTS_OF_CALLER, callers.MAX_EXPORTS),
    ):
        assert 2 * places.each <= places.total, "one caller leaves half"
        monkeypatch.setattr(places, "each", each)
        monkeypatch.setattr(places, "total", total)
        get = f"GET {path} HTTP/1.1\r\n{authorized(own, 'Reader')}\r\n".encode()
        with Health(own) as health:
            sent(own, opened, each, get)
            wait_until(lambda: len(places) == each, "all that this token may have")  # noqa: B023 - called here
            refused = own.call("GET", path, token=own.tokens["Reader"])
            assert (refused.status, refused.headers["retry-after"]) == (429, "30")
            assert refused.body["code"] == "request.too-many"
            assert "the token 'Reader-token'" in refused.body["detail"]
            sent(own, opened, 1, f"GET {path} HTTP/1.1\r\n{authorized(own, 'other')}\r\n".encode())
            assert opened[-1].recv(15) == b"HTTP/1.1 200 OK"
        health.check()
        _close(opened)
        wait_until(lambda: len(places) == 0, "all places to be given back")  # noqa: B023 - called here
        monkeypatch.setattr(places, "each", 1 << 30)
        sent(own, opened, total, get)
        wait_until(lambda: len(places) == total, "the control: one token has all")  # noqa: B023 - called here
        assert own.call("GET", path, token=own.tokens["other"]).status == 429
        _close(opened)
        wait_until(lambda: len(places) == 0, "all places to be given back")  # noqa: B023 - called here
    monkeypatch.setattr(dashboard_live, "SHED_S", 0.2)
    shed = own.hub.counters()["live_readers_shed"]
    sent(own, opened, 1, f"GET {export} HTTP/1.1\r\n{authorized(own, 'Reader')}\r\n".encode())
    wait_until(lambda: own.hub.counters()["live_readers_shed"] == shed + 1, "an export that is not read to be let go")
    wait_until(lambda: len(budgets.exports) == 0, "its place to be given back")


def test_a_token_has_so_many_requests_and_so_many_large_bodies(
    own: RunningService, opened: list[socket.socket], budgets: Budgets, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budgets.requests, "each", 5)
    mine = authorized(own, "Reader")
    half = f"POST /api/v1/group-preview HTTP/1.1\r\n{mine}content-type: application/json\r\ncontent-length: 9\r\n\r\n{{"
    sent(own, opened, 5, half.encode())
    wait_until(lambda: budgets.requests.of(_owner(own)) == 5, "all that this token may have")
    refused = own.call("GET", "/api/v1/me", token=own.tokens["Reader"])
    assert (refused.status, refused.headers["retry-after"]) == (429, "2")
    assert own.call("GET", "/api/v1/me", token=own.tokens["other"]).status == 200
    _close(opened)
    wait_until(lambda: len(budgets.requests) == 0, "all places to be given back")
    monkeypatch.setattr(budgets.large_bodies, "each", 2)
    path = "/subscriptions/0/resourceGroups/rg/providers/Microsoft.AzureSphere/catalogs/Contoso/uploadImage"
    large = (
        f"POST {path}?api-version=2024-04-01 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {own.token}\r\n"
        f"content-type: application/json\r\ncontent-length: {2 << 20}\r\n\r\n"
    ).encode()
    sent(own, opened, 2, large)
    wait_until(lambda: len(budgets.large_bodies) == 2, "two large bodies")
    sent(own, opened, 1, large)
    assert opened[-1].recv(12) == b"HTTP/1.1 429"
    _close(opened)
    wait_until(lambda: len(budgets.large_bodies) == 0, "all places to be given back")

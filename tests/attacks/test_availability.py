# SPDX-License-Identifier: Apache-2.0
"""One caller that takes more than its share: the others are served, and health answers meanwhile.

Each attack is played against one running service over real TLS, and once more as its control with the limit in question
taken away: then it hurts. Loads are small and limits are lowered to them, so that a host half as fast shows the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
import threading
from dataclasses import replace
from typing import Any

import pytest
from tests.api.running_service import RunningService, wait_until
from tests.attacks.under_attack import (
    ELSEWHERE,
    HALF_A_FORM,
    HEALTH_S,
    Health,
    authorized,
    close,
    dial,
    owner,
    sent,
)

from armillary.api.http import connection, json_body, routes
from armillary.api.http.callers import Budgets
from armillary.api.http.server import ApiServer
from armillary.twin.template import template as template_of

# JSON ------------------------------------------------------------------------------------------------------------


def names_with_one_twice(count: int) -> bytes:
    names = [f'"k{number}":0' for number in range(count)]
    return ("{" + ",".join([*names, names[-1]]) + "}").encode()


def test_a_name_twice_among_thousands_holds_up_nobody(own: RunningService, monkeypatch: pytest.MonkeyPatch) -> None:
    body = names_with_one_twice(4_900)
    with Health(own) as health:
        for _ in range(4):
            reply = own.call("POST", "/api/v1/group-preview", body, token=own.tokens["Reader"])
            assert (reply.status, reply.body["code"]) == (400, "request.invalid")
            assert "the name 'k4899' twice" in reply.body["detail"]
    health.check()

    def one_by_one(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(twice)
        return dict(pairs)

    monkeypatch.setattr(json_body, "_each_name_once", one_by_one)
    monkeypatch.setattr(json_body, "INLINE_BYTES", 1 << 30)
    monkeypatch.setattr(json_body, "MAX_NAMES", 1 << 30)
    body = names_with_one_twice(9_000)
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
    strict = routes.strict_request
    monkeypatch.setattr(routes, "strict_request", lambda request, row: strict(request, replace(row, values=1 << 30)))
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


# Unauthenticated callers -----------------------------------------------------------------------------------------


def signs_in(own: RunningService) -> bool:
    """Whether somebody elsewhere gets as far as being told that the form is not ours."""
    reply = own.call(
        "POST", "/sign-in", b"token=x", token=None, headers={"Content-Type": "application/x-www-form-urlencoded"}
    )
    return reply.status == 403


def test_unauthenticated_callers_that_send_slowly_take_no_place_from_others(
    own: RunningService,
    opened: list[socket.socket],
    server: ApiServer,
    budgets: Budgets,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "MAX_REQUESTS", 40)  # of the 512 that there are
    assert own.call("GET", "/sign-in", token=None).status == 200  # the console is made at the first visit
    shed = budgets.unauthenticated_dropped
    with Health(own) as health:
        sent(own, opened, 60, HALF_A_FORM)
        assert own.call("GET", "/api/v1/me", token=own.tokens["Reader"]).status == 200
        assert signs_in(own)
    health.check()
    assert len(server.unauthenticated) <= 16
    assert budgets.unauthenticated_dropped - shed == 44, "those of the address that were at it longest"
    metrics = own.call("GET", "/metrics").raw.decode()
    assert f'armillary_api_refused_total{{place="strangers"}} {float(budgets.unauthenticated_dropped)}' in metrics
    close(opened)
    monkeypatch.setattr(server.unauthenticated, "each", 1 << 30)
    monkeypatch.setattr(server.unauthenticated, "total", 1 << 30)
    sent(own, opened, 40, HALF_A_FORM)
    assert own.call("GET", "/api/v1/me", token=own.tokens["Reader"], fresh=True).status == 503, "the control"
    close(opened, server.unauthenticated)


def test_an_address_goes_first_for_itself_and_then_the_one_with_most(
    own: RunningService, opened: list[socket.socket], server: ApiServer
) -> None:
    unauthenticated = server.unauthenticated
    honest = dial(own, "127.0.0.3")
    opened.append(honest)
    honest.sendall(HALF_A_FORM)
    wait_until(lambda: len(unauthenticated) == 1, "the honest one to be there")
    for last in range(4, 10):  # six addresses of 12 each: 72, with the honest one
        sent(own, opened, 12, HALF_A_FORM, f"127.0.0.{last}")
    wait_until(lambda: len(unauthenticated) == 64, "the number that there may be")
    honest.sendall(b"x" * 499)
    assert honest.recv(64).startswith(b"HTTP/1.1 403"), "it was not let go for any of them"


def test_an_answer_that_an_unauthenticated_caller_does_not_take_is_waited_for_no_longer_than_its_body(
    own: RunningService,
    opened: list[socket.socket],
    server: ApiServer,
    budgets: Budgets,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shed = budgets.unauthenticated_dropped
    monkeypatch.setattr(server.unauthenticated, "each", 3)
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
        wait_until(lambda: budgets.unauthenticated_dropped > shed, "the one that was at it longest to be let go")
    assert len(server.unauthenticated) <= 3
    health.check()


def test_a_slow_body_of_somebody_who_is_known_keeps_its_place(
    own: RunningService, opened: list[socket.socket], server: ApiServer
) -> None:
    body = json.dumps({"filter": {}}).encode()
    slow = dial(own)
    opened.append(slow)
    slow.sendall(
        f"POST /api/v1/group-preview HTTP/1.1\r\n{authorized(own, 'Reader')}content-type: application/json\r\n"
        f"content-length: {len(body)}\r\n\r\n".encode()
    )
    slow.sendall(body[:3])
    wait_until(lambda: own.app.state.budgets.requests.of(owner(own)) == 1, "the request to be the token's")
    sent(own, opened, 30, HALF_A_FORM)
    wait_until(lambda: len(server.unauthenticated) == 16, "the unauthenticated callers of the address to be few")
    slow.sendall(body[3:])
    assert slow.recv(64).startswith((b"HTTP/1.1 200", b"HTTP/1.1 400"))


def test_a_caller_with_a_good_token_counts_as_its_owner_before_it_is_looked_up(
    own: RunningService,
    opened: list[socket.socket],
    server: ApiServer,
    budgets: Budgets,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Many requests of one token at once whose bodies come in later packets: each gets its answer."""
    admit, looks = routes.admit, threading.Event()

    async def slow(*given: Any) -> Any:
        while not looks.is_set():
            await asyncio.sleep(0.01)
        return await admit(*given)

    unauthenticated, with_token = server.unauthenticated, server.with_token
    assert own.call("GET", "/api/v1/me", token=own.tokens["Reader"]).status == 200
    wait_until(lambda: len(unauthenticated) + len(with_token) == 0, "nobody to be waited for")
    monkeypatch.setattr(routes, "admit", slow)
    head = f"POST /api/v1/group-preview HTTP/1.1\r\n{authorized(own, 'Reader')}content-length: 9\r\n\r\n"

    def attack(count: int) -> None:
        sent(own, opened, count, head.encode())
        for each in opened:
            each.sendall(b"{")

    def answers() -> list[bytes]:
        return sorted(each.recv(12) for each in opened)

    attack(24)
    wait_until(lambda: len(with_token) == 24, "all of them to be waited for")
    assert len(unauthenticated) == 0
    looks.set()
    wait_until(lambda: len(with_token) == 0, "all of them to be admitted")
    for each in opened:
        each.sendall(b'"filter"')
    assert answers() == [b"HTTP/1.1 400"] * 24
    close(opened, budgets.requests)
    looks.clear()
    # Nor are they without bound, as there are requests that nobody admits at all: who has to go is told so.
    monkeypatch.setattr(with_token, "each", 5)
    refused, shed = budgets.requests.refused, budgets.unauthenticated_dropped
    attack(8)
    wait_until(lambda: budgets.requests.refused == refused + 3, "three to be told to come back")
    looks.set()
    wait_until(lambda: len(with_token) == 0, "the others to be admitted")
    for each in opened:
        with contextlib.suppress(OSError):  # it was told so already
            each.sendall(b'"filter"')
    assert answers() == [b"HTTP/1.1 400"] * 5 + [b"HTTP/1.1 429"] * 3
    assert budgets.unauthenticated_dropped == shed
    close(opened, budgets.requests)
    looks.clear()
    # The control: a token that is not looked up with the request counts by address; it is told so at least.
    monkeypatch.setattr(own.service.tokens, "cached", lambda _: None)
    attack(20)
    wait_until(lambda: budgets.unauthenticated_dropped == shed + 4, "four of the address to go")
    looks.set()
    wait_until(lambda: len(unauthenticated) == 0, "the others to be admitted")
    for each in opened:
        with contextlib.suppress(OSError):
            each.sendall(b'"filter"')
    assert answers() == [b"HTTP/1.1 400"] * 16 + [b"HTTP/1.1 429"] * 4
    close(opened)

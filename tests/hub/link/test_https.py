# SPDX-License-Identifier: Apache-2.0
"""HTTP on the hub's ports, byte by byte: requests in a row, requests in pieces, and what would cost memory."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any, cast

import pytest
from hypothesis import given, strategies as st
from tests.fixtures.transports import RecordingTransport

from armillary.hub.link.https import MAX_BODY_BYTES, MAX_HEAD_BYTES, MAX_PIPELINED, HttpChannel, HttpReply, HttpRequest

POST = b"POST /%d HTTP/1.1\r\nhost: h\r\nauthorization: %d\r\ncontent-length: 5\r\n\r\nbody%d"
BARE = b"PUT /bare HTTP/1.1\r\nhost: h\r\n\r\n"


class Pipe(RecordingTransport):
    """A transport that reads the answers which were written."""

    def answers(self) -> list[tuple[int, Any]]:
        """Statuses and bodies."""
        found, rest = [], self.sent
        while rest:
            head, _, rest = rest.partition(b"\r\n\r\n")
            size = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
            found.append((int(head[9:12]), json.loads(rest[:size])))
            rest = rest[size:]
        return found

    def statuses(self) -> list[int]:
        return [status for status, _ in self.answers()]

    def bodies(self) -> list[Any]:
        return [body for _, body in self.answers()]


async def echo(request: HttpRequest) -> HttpReply:
    """Answers what was asked; earlier requests take longer."""
    await asyncio.sleep(0.001 if request.target == "/1" else 0)
    return HttpReply(200, {"at": request.target, "as": request.authorization, "body": request.body.decode()})


def talk(*pieces: bytes, answer: Callable[[HttpRequest], Awaitable[HttpReply]] = echo) -> Pipe:
    """Send pieces one after the other, without waiting for answers; what came back."""

    async def play() -> Pipe:
        pipe = Pipe()
        channel = HttpChannel(cast("Any", pipe), None, answer, lambda _: None)
        for each in pieces:
            channel.data_received(each)
            await asyncio.sleep(0)
        while channel._task is not None and not pipe.ended:
            await asyncio.sleep(0)
        channel.connection_lost(None)
        return pipe

    return asyncio.run(play())


def whole(count: int) -> list[dict[str, str]]:
    return [{"at": f"/{n}", "as": str(n), "body": f"body{n}"} for n in range(1, count + 1)]


@given(st.lists(st.integers(0, 300), max_size=6))
def test_requests_in_a_row_are_answered_in_their_order_wherever_they_are_cut(cuts: list[int]) -> None:
    stream = b"".join(POST % (n, n, n) for n in (1, 2, 3))
    edges = [0, *sorted(min(each, len(stream)) for each in cuts), len(stream)]
    pipe = talk(*(stream[begin:end] for begin, end in pairwise(edges)))
    assert pipe.bodies() == whole(3)


def test_a_request_has_nothing_of_the_one_before() -> None:
    pipe = talk(POST % (1, 1, 1) + BARE)
    assert pipe.bodies()[1] == {"at": "/bare", "as": None, "body": ""}


def test_the_rest_of_a_body_is_never_read_as_a_request() -> None:
    """What a client put into the body of its second request would else be a request of its own."""
    inner = POST % (9, 9, 9)
    second = b"POST /2 HTTP/1.1\r\nhost: h\r\ncontent-length: %d\r\n\r\n" % len(inner)
    pipe = talk(POST % (1, 1, 1) + second, inner)
    assert [each["at"] for each in pipe.bodies()] == ["/1", "/2"]


def test_a_large_body_in_pieces_is_taken() -> None:
    body = b"x" * MAX_BODY_BYTES
    head = b"POST /1 HTTP/1.1\r\nhost: h\r\ncontent-length: %d\r\n\r\n" % len(body)
    for pieces in ((head, body), (head + body[:10], body[10:]), (head + body,)):
        assert talk(*pieces).statuses() == [200]


@pytest.mark.parametrize(
    "start",
    [
        b"POST /1 HTTP/1.1\r\nx: ",
        b"POST /",
        b"POST /1 HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1;",
        b"POST /1 HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nx: ",
    ],
    ids=["a header", "the target", "of a chunk", "behind the body"],
)
def test_what_never_ends_is_not_kept(start: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    pieces = [b"a" * MAX_HEAD_BYTES] * 7
    pipe = talk(start, *pieces)
    assert (pipe.statuses(), pipe.ended) == ([400], "closed")
    monkeypatch.setattr(HttpChannel, "_count", lambda *_: None)
    if start != b"POST /":  # each part of the target is counted
        assert talk(start, *pieces).ended == ""  # the control: it waits for more


def test_so_many_requests_wait_and_no_more() -> None:
    asked = []

    async def answer(request: HttpRequest) -> HttpReply:
        asked.append(request.target)
        return await echo(request)

    pipe = talk(b"".join(POST % (1, 1, 1) for _ in range(50)), answer=answer)
    assert (len(asked), pipe.statuses(), pipe.ended) == (MAX_PIPELINED, [200] * MAX_PIPELINED, "closed")


def test_what_is_no_request_is_refused_after_the_one_before_was_answered() -> None:
    pipe = talk(POST % (1, 1, 1) + b"\0\0\0")
    assert (pipe.statuses(), pipe.ended) == ([200], "closed")
    assert talk(b"\0\0\0").statuses() == [400]


def test_who_takes_no_answer_is_cut_off() -> None:
    async def play() -> str:
        pipe = Pipe()
        channel = HttpChannel(cast("Any", pipe), None, echo, lambda _: None)
        channel.pause_writing()
        channel.connection_lost(None)
        return pipe.ended

    assert asyncio.run(play()) == "aborted"

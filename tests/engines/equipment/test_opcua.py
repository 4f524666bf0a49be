# SPDX-License-Identifier: Apache-2.0
"""The link to OPC UA without a server: what it demands of one, and what becomes of bytes that are none's."""

from __future__ import annotations

import asyncio
import math
import struct
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from asyncua import ua
from asyncua.client.ua_client import UaClient
from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import struct_from_binary, struct_to_binary
from hypothesis import given, settings as effort, strategies as st
from tests.fixtures.effort import examples
from tests.fixtures.opcua_server import ServerKey, server_key

from armillary.engines.equipment import opcua_channel
from armillary.engines.equipment.opcua import OpcUaLink, plain_value
from armillary.engines.equipment.opcua_channel import CHUNK_BYTES, POLICIES, chosen_certificate, variant
from armillary.engines.equipment.reconnecting import LONGEST_PAUSE_S
from armillary.guard.permit import Permit
from armillary.wire.equipment.faults import LinkError, ProfileError
from armillary.wire.equipment.profile import OpcUa
from armillary.wire.equipment.request import ModbusRequest, NodesRead, NodeWrite

PIN = "ab" * 32
SETTINGS = OpcUa(url="opc.tcp://127.0.0.1:4840", server_certificate_sha256=PIN, timeout_s=5.0)
READ = Permit(NodesRead(("ns=1;s=valve", "ns=1;s=speed")))
NOW = datetime.now(UTC)


@pytest.mark.parametrize(
    ("changed", "place"),
    [
        ({"policy": "None"}, "link.policy"),
        ({"policy": ""}, "link.policy"),
        ({"policy": "Basic256"}, "link.policy"),  # SHA-1
        ({"policy": "Basic128Rsa15"}, "link.policy"),
        ({"server_certificate_sha256": ""}, "link.server_certificate_sha256"),
        ({"server_certificate_sha256": "ab" * 20}, "link.server_certificate_sha256"),
        ({"server_certificate_sha256": "zz" * 32}, "link.server_certificate_sha256"),
        ({"url": "http://127.0.0.1:4840"}, "link.url"),
        ({"url": "opc.tcp://:4840"}, "link.url"),
        ({"url": "opc.tcp://127.0.0.1:99999"}, "link.url"),
        ({"url": "opc.tcp://user:secret@127.0.0.1:4840"}, "link.url"),
    ],
)
def test_settings_without_encryption_or_certificate_are_refused(
    tmp_path: Path, changed: dict[str, str], place: str
) -> None:
    with pytest.raises(ProfileError, match=place):
        OpcUaLink(replace(SETTINGS, **changed), tmp_path)


def endpoint(key: ServerKey, policy: str = POLICIES["Basic256Sha256"].URI, mode: int = 3) -> ua.EndpointDescription:
    return ua.EndpointDescription(
        ServerCertificate=key.certificate.read_bytes(),
        SecurityMode=ua.MessageSecurityMode(mode),
        SecurityPolicyUri=policy,
    )


def test_of_all_that_is_offered_only_the_pinned_certificate_with_encryption_is_chosen(tmp_path: Path) -> None:
    right, rogue = server_key(tmp_path), server_key(tmp_path, "rogue")
    pinned = replace(SETTINGS, server_certificate_sha256=right.sha256.upper())
    none = endpoint(right, "http://opcfoundation.org/UA/SecurityPolicy#None", 1)
    offers = [none, endpoint(rogue), endpoint(right, mode=2), endpoint(right)]
    chosen = chosen_certificate(offers, pinned, NOW.timestamp())
    assert chosen.subject.rfc4514_string() == "CN=server"
    downgrades = {
        "nothing": [],
        "None": [none],
        "Sign": [none, endpoint(right, mode=2)],
        "an older policy": [endpoint(right, "http://opcfoundation.org/UA/SecurityPolicy#Basic128Rsa15")],
        "another policy": [endpoint(right, POLICIES["Aes128_Sha256_RsaOaep"].URI)],
        "another key": [none, endpoint(rogue)],
        "no certificate": [replace(endpoint(right), ServerCertificate=None)],
    }
    for name, offered in downgrades.items():
        with pytest.raises(LinkError) as error:
            chosen_certificate(offered, pinned, NOW.timestamp())
        assert error.value.reason == "foreign", name


def test_a_chain_is_pinned_by_its_first_certificate(tmp_path: Path) -> None:
    right, issuer = server_key(tmp_path), server_key(tmp_path, "issuer")
    chain = right.certificate.read_bytes() + issuer.certificate.read_bytes()
    for pin, found in ((right.sha256, True), (issuer.sha256, False)):
        chosen = replace(SETTINGS, server_certificate_sha256=pin)
        offered = [replace(endpoint(right), ServerCertificate=chain)]
        if found:
            assert chosen_certificate(offered, chosen, NOW.timestamp()).public_key() is not None
        else:
            with pytest.raises(LinkError):
                chosen_certificate(offered, chosen, NOW.timestamp())


def test_a_certificate_that_is_over_or_weak_is_not_chosen(tmp_path: Path) -> None:
    weak, over = server_key(tmp_path, "weak", bits=1024), server_key(tmp_path, "over", ends=timedelta(days=1))
    with pytest.raises(LinkError, match="no RSA key of 2048"):
        chosen_certificate([endpoint(weak)], replace(SETTINGS, server_certificate_sha256=weak.sha256), NOW.timestamp())
    pinned = replace(SETTINGS, server_certificate_sha256=over.sha256)
    for days in (-20000, 0):  # A clock that was never set stops nothing
        assert chosen_certificate([endpoint(over)], pinned, (NOW + timedelta(days=days)).timestamp())
    with pytest.raises(LinkError, match="ended at"):
        chosen_certificate([endpoint(over)], pinned, (NOW + timedelta(days=2)).timestamp())


@given(st.lists(st.binary(max_size=60), max_size=3))
@effort(max_examples=examples(100))
def test_whatever_certificates_a_server_shows_there_is_one_error(shown: list[bytes]) -> None:
    uri = POLICIES[SETTINGS.policy].URI
    mode = ua.MessageSecurityMode.SignAndEncrypt
    offered = [ua.EndpointDescription(ServerCertificate=der, SecurityMode=mode, SecurityPolicyUri=uri) for der in shown]
    with pytest.raises(LinkError) as error:
        chosen_certificate(offered, SETTINGS, 0.0)
    assert error.value.reason == "foreign"


@pytest.mark.parametrize(
    ("value", "status", "plain"),
    [
        (1.5, "Good", 1.5),
        (7, "Good", 7),
        (True, "Good", True),
        ("idle", "Good", "idle"),
        ("x" * 1001, "Good", None),
        (math.nan, "Good", None),
        (-math.inf, "Good", None),
        (b"idle", "Good", None),
        ([1.5], "Good", None),
        (None, "Good", None),
        (1.5, "GoodClamped", 1.5),
        (1.5, "UncertainSensorNotAccurate", None),
        (1.5, "BadWaitingForInitialData", None),
        (1.5, "BadNodeIdUnknown", None),
    ],
)
def test_a_value_that_is_not_good_or_not_plain_is_none(value: Any, status: str, plain: Any) -> None:
    found = plain_value(ua.DataValue(ua.Variant(value), ua.StatusCode(getattr(ua.StatusCodes, status))))
    assert found == plain
    assert type(found) is type(plain)


@pytest.mark.parametrize(("value", "kind"), [(0.5, "Int16"), (math.nan, "Int32"), (math.inf, "Byte"), ("7", "Int16")])
def test_a_value_that_its_type_does_not_hold_is_not_sent(value: Any, kind: str) -> None:
    with pytest.raises((ValueError, OverflowError)):
        variant(value, kind)


# What else may be at the address.


@asynccontextmanager
async def peer(
    answer: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any],
) -> AsyncIterator[tuple[OpcUa, list[int]]]:
    """Somebody who answers each connection in his own way."""
    connections: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(1)
        try:
            await answer(reader, writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        port = server.sockets[0].getsockname()[1]
        yield replace(SETTINGS, url=f"opc.tcp://127.0.0.1:{port}"), connections
    finally:
        server.close()


async def fault(link: OpcUaLink) -> LinkError:
    with pytest.raises(LinkError) as error:
        await link.exchange(READ)
    assert link._session is None
    return error.value


def says(data: bytes) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(data)
        await writer.drain()
        await reader.read(1000)

    return answer


ACKNOWLEDGE = struct.pack("<3scIIIIII", b"ACK", b"F", 28, 0, 65535, 65535, 0, 0)
ERROR = struct.pack("<3scIIi", b"ERR", b"F", 16, 0x80130000, -1)  # BadSecurityChecksFailed


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "damaged"),
        (ERROR, "refused"),
        (ACKNOWLEDGE[:20], "timeout"),
        (ACKNOWLEDGE + ACKNOWLEDGE, "damaged"),
        (struct.pack("<3scI", b"ACK", b"F", 0xFFFFFFF0) + bytes(CHUNK_BYTES), "damaged"),
        (ACKNOWLEDGE + struct.pack("<3scII", b"OPN", b"F", 4_000_000_000, 1) + bytes(CHUNK_BYTES), "damaged"),
        (b"", "timeout"),
    ],
    ids=["http", "error", "half", "twice", "length", "length-of-channel", "silence"],
)
def test_what_is_no_answer_is_one_typed_fault(tmp_path: Path, data: bytes, reason: str, identity: Path) -> None:
    async def story() -> None:
        async with peer(says(data)) as (settings, _):
            slow = reason != "timeout"
            link = OpcUaLink(replace(settings, timeout_s=5.0 if slow else 0.2), identity)
            assert (await fault(link)).reason == reason
            counters = link.counters
            counted = {"damaged": counters.damaged, "refused": counters.exceptions, "timeout": counters.timeouts}
            assert counted == {name: int(name == reason) for name in counted}

    asyncio.run(story())


def test_what_pretends_to_be_long_is_not_held(tmp_path: Path, identity: Path) -> None:
    """A length of four gigabytes, and somebody who sends them: the connection ends after one piece's worth."""
    taken = 0

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal taken
        writer.transport.set_write_buffer_limits(high=0)
        writer.write(struct.pack("<3scI", b"ACK", b"F", 0xFFFFFFF0))
        while True:
            writer.write(bytes(10_000))
            await writer.drain()
            taken += 10_000

    async def story() -> None:
        async with peer(flood) as (settings, _):
            link = OpcUaLink(replace(settings, timeout_s=20.0), identity)
            assert (await fault(link)).reason == "damaged"
        assert taken < 100 * CHUNK_BYTES  # What the sockets' buffers hold

    asyncio.run(story())


def test_a_server_that_is_none_is_asked_less_and_less_often(identity: Path) -> None:
    seconds = 1000.0

    async def story() -> None:
        nonlocal seconds
        async with peer(says(ERROR)) as (settings, connections):
            link = OpcUaLink(settings, identity, monotonic=lambda: seconds)
            for _ in range(20):
                await fault(link)
            assert len(connections) == 2
            seconds += LONGEST_PAUSE_S
            await fault(link)
            assert len(connections) == 3

    asyncio.run(story())


def test_a_library_that_goes_round_the_bounds_is_not_used(identity: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opcua_channel, "_Transport", UaClient)

    async def story() -> None:
        async with peer(says(ACKNOWLEDGE)) as (settings, _):
            assert "without bounds" in (await fault(OpcUaLink(settings, identity))).message

    asyncio.run(story())


@given(st.lists(st.one_of(st.binary(max_size=80), st.just(ACKNOWLEDGE), st.just(ERROR)), max_size=4), st.booleans())
@effort(max_examples=examples(40))
def test_whatever_bytes_come_there_is_one_error_and_the_next_exchange_begins_anew(
    identity: Path, pieces: list[bytes], lying: bool
) -> None:
    """``lying``: what comes looks like messages with right lengths."""
    if lying:
        pieces = [struct.pack("<3scI", b"OPN", b"F", 8 + len(piece)) + piece for piece in pieces]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        for piece in pieces:
            writer.write(piece)
        await writer.drain()

    async def story() -> None:
        async with peer(answer) as (settings, connections):
            link = OpcUaLink(settings, identity)
            for times in (1, 2):
                assert (await fault(link)).reason in ("damaged", "refused", "unreachable")
                assert len(connections) == times

    asyncio.run(story())


def read_response(variant: bytes) -> bytes:
    """The answer to a read, of one value that is this."""
    response = ua.ReadResponse()
    response.Results = None
    return struct_to_binary(response)[:-8] + struct.pack("<i", 1) + b"\x01" + variant + struct.pack("<i", -1)


@pytest.mark.parametrize(
    "variant",
    [
        b"\x80" + struct.pack("<i", 2**31 - 1),  # An array of nothing, which takes no bytes
        b"\xcb" + struct.pack("<id", 1, 0.5) + struct.pack("<iii", 2, 100_000, 2),  # Dimensions that one value has not
        b"\x8b" + struct.pack("<i", 2**31 - 1),
        b"\x98" + struct.pack("<i", 1) * 1 + (b"\x98" + struct.pack("<i", 1)) * 5000,  # Arrays in arrays
    ],
    ids=["nothing", "dimensions", "length", "depth"],
)
def test_a_few_bytes_do_not_become_many(variant: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises((ua.uaerrors.UaError, ua.utils.NotEnoughData, RecursionError)):
            struct_from_binary(ua.ReadResponse, Buffer(read_response(variant)))
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


def test_without_its_bound_an_array_of_nothing_is_as_long_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opcua_channel.ua_binary, "unpack_uatype_array", opcua_channel._unbounded_array)
    response = struct_from_binary(ua.ReadResponse, Buffer(read_response(b"\x80" + struct.pack("<i", 100_000))))
    assert len(response.Results[0].Value.Value) == 100_000


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one guardian: making a key takes its time."""
    return tmp_path_factory.mktemp("guardian")


# What the library may raise.


class Unforeseen(BaseException):
    """As some libraries have it: no ``except Exception`` catches this."""


class Session:
    """A session whose next answer is known."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.dropped = False

    def is_over(self, _now: float) -> bool:
        return False

    async def renew(self, _now: float) -> None:
        pass

    async def read(self, _nodes: list[Any], _now: float) -> Any:
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer

    def drop(self) -> None:
        self.dropped = True


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Unforeseen("x"), "damaged"),
        (asyncio.CancelledError(), "damaged"),  # The library's own: nobody stopped this task
        (RecursionError(), "damaged"),
        (MemoryError(), "damaged"),
        (struct.error("x"), "damaged"),
        (StopIteration(), "damaged"),
        (AssertionError(), "damaged"),
        (ExceptionGroup("x", [ValueError()]), "damaged"),
        (TimeoutError(), "timeout"),
        (ConnectionResetError(), "unreachable"),
        (ua.UaStatusCodeError(ua.StatusCodes.BadSessionIdInvalid), "refused"),
        ([ua.DataValue(1.0)], "damaged"),  # One value for two nodes
        ([], "damaged"),
        ([ua.DataValue(1.0)] * 3, "damaged"),
    ],
    ids=repr,
)
def test_whatever_the_library_does_is_one_typed_fault(tmp_path: Path, answer: Any, reason: str) -> None:
    async def story() -> None:
        link, session = OpcUaLink(SETTINGS, tmp_path), Session(answer)
        link._session = session  # type: ignore[assignment]
        assert (await fault(link)).reason == reason
        assert session.dropped

    asyncio.run(story())


@pytest.mark.parametrize("ends", [KeyboardInterrupt(), SystemExit(1)], ids=repr)
def test_what_ends_the_process_is_passed_on(tmp_path: Path, ends: BaseException) -> None:
    link, session = OpcUaLink(SETTINGS, tmp_path), Session(ends)
    link._session = session  # type: ignore[assignment]
    exchange = link.exchange(READ)
    with pytest.raises(type(ends)):
        exchange.send(None)
    assert session.dropped


def test_other_requests_are_none_for_this_link(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="ModbusRequest"):
        asyncio.run(OpcUaLink(SETTINGS, tmp_path).exchange(Permit(ModbusRequest(1, b"\x03"))))


def test_nothing_asks_for_methods_or_browses() -> None:
    """The link has no way to call a method: what asyncua offers for it is named nowhere."""
    source = Path(opcua_channel.__file__).read_text() + Path(opcua_channel.__file__).with_name("opcua.py").read_text()
    for word in (".call(", "call_method", ".browse", "get_node(", "set_user", ".connect()"):
        assert word not in source


def test_writes_of_values_that_do_not_fit_send_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        link, session = OpcUaLink(SETTINGS, tmp_path), Session([])
        link._session = session  # type: ignore[assignment]
        with pytest.raises(LinkError):  # The stand-in has no write: one that was tried would fail otherwise
            await link.exchange(Permit(NodeWrite("ns=1;s=valve", math.nan, "Int16")))

    asyncio.run(story())

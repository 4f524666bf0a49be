# SPDX-License-Identifier: Apache-2.0
"""One identity's connection to the hub: MQTT 3.1.1 over TLS with the device's certificate, on the process's loop.

Each connection is a new session: what was not acknowledged is published again by whoever has kept it
(``sending.py``), and the twin is asked for anew. paho's sockets are read and written by this loop; only connecting,
which waits for names and handshakes, happens in a thread.

Topics: ``wire/hub/topics.py`` of the hub's side; Microsoft's public description of IoT Hub's MQTT interface.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import ssl
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import parse_qs

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from armillary.guardian.log import log

API_VERSION = "2021-04-12"
TWIN_ANSWER = "$iothub/twin/res/"
TWIN_DESIRED = "$iothub/twin/PATCH/properties/desired/"
METHOD_CALL = "$iothub/methods/POST/"

KEEPALIVE_S = 20  # Also how long a TLS handshake may take: paho has one setting for both
CONNECT_TIMEOUT_S = 10.0
# First and longest wait before connecting again; each is drawn from half to the whole of it, so that guardians whose
# hub was away do not all come back at once.
RETRY_S = (1.0, 60.0)
STABLE_S = 30.0  # A connection that lived so long starts the waits over
# A certificate that was replaced is good for most of a day more. A device may be given one every second, and a
# connection that is made anew as often carries nothing.
RENEW_AFTER_S = 3600.0
MISC_S = 1.0  # How often keep-alive and certificate are looked at
# Methods of one identity under way at once. Commands of one piece of equipment go one after the other anyway.
METHODS_LIMIT = 8

Method = Callable[[str, object], Awaitable[tuple[int, object]]]


class Credentials(Protocol):
    """Where the certificate comes from."""

    def version(self) -> object:
        """Changes with every new certificate; None while there is none."""
        ...

    def context(self) -> ssl.SSLContext:
        """A context for the present certificate. Raises OSError (ssl.SSLError is one) if it cannot be used."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """What hears of a connection; all are called on the loop."""

    method: Method
    desired: Callable[[Mapping[str, object]], None]  # The whole desired section after connecting, then each change
    reported: Callable[[Mapping[str, object]], None] = lambda _: None  # The whole reported section after connecting
    connected: Callable[[], None] = lambda: None
    disconnected: Callable[[], None] = lambda: None  # What was published and not acknowledged may be lost


class HubConnection:
    """Keeps one identity connected until it is closed.

    ``identity`` is ``DEVICE`` or ``DEVICE/MODULE``; ``threads`` are those in which it connects.
    """

    def __init__(
        self,
        identity: str,
        address: tuple[str, int],
        credentials: Credentials,
        listener: Listener,
        *,
        threads: ThreadPoolExecutor,
        renew_after_s: float = RENEW_AFTER_S,
    ) -> None:
        self.identity = identity
        self.is_connected = False
        self.refusal = ""  # Why the last attempt failed, for the log and the twin
        self._address = address
        self._credentials = credentials
        self._listener = listener
        self._threads = threads
        self._renew_after_s = renew_after_s
        self._client: paho.Client | None = None
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._ended = asyncio.Event()
        self._calls: set[asyncio.Task[None]] = set()
        self._requests = 0
        device, slash, module = identity.partition("/")
        self._prefix = f"devices/{device}/modules/{module}" if slash else f"devices/{device}"

    async def run(self) -> None:
        """Connect, and again whenever the connection ends or the certificate is replaced; until cancelled."""
        loop = asyncio.get_running_loop()
        wait_s = RETRY_S[0]
        try:
            while True:
                began = loop.time()
                if await self._once(loop):
                    continue
                wait_s = RETRY_S[0] if loop.time() - began >= STABLE_S else min(wait_s * 2, RETRY_S[1])
                await asyncio.sleep(wait_s * random.uniform(0.5, 1.0))  # noqa: S311 - spreads reconnects, no secret
        finally:
            self._close(loop)

    def publish(self, bag: str, body: bytes) -> asyncio.Future[None]:
        """Publish telemetry with a property bag (``$.mid=..&..``, encoded); done when the hub has acknowledged it.

        Raises ConnectionError, at once or in the future, when there is no connection or it ends before.
        """
        client = self._client
        if client is None or not self.is_connected:
            raise ConnectionError(f"{self.identity:.60} is not connected")
        sent = client.publish(f"{self._prefix}/messages/events/{bag}", body, qos=1)
        done = asyncio.get_running_loop().create_future()
        self._waiting[sent.mid] = done
        return done

    def report(self, properties: Mapping[str, object]) -> bool:
        """Report twin properties; False where there is no connection, and nothing was sent."""
        if self._client is None or not self.is_connected:
            return False
        self._requests += 1
        topic = f"$iothub/twin/PATCH/properties/reported/?$rid={self._requests}"
        self._client.publish(topic, json.dumps(properties, separators=(",", ":")), qos=1)
        return True

    async def _once(self, loop: asyncio.AbstractEventLoop) -> bool:
        """One connection to its end; True where it was ended for a new certificate."""
        version = self._credentials.version()
        if version is None:
            self._refused("there is no certificate yet")
            return False
        try:
            context = await loop.run_in_executor(self._threads, self._credentials.context)
            client = self._new_client(context)
            await loop.run_in_executor(self._threads, lambda: client.connect(*self._address, keepalive=KEEPALIVE_S))
        except (OSError, ValueError) as error:  # ValueError: paho's, for a host that is none
            self._refused(f"{error!s:.200}")
            return False
        # Its own: a client that is gone may still say so when it is collected.
        ended = self._ended = asyncio.Event()
        self._client = client
        _watch(client, loop, ended)
        renewal = loop.time() + self._renew_after_s
        try:
            while not ended.is_set():
                if loop.time() >= renewal and self._credentials.version() not in (version, None):
                    log(f"{self._name} connects again, with its new certificate")
                    return True
                client.loop_misc()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(ended.wait(), MISC_S)
            self._refused("the hub closed the connection")
            return False
        finally:
            self._close(loop)

    def _close(self, loop: asyncio.AbstractEventLoop) -> None:
        """End the connection there is; whoever waits for an acknowledgement hears that none comes."""
        client, self._client = self._client, None
        if client is None:
            return
        if (stream := client.socket()) is not None:
            loop.remove_reader(stream)
            loop.remove_writer(stream)
            client.on_socket_register_write = client.on_socket_unregister_write = None
            client.on_socket_close = client.on_disconnect = None
            client.disconnect()
            client.loop_write()
            _forget_tls_errors()
        was_connected, self.is_connected = self.is_connected, False
        waiting, self._waiting = self._waiting, {}
        for done in waiting.values():
            if not done.done():
                done.set_exception(ConnectionError(f"{self.identity:.60} was disconnected"))
        if was_connected:
            self._listener.disconnected()

    def _new_client(self, context: ssl.SSLContext) -> paho.Client:
        client = paho.Client(CallbackAPIVersion.VERSION2, client_id=self.identity, clean_session=True)
        client.username_pw_set(f"{self._address[0]}/{self.identity}/?api-version={API_VERSION}")
        client.tls_set_context(context)
        client.connect_timeout = CONNECT_TIMEOUT_S
        client.max_inflight_messages_set(0)  # The sender bounds what is under way
        client.on_connect = self._on_connect
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        return client

    def _on_connect(self, client: paho.Client, _user: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self._refused(str(reason))
            self._ended.set()
            return
        log(f"{self._name} is connected to the hub")
        self.refusal = ""
        self.is_connected = True
        for topic in (TWIN_ANSWER, TWIN_DESIRED, METHOD_CALL):
            client.subscribe(f"{topic}#", qos=1)
        self._requests += 1
        client.publish(f"$iothub/twin/GET/?$rid={self._requests}", b"", qos=1)
        self._listener.connected()

    def _on_publish(self, _client: paho.Client, _user: Any, mid: int, _reason: Any, _properties: Any) -> None:
        done = self._waiting.pop(mid, None)
        if done is not None and not done.done():
            done.set_result(None)

    def _on_message(self, _client: paho.Client, _user: Any, message: paho.MQTTMessage) -> None:
        try:
            document = json.loads(message.payload or b"null")
        except (ValueError, RecursionError):
            document = None
        if message.topic.startswith(METHOD_CALL):
            self._begin_call(message.topic[len(METHOD_CALL) :], document)
        elif message.topic.startswith(TWIN_DESIRED) and isinstance(document, dict):
            self._listener.desired(document)
        elif message.topic.startswith(f"{TWIN_ANSWER}200/") and isinstance(document, dict):
            desired, reported = document.get("desired"), document.get("reported")
            if isinstance(reported, dict):
                self._listener.reported(reported)
            if isinstance(desired, dict):
                self._listener.desired(desired)

    def _begin_call(self, topic: str, payload: object) -> None:
        name, _, query = topic.partition("/")
        request = parse_qs(query.lstrip("?")).get("$rid", [""])[0]
        if len(self._calls) >= METHODS_LIMIT:
            self._answer(request, 429, {"error": "too many calls at once", "remedy": "Try again in a second."})
            return
        call = asyncio.get_running_loop().create_task(self._call(name, request, payload))
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)

    async def _call(self, name: str, request: str, payload: object) -> None:
        try:
            status, answer = await self._listener.method(name, payload)
        except Exception as error:  # noqa: BLE001 - whatever it is: who called hears of it, and the next call comes
            log(f"{self._name}: {name:.60}: {type(error).__name__}: {error!s:.160}")
            status, answer = 500, {"error": "the guardian failed at it", "remedy": "Look at the guardian's log."}
        self._answer(request, status, answer)

    def _answer(self, request: str, status: int, answer: object) -> None:
        if self._client is not None:
            body = json.dumps(answer, separators=(",", ":"))
            self._client.publish(f"$iothub/methods/res/{status}/?$rid={request}", body, qos=1)

    @property
    def _name(self) -> str:
        return self.identity.partition("/")[2] or "the guardian"

    def _refused(self, reason: str) -> None:
        if reason != self.refusal:
            log(f"{self._name} is not connected to the hub: {reason}")
        self.refusal = reason


def _watch(client: paho.Client, loop: asyncio.AbstractEventLoop, ended: asyncio.Event) -> None:
    """Have the loop read and write a connected client's socket, and ``ended`` be set when it is gone."""
    stream = client.socket()

    def read() -> None:
        client.loop_read()
        # TLS may have decrypted more than was taken; the loop hears of bytes on the socket only.
        while (now := client.socket()) is stream and isinstance(now, ssl.SSLSocket) and now.pending():
            client.loop_read()

    def gone(*_: object) -> None:
        _forget_tls_errors()
        if stream is not None and stream.fileno() >= 0:
            loop.remove_reader(stream)
            loop.remove_writer(stream)
        ended.set()

    def write_soon(_client: paho.Client, _user: object, opened: Any) -> None:
        # What is published in one go is written in one go, and nearly always fits into the socket at once.
        loop.call_soon(write, opened)

    def write(opened: Any) -> None:
        client.loop_write()
        if client.on_socket_register_write is not None and client.socket() is stream and client.want_write():
            loop.add_writer(opened, client.loop_write)

    def written(_client: paho.Client, _user: object, opened: Any) -> None:
        loop.remove_writer(opened)

    if stream is None:
        ended.set()
        return
    client.on_socket_register_write = write_soon
    client.on_socket_unregister_write = written
    client.on_socket_close = gone
    client.on_disconnect = gone
    _forget_tls_errors()
    loop.add_reader(stream, read)
    read()


_NOBODY = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)


def _forget_tls_errors() -> None:
    """Have this thread's next read tell of its own connection only.

    OpenSSL keeps one list of errors for a thread, and a read on a good connection fails by what a broken one has left
    there: all connections of a guardian are read in one thread. The first step of a handshake, of nobody's, empties it.
    """
    nobody = _NOBODY.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_side=True)
    with contextlib.suppress(ssl.SSLWantReadError):
        nobody.do_handshake()

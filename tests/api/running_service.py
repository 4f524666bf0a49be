# SPDX-License-Identifier: Apache-2.0
"""A whole service (records, device endpoint, hub, operator API) in a thread of its own, and a small https client."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import itertools
import json
import os
import select
import ssl
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvloop
from tests.fixtures.certificates import client_context
from tests.fixtures.images import manifest, package
from tests.fixtures.waiting import wait_until

from armillary.hub.hub import Hub
from armillary.platform.platform import Platform
from armillary.roles.whole import Parts, running_whole
from armillary.service.assemble import SecurityService
from armillary.settings import Settings
from armillary.sim.device.wire_device import WireDevice, certificate_request

__all__ = ["RunningService", "own_service", "running_service", "wait_until"]

START_DEADLINE_S = 60.0
# How often the loops look when nothing wakes them: five times as often as of their own accord, for what tests await is
# due by time now and then. Not oftener: several services live at once, and a look costs what a page does.
LOOK_EVERY_S = 1.0
# Connections that a thread keeps: tests have a token of each role, and some make one for each case.
KEPT_CONNECTIONS = 8
VERSION = "api-version=2024-04-01"
CATALOGS = "/subscriptions/0/resourceGroups/rg/providers/Microsoft.AzureSphere/catalogs"


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    raw: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.raw) if self.raw else None


def fresh(word: str) -> str:
    """A name that no other test has."""
    return f"{word}-{uuid.uuid4().hex[:8]}"


def fresh_os_version() -> str:
    """A version of an OS release that is newer than that of any other test: a feed takes nothing older."""
    return f"40.{next(_os_versions)}"


_os_versions = itertools.count(1)
_NOBODY = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)


def _clear_tls_errors() -> None:
    """Have this thread's next read tell of its own connection only.

    OpenSSL keeps one list of errors for a thread, and a read on a good connection reports what an earlier one has left
    there. The first step of any handshake empties it: here of one that nobody begins.
    """
    nobody = _NOBODY.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_side=True)
    with contextlib.suppress(ssl.SSLWantReadError):
        nobody.do_handshake()


@dataclass
class RunningService:
    service: SecurityService
    hub: Hub
    platform: Platform
    app: Any
    port: int
    hub_port: int
    root: Path
    token: str
    loop: asyncio.AbstractEventLoop
    tokens: dict[str, str] = field(default_factory=dict)
    host: str = "localhost"
    ports: dict[str, int] = field(default_factory=dict)
    _kept: dict[int, dict[str | None, http.client.HTTPSConnection]] = field(default_factory=dict, repr=False)

    @property
    def address(self) -> str:
        return f"https://{self.host}:{self.port}"

    def connection(self) -> http.client.HTTPSConnection:
        """A connection that nobody has used: for whoever tests connections, and for streams."""
        context = ssl.create_default_context(cafile=str(self.root))
        return http.client.HTTPSConnection(self.host, self.port, context=context, timeout=30)

    def _kept_connection(self, token: str | None) -> http.client.HTTPSConnection:
        """This thread's connection of a token, as a client keeps one; a new one where the server has closed it."""
        mine = self._kept.setdefault(threading.get_ident(), {})
        connection = mine.pop(token, None) or self.connection()
        if connection.sock is not None and select.select([connection.sock], [], [], 0)[0]:
            connection.close()  # nothing is asked, so what can be read is its end; http.client opens it again
        _clear_tls_errors()
        mine[token] = connection  # the last of the dictionary: the first is the one that has waited longest
        if len(mine) > KEPT_CONNECTIONS:
            mine.pop(next(iter(mine))).close()
        return connection

    def close_connections(self) -> None:
        """End the connections that :meth:`call` keeps."""
        for mine in self._kept.values():
            for connection in mine.values():
                connection.close()
        self._kept.clear()

    def token_of(self, role: str) -> str:
        if role not in self.tokens:
            self.tokens[role] = self.service.tokens.create(f"{role}-token", role, actor="test").secret
        return self.tokens[role]

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        token: str | None = "",
        headers: Mapping[str, str] | None = None,
        fresh: bool = False,
    ) -> Reply:
        """One request; the administrator's token unless told otherwise (None: no token). Bytes bodies go as they are.

        It goes over the connection that this thread keeps for the token; ``fresh`` opens one for this request alone.
        """
        sent = dict(headers or {})
        if token is not None:
            sent.setdefault("Authorization", f"Bearer {token or self.token}")
        data: bytes | None = None
        if body is not None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        connection = self.connection() if fresh else self._kept_connection(token)
        try:
            connection.request(method, path, body=data, headers=sent)
            response = connection.getresponse()
            return Reply(response.status, response.headers, response.read())
        except BaseException:
            connection.close()
            raise
        finally:
            if fresh:
                connection.close()

    def azure(self, method: str, path: str, body: object = None, *, query: str = "", token: str | None = "") -> Reply:
        """One management call; ``path`` starts after ``/catalogs``."""
        return self.call(method, f"{CATALOGS}{path}?{VERSION}{query}", body, token=token)

    def make_device(self, *, tier: str = "software") -> WireDevice:
        """A manufactured device that speaks the device protocol."""
        return WireDevice.make(
            os.urandom(32),
            lambda request: self.service.factory.enrol(request, "mt3620", "test", trust_tier=tier),
            port=self.service.device_address.port,
        )

    def claimed(self, catalog: str, group: str = "Production", *, tier: str = "software") -> WireDevice:
        """Such a device, claimed into a device group of the product Coffee."""
        device = self.make_device(tier=tier)
        claim = self.service.registry.devices.claim
        claim(catalog, [device.device_id], actor="test", product="Coffee", group=group)
        return device

    def make_catalog(self, name: str, *, product: str = "", **admits: bool) -> str:
        """A catalog, with a product and its default groups where one is named, that admits hub devices as said."""
        registry = self.service.registry
        registry.catalogs.create(name, actor="test", resource_group="rg")
        if product:
            registry.products.create(name, product, actor="test")
            registry.groups.create_defaults(name, product, actor="test")
        if admits:
            self.service.hub_access.identities.set_admission(name, actor="test", **admits)
        return name

    def token_for(self, catalog: str, role: str = "Contributor") -> str:
        """A new token of one catalog."""
        return self.service.tokens.create(fresh("of-one"), role, actor="test", catalog=catalog).secret

    def client_context(self, device: WireDevice) -> ssl.SSLContext:
        """TLS with the client certificate that a check-in gives a device."""
        with device:
            reply = device.check_in()
        return client_context(self.root, device.client_key, reply.certificate_chain)


def own_service(
    *catalogs: str, scope: Any = "module", admits: Mapping[str, bool] | None = None, **settings: Any
) -> Any:
    """A fixture: a service of a module's own, with these catalogs; ``admits`` is what they admit to the hub."""

    @pytest.fixture(scope=scope)
    def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
        with running_service(tmp_path_factory.mktemp("service"), **settings) as running:
            for name in catalogs:
                running.make_catalog(name, **(admits or {}))
            yield running

    return service


def application(name: str = "Blink", *, component: uuid.UUID | None = None, size: int = 64) -> tuple[uuid.UUID, bytes]:
    """A fresh application package: (image id, bytes). The key that signs it is nobody's: upload asks for none."""
    image_id, described = uuid.uuid4(), manifest(name, component, Capabilities={"AllowedConnections": ["example.com"]})
    return image_id, package(described, b"#!/bin/sh\n" + b"#" * size, image_id=image_id, built=1_700_000_000)


def device_request() -> str:
    """A certificate request of a fresh device, PEM."""
    return certificate_request(os.urandom(32))


@contextlib.contextmanager
def running_service(
    folder: Path, *, console: bool = False, applications: bool = False, **changes: Any
) -> Iterator[RunningService]:
    """Run the service as ``armillary up`` joins it; ``changes`` are settings, console and applications wait to be asked for."""
    started = threading.Event()
    found: list[RunningService | BaseException] = []
    stop: list[Callable[[], object]] = []

    async def serve() -> None:
        values: dict[str, Any] = {"api_port": 0, "device_port": 0, "hub_port": 0, "planner_interval_s": LOOK_EVERY_S}
        settings = Settings(data=folder / "data", **{**values, "check_in_interval_s": 60, **changes})
        async with running_whole(settings, Parts(console=console, applications=applications)) as whole:
            over = asyncio.Event()
            loop = asyncio.get_running_loop()
            stop.append(lambda: loop.call_soon_threadsafe(over.set))
            found.append(
                RunningService(
                    whole.service,
                    whole.hub,
                    whole.platform,
                    whole.api,
                    whole.api_port,
                    whole.ports["hub_port"],
                    whole.root_ca,
                    whole.service.first_token or "",
                    loop,
                    host=settings.public_host,
                    ports=whole.ports,
                )
            )
            started.set()
            await over.wait()

    def run() -> None:
        try:
            uvloop.run(serve())
        except BaseException as error:  # noqa: BLE001 - handed to the test, which fails with it
            found.append(error)
            started.set()

    thread = threading.Thread(target=run, name="running-service")
    thread.start()
    try:
        assert started.wait(START_DEADLINE_S), "the service did not start"
        first = found[0]
        if isinstance(first, BaseException):
            raise first
        yield first
    finally:
        if found and isinstance(found[0], RunningService):
            found[0].close_connections()
        for call in stop:
            call()
        thread.join(START_DEADLINE_S)
    assert not thread.is_alive(), "the service did not stop"
    assert len(found) == 1, found[1:]

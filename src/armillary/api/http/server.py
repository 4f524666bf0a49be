# SPDX-License-Identifier: Apache-2.0
"""Serves the operator API over TLS on the running asyncio loop (TLS 1.2 or newer, HTTP/1.1)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from pathlib import Path

from fastapi import FastAPI
from starlette.types import ASGIApp
from uvicorn.config import Config
from uvicorn.server import Server, ServerState

from armillary.api.http.callers import CLIENT_CERTIFICATE, Budgets, catalog_of, owner_of
from armillary.api.http.connection import ApiConnection, CertifiedConnection, NotAdmitted
from armillary.api.http.hub_requests import HubRequests
from armillary.api.http.shape import Shapes
from armillary.api.http.unauthenticated import MAX_WITH_TOKEN, MAX_WITH_TOKEN_OF_OWNER, SlowRequests
from armillary.errors import PortInUseError
from armillary.wire.hub.api_token import secret_of_header

# How long a stopping server waits for answers under way, seconds; event streams end at once.
GRACE_S = 3
# Idle connections are dropped after this time: a console page polls more often.
KEEP_ALIVE_S = 20
# A TLS handshake takes no longer, seconds; connections that never begin one cost a file descriptor each.
HANDSHAKE_TIMEOUT_S = 10.0
SHUTDOWN_TIMEOUT_S = 5.0
BACKLOG = 256


def server_context(certificate_chain: Path, key: Path) -> ssl.SSLContext:
    """TLS settings of the operator API; both files are PEM, the chain has the leaf first."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    context.load_cert_chain(certificate_chain, key)
    return context


class ApiServer:
    """One listening API; without a TLS context plain HTTP, for tests and proxies on loopback that end TLS.

    Where the context asks for client certificates, requests carry what TLS verified.
    """

    def __init__(self, app: FastAPI, context: ssl.SSLContext | None) -> None:
        self._app = app
        self._context = context
        self._budgets: Budgets = getattr(app.state, "budgets", None) or Budgets()
        self._shapes: Shapes = getattr(app.state, "shapes", None) or Shapes()
        self.unauthenticated = SlowRequests(self._count_dropped)
        self.with_token = SlowRequests(
            self._budgets.requests.refuse, each=MAX_WITH_TOKEN_OF_OWNER, total=MAX_WITH_TOKEN
        )
        self._server: Server | None = None
        self._waiting: dict[ApiConnection, None] = {}
        self._of_hub: Config | None = None
        self._loop_task: asyncio.Task[None] | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen on ``host``:``port`` (0: any free one) and return the port. Raises PortInUseError."""
        listening = _bind(host, port)
        context = self._context
        config = _config(self._app)
        logging.getLogger("uvicorn.error").setLevel(
            logging.ERROR
        )  # its warnings are about what unauthenticated peers send
        server = Server(config)
        server.lifespan = config.lifespan_class(config)
        await server.startup(sockets=[])
        certified = context is not None and context.verify_mode != ssl.CERT_NONE
        kind = CertifiedConnection if certified else ApiConnection
        listener = await asyncio.get_running_loop().create_server(
            lambda: self._connection(config, server.server_state, kind),
            sock=listening,
            ssl=context,
            backlog=BACKLOG,
            ssl_handshake_timeout=None if context is None else HANDSHAKE_TIMEOUT_S,
            ssl_shutdown_timeout=None if context is None else SHUTDOWN_TIMEOUT_S,
        )
        server.servers.append(listener)
        self._server = server
        self._loop_task = asyncio.create_task(server.main_loop(), name="operator-api")
        return int(listening.getsockname()[1])

    def connection_of_hub(self, certificate: bytes | None) -> ApiConnection | None:
        """The protocol for a connection to a port of the hub, for IoT Hub's service API and devices' requests.

        ``certificate`` is the client's, DER. The connection counts as one of this server's, with the same limits. None
        when the server does not run.
        """
        if self._server is None:
            return None
        if self._of_hub is None:
            self._of_hub = _config(HubRequests(self._app, self._app.state.hub))
        made = self._connection(self._of_hub, self._server.server_state)
        made.app_state = {CLIENT_CERTIFICATE: certificate}
        return made

    def _connection(
        self, config: Config, state: ServerState, kind: type[ApiConnection] = ApiConnection
    ) -> ApiConnection:
        not_admitted = NotAdmitted(self.unauthenticated, self.with_token, self._owner_of)
        return kind(config, state, self._waiting, not_admitted, self._shapes.form)

    def _owner_of(self, header: bytes) -> str:
        """The owner of the valid token in an Authorization header, if the cache has it; else empty."""
        service, secret = getattr(self._app.state, "service", None), secret_of_header(header.decode("latin-1"))
        token = service.tokens.cached(secret) if service is not None and secret else None
        return "" if token is None else catalog_of(token) or owner_of(token)

    def _count_dropped(self) -> None:
        self._budgets.unauthenticated_dropped += 1

    async def close(self) -> None:
        """Stop listening, end event streams, and wait up to :data:`GRACE_S` seconds for answers in progress."""
        server, task = self._server, self._loop_task
        if server is None or task is None:
            return
        self._server = self._loop_task = None
        self._app.state.closing.set()
        server.should_exit = True
        with contextlib.suppress(asyncio.CancelledError):
            await task
        for listener in server.servers:
            listener.close()
        state = server.server_state
        for connection in list(state.connections):
            connection.shutdown()  # idle ones close; busy ones close after their answer
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GRACE_S):
                while state.tasks:
                    await asyncio.wait(set(state.tasks), return_when=asyncio.FIRST_COMPLETED)
        for connection in list(state.connections):
            # Answered, or out of time. A polite TLS close would wait for peers that only answer when they next write.
            connection.transport.abort()


def _config(app: ASGIApp) -> Config:
    config = Config(
        app,
        http="httptools",
        loop="none",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_S,
    )
    config.load()
    return config


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named: asyncio turns Nagle's algorithm off only on sockets that say they are TCP, and with it
    # on every answer waits 40 ms for the peer's delayed acknowledgement.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise PortInUseError.at("operator API", host, port, error) from error
    listening.setblocking(False)
    return listening

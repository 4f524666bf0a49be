# SPDX-License-Identifier: Apache-2.0
"""The whole service in one process, on embedded engines: the only place that joins the parts.

``armillary up`` runs it, and so do the tests: what a test finds joined is what an operator runs.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import anyio.to_thread
from fastapi import FastAPI

from armillary.api.app import create_app, create_bridge_app
from armillary.api.http.callers import OPERATOR_THREADS
from armillary.api.http.server import ApiServer, server_context
from armillary.console.on_demand import ConsoleOnDemand
from armillary.hub.hub import Hub
from armillary.hub.link.tls import AdmittedTrust, HubContext, hub_context
from armillary.platform.platform import Platform
from armillary.roles.platform import platform_of
from armillary.roles.platform_settings import PlatformRegistry, action_settings
from armillary.service.assemble import HTTPS_PORT, SecurityService
from armillary.service.authority.authority import Authority
from armillary.service.authority.server_certificate import ServerFiles
from armillary.settings import Settings
from armillary.sim.templates.applications import Applications


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What runs beside security service, hub and operator API, which always do.

    With ``announces_token`` the caller shows ``service.first_token`` to a person and then calls
    ``service.token_announced()``; until then a first start counts as cut short.
    """

    console: bool = True  # Pages at the root of the operator API
    applications: bool = True  # Application templates in use, with their simulated devices
    announces_token: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """A service that listens."""

    service: SecurityService  # With the device endpoint
    hub: Hub
    platform: Platform
    api: FastAPI
    api_port: int  # Port of the operator API and the console
    # ``hub_port`` and, where they are on, ``websocket_port``, ``broker_port`` and ``bridge_port``
    ports: dict[str, int]
    root_ca: Path  # PEM file of the root that clients trust


@contextlib.asynccontextmanager
async def running_whole(settings: Settings, parts: Parts | None = None) -> AsyncIterator[Whole]:
    """Open everything in dependency order, connect it, start it; close it in reverse order.

    Raises:
        ArmillaryError: it cannot start; what had started is closed again.
    """
    parts = parts or Parts()
    anyio.to_thread.current_default_thread_limiter().total_tokens = OPERATOR_THREADS
    async with contextlib.AsyncExitStack() as running:
        service = SecurityService.open(settings, announces_token=parts.announces_token)
        running.push_async_callback(service.close)

        def template_of(device_id: str) -> str:
            return platform.template_of(device_id)  # called when the hub has started, and the platform exists

        hub = Hub(
            settings.data / "hub",
            settings=settings,
            authenticate=service.hub_access.authenticate,
            admit=service.hub_access.clients.admit,
            provision=service.hub_access.enrolments,
            template_of=template_of,
            audit=service.audit.outboxes,
        )
        running.push_async_callback(hub.close)
        service.notices.on_cut.append(hub.disconnect)
        hub.notices.on_put_out.append(service.watch.heard_at_hub.put_out)
        platform = platform_of(
            hub,
            settings.data / "hub",
            directory=service.hub_access.directory,
            updates=service.hub_access.updates,
            registry=PlatformRegistry(service),
            settings=action_settings(service, settings),
        )
        service.notices.on_device.append(platform.rules.device_changed)
        await platform.start()
        running.push_async_callback(platform.close)
        files = service.authority.server.files()
        hub_tls = hub_tls_of(service, files)
        ports = await _start_hub(hub, hub_tls, settings)
        await service.start((settings.public_host, ports["hub_port"]))
        api = create_app(service, hub, platform, settings)
        if parts.console:
            pages = ConsoleOnDemand(
                service,
                hub,
                platform,
                closing=api.state.closing,
                applications=lambda: api.state.applications,
            )
            api.mount("/", pages)
        api_tls = server_context(files.certificate, files.key)
        present_renewed(service.authority, hub_tls, api_tls)
        if parts.applications:
            applications = Applications(service, hub, platform)
            await applications.start()
            running.push_async_callback(applications.close)
            api.state.applications = applications
        server = ApiServer(api, api_tls)
        api_port = service.api_port = await server.start(settings.host, settings.api_port)
        join_service_api(hub, server, settings.public_host, api_port=api_port, ports=ports)
        running.push_async_callback(server.close)
        if settings.bridge_port != "off":
            bridge = ApiServer(create_bridge_app(service, hub, platform, settings), bridge_tls_of(service, files))
            ports["bridge_port"] = await bridge.start(settings.host, int(settings.bridge_port))
            running.push_async_callback(bridge.close)
        yield Whole(
            service=service, hub=hub, platform=platform, api=api, api_port=api_port, ports=ports, root_ca=files.root
        )


def join_service_api(hub: Hub, server: ApiServer, host: str, *, api_port: int, ports: Mapping[str, int]) -> None:
    """Have the hub's ports answer IoT Hub's service API, and connection strings name its address.

    Most clients use port 443 of ``HostName`` whatever it says, so no port is named where that is ours.
    """
    answering = (api_port, ports["hub_port"], ports.get("websocket_port"))
    hub.storage_host = f"{host}:{api_port}"
    hub.service_host = host if HTTPS_PORT in answering else hub.storage_host
    hub.services.answer_with(server.connection_of_hub)


def hub_tls_of(service: SecurityService, files: ServerFiles) -> HubContext:
    """The hub's server side of TLS: it trusts the service's authorities, and the hub devices that catalogs admit.

    Because it has every authority, the hub needs only a device's leaf certificate, and saves 9 KB for each connection.
    """
    context = hub_context(files.certificate, files.key, files.root.read_text("ascii"))
    service.authority.issued.on_authority.append(lambda der: context.load_verify_locations(cadata=der))
    for der in service.authority.issued.trusted():
        context.load_verify_locations(cadata=der)
    identities, trust = service.hub_access.identities, AdmittedTrust(context)
    service.notices.on_hub_trust.append(lambda: trust.update(*identities.trust()))
    trust.update(*identities.trust())
    return context


def bridge_tls_of(service: SecurityService, files: ServerFiles) -> ssl.SSLContext:
    """The bridge's server side of TLS: a client certificate is optional, and of an authority that a catalog admits.

    Which catalog's it is, is checked with each request (``service/bridge/callers.py``): an authority that is removed
    stays in TLS until the next start, and opens nothing. No tickets: a resumed session would outlive the certificate.
    """
    context = server_context(files.certificate, files.key)
    context.verify_mode = ssl.CERT_OPTIONAL
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0

    def trust() -> None:
        for der in service.bridge.admissions.trusted():
            context.load_verify_locations(cadata=der)

    service.notices.on_bridge_trust.append(trust)
    trust()
    present_renewed(service.authority, context)
    return context


def present_renewed(authority: Authority, *contexts: ssl.SSLContext) -> None:
    """Have TLS servers present a renewed server certificate from the next handshake on: a service runs for years."""

    def present(files: ServerFiles) -> None:
        for context in contexts:
            context.load_cert_chain(files.certificate, files.key)

    authority.server.on_renewed.append(present)


async def _start_hub(hub: Hub, tls: ssl.SSLContext, settings: Settings) -> dict[str, int]:
    """Open the hub's ports; returns the ports in use, by the name of their setting."""
    ports = {"hub_port": await hub.start(tls, settings.host, settings.hub_port)}
    if settings.websocket_port != "off":
        ports["websocket_port"] = await hub.start(tls, settings.host, int(settings.websocket_port))
    if settings.broker_port != "off":
        ports["broker_port"] = await hub.start_broker(tls, settings.host, int(settings.broker_port))
    return ports

# SPDX-License-Identifier: Apache-2.0
"""The whole service in one process, on embedded engines. The only place that joins the parts."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import resource
import signal
import ssl
import sys
from pathlib import Path

import anyio.to_thread
import uvloop

from armillary.api.app import create_app
from armillary.api.server import ApiServer, server_context
from armillary.cli.log import log_to_stderr
from armillary.cli.output import note, print_record
from armillary.cli.process_memory import give_back_memory, keep_one_heap
from armillary.cli.serve_rules import join_rules
from armillary.console.on_demand import ConsoleOnDemand
from armillary.hub.hub import Hub
from armillary.hub.tls import AdmittedTrust, hub_context
from armillary.service.assemble import SecurityService
from armillary.service.authority import Authority, ServerFiles
from armillary.settings import Settings
from armillary.sim.applications import Applications

# Operators' calls under way at once; each waits for the one writer or for one of a few readers anyway.
OPERATOR_THREADS = 8

# Open files: every connection of the device endpoint, the hub and the API, and then some.
MAX_DESCRIPTORS = 65_536


def serve(settings: Settings, *, as_json: bool) -> None:
    """Run until SIGINT or SIGTERM.

    Args:
        settings: This process's settings.
        as_json: Say "ready" as one line of JSON instead of text.

    Raises:
        ArmillaryError: it cannot start.
    """
    log_to_stderr(settings.log_level)
    keep_one_heap()
    _allow_descriptors()
    uvloop.run(_serve(settings, as_json=as_json))


def _allow_descriptors() -> None:
    """Let this process open as many files as the system lets it: every connection is one, and 1,024 is usual."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MAX_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def _serve(settings: Settings, *, as_json: bool) -> None:
    """Open everything in dependency order, say so, wait, close in the other order."""
    anyio.to_thread.current_default_thread_limiter().total_tokens = OPERATOR_THREADS
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with contextlib.AsyncExitStack() as running:
        service = SecurityService.open(settings, announces_token=True)
        running.push_async_callback(service.close)
        hub = Hub.open(
            settings,
            authenticate=service.authenticate_hub_peer,
            admit=service.admit_hub_client,
            provision=service.hub_enrolments,
        )
        running.push_async_callback(hub.close)
        service.on_revoked(hub.disconnect)
        hub.directory = service.hub_directory
        hub.updates = service.hub_updates
        join_rules(service, hub, settings)
        files = service.authority.server_files()
        # With every authority at hand the hub needs a device's leaf only, and keeps 9 KB less for each connection.
        hub_tls = hub_context(files.certificate, files.key, files.root.read_text("ascii"))
        service.authority.on_authority.append(lambda der: hub_tls.load_verify_locations(cadata=der))
        for der in service.authority.authority_certificates():
            hub_tls.load_verify_locations(cadata=der)
        admit_strangers(service, hub_tls)
        hub_port = await hub.start(hub_tls, settings.host, settings.hub_port)
        service.hub_address = (settings.public_host, hub_port)
        ports = {"hub_port": hub_port}
        if settings.websocket_port != "off":
            ports["websocket_port"] = await hub.start(hub_tls, settings.host, int(settings.websocket_port))
        if settings.broker_port != "off":
            ports["broker_port"] = await hub.start_broker(hub_tls, settings.host, int(settings.broker_port))
        await service.start()
        api = create_app(service, hub, settings)
        api.mount("/", ConsoleOnDemand(service, hub, settings, closing=api.state.closing))
        api_tls = server_context(files.certificate, files.key)
        present_renewed(service.authority, hub_tls, api_tls)
        applications = Applications(service, hub)
        await applications.start()
        running.push_async_callback(applications.close)
        api.state.applications = applications
        server = ApiServer(api, api_tls)
        api_port = await server.start(settings.host, settings.api_port)
        hub.storage_host = f"{settings.public_host}:{api_port}"
        running.push_async_callback(server.close)
        _say_ready(service, settings, api_port=api_port, ports=ports, root_ca=files.root, as_json=as_json)
        service.token_announced()
        gc.collect()
        trimming = asyncio.create_task(give_back_memory(), name="give-back-memory")
        await stop.wait()
        trimming.cancel()
        note("stopping ...")


def admit_strangers(service: SecurityService, hub_tls: ssl.SSLContext) -> None:
    """Have the hub's TLS let in the hub devices that catalogs admit, now and whenever that changes."""
    identities, trust = service.hub_identities, AdmittedTrust(hub_tls)
    identities.on_trust.append(lambda: trust.update(*identities.trust()))
    trust.update(*identities.trust())


def present_renewed(authority: Authority, *contexts: ssl.SSLContext) -> None:
    """Have TLS servers present each renewed server certificate from the next handshake on: a service runs for years."""

    def present(files: ServerFiles) -> None:
        for context in contexts:
            context.load_cert_chain(files.certificate, files.key)

    authority.on_server.append(present)


def _say_ready(
    service: SecurityService, settings: Settings, *, api_port: int, ports: dict[str, int], root_ca: Path, as_json: bool
) -> None:
    address = f"https://{settings.public_host}:{api_port}"
    record: dict[str, object] = {
        "ready": True,
        "api": address,
        "console": f"{address}/",
        "device_endpoint": service.device_endpoint_url,
        "hub_host": settings.public_host,
        **ports,
        "root_ca": str(root_ca.resolve()),
        "data": str(settings.data.resolve()),
    }
    if service.first_token is not None:
        record["token"] = service.first_token
    if as_json:  # one line: whoever started this process reads it and knows that it is ready
        sys.stdout.write(json.dumps(record) + "\n")
    else:
        print_record(record, as_json=False)
    sys.stdout.flush()
    if service.first_token is not None and not as_json:
        note("\nThe token is shown this once. Remember it with:")
        note(f"  armillary login --service {address} --ca {record['root_ca']} --token {service.first_token}")

# SPDX-License-Identifier: Apache-2.0
"""Builds the operator API."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.types import ASGIApp, Receive, Scope, Send

from armillary import __version__
from armillary.api.azure import mount as azure
from armillary.api.azure.names import canonical_path
from armillary.api.central.route import CentralRoute
from armillary.api.http import problems
from armillary.api.http.auth import ACCESS, CONTRIBUTOR, FACTORY, PUBLIC, READER, SCRAPE
from armillary.api.http.callers import Budgets, CallerScope
from armillary.api.http.routes import GuardedRoute, add_unknown
from armillary.api.iot_hub import fleet as iot_hub_fleet, registry as iot_hub
from armillary.api.native.hub import (
    files as native_files,
    hub_devices as native_hub_devices,
    hub_enrolments as native_hub_enrolments,
    hub_service_keys as native_hub_service_keys,
    messages as native_messages,
    series as native_series,
    telemetry as native_telemetry,
)
from armillary.api.native.platform import (
    application_files as native_application_files,
    applications as native_applications,
    dashboards as native_dashboards,
    exports as native_exports,
    groups as native_groups,
    jobs as native_jobs,
    organisations as native_organisations,
    rules as native_rules,
    templates as native_templates,
)
from armillary.api.native.service import (
    authorities as native_authorities,
    device_names as native_device_names,
    devices as native_devices,
    enrolment as native_enrolment,
    firmware as native_firmware,
    life as native_life,
    operations as native_operations,
    policy as native_policy,
    status as native,
    tpm as native_tpm,
    transfer as native_transfer,
)
from armillary.wire.hub.iot_hub_paths import is_service_path

if TYPE_CHECKING:
    from armillary.hub.hub import Hub
    from armillary.platform.platform import Platform
    from armillary.service.assemble import SecurityService
    from armillary.settings import Settings

DESCRIPTION = """\
What Azure Sphere's management API lacks: attestation results, roll-outs, findings, releases, telemetry, twins, audit.
Catalogs, products, device groups, devices, images, deployments and certificates are served in the shape of the public
Azure Sphere management API, api-version 2024-04-01, below `/subscriptions/`; its own public description applies. So it
does for `/api/devices` and what else is served in the shape of IoT Central's public REST API, api-version 2022-07-31.

Errors are problem details (RFC 9457) with a stable `code` and a `remedy`. Lists are `{"items": [...], "next": cursor}`;
pass `next` as `after` for the next page. Times are Unix seconds UTC unless a name ends in `_ms`.
"""
# No page of this API is for a browser frame, cache or guess; the console sets its own.
HEADERS = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)


class CanonicalPaths:
    """ASGI wrapper: management paths match without regard to case, and API answers are never stored by anybody."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, with its path in canonical case."""
        if scope["type"] == "http" and _is_service(scope):
            scope = {**scope, "path": problems.IOT_HUB_PREFIX + scope["path"].removesuffix("/")}
        if scope["type"] != "http" or not _is_api(scope["path"]):
            await self._app(scope, receive, send)
            return
        if problems.is_azure(scope["path"]):
            scope = {**scope, "path": canonical_path(scope["path"])}

        async def send_with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                present = {name for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(pair for pair in HEADERS if pair[0] not in present)]
            await send(message)

        await self._app(scope, receive, send_with_headers)


def create_app(service: SecurityService, hub: Hub, platform: Platform, settings: Settings) -> FastAPI:
    """The operator API over a service, a hub and its platform.

    Routes that others add to the application (the console) are theirs to guard when they bring their own router;
    routes added with ``app.get`` and the like must stand in the role table.
    """
    app = FastAPI(
        title="Armillary", version=__version__, description=DESCRIPTION, openapi_url=None, docs_url=None, redoc_url=None
    )
    app.router.route_class = GuardedRoute
    app.state.service = service
    app.state.hub = hub
    app.state.platform = platform
    app.state.settings = settings
    app.state.started_at = time.time()
    app.state.closing = asyncio.Event()
    app.state.budgets = Budgets()
    app.state.applications = None  # whoever plays simulated devices sets it
    problems.install(app)
    azure.mount(app)
    native.mount(app)
    native_applications.mount(app)
    native_authorities.mount(app)
    native_devices.mount(app)
    native_device_names.mount(app)
    native_enrolment.mount(app)
    native_life.mount(app)
    native_transfer.mount(app)
    native_operations.mount(app)
    native_policy.mount(app)
    native_firmware.mount(app)
    native_telemetry.mount(app)
    native_series.mount(app)
    native_templates.mount(app)
    native_messages.mount(app)
    native_application_files.mount(app)
    native_files.mount(app)
    native_groups.mount(app)
    native_jobs.mount(app)
    native_exports.mount(app)
    native_organisations.mount(app)
    native_dashboards.mount(app)
    native_rules.mount(app)
    native_hub_devices.mount(app)
    native_hub_enrolments.mount(app)
    native_hub_service_keys.mount(app)
    iot_hub_fleet.mount(app)
    iot_hub.mount(app)
    native_tpm.mount(app)
    app.router.routes.append(CentralRoute())
    add_unknown(app)
    app.add_middleware(CanonicalPaths)
    app.add_middleware(CallerScope, budgets=app.state.budgets)
    app.openapi = lambda: _document(app)  # type: ignore[method-assign]  # FastAPI's documented way
    return app


def _is_service(scope: Scope) -> bool:
    return is_service_path(scope["path"], scope["query_string"].decode("latin-1"))


def _is_api(path: str) -> bool:
    return path.startswith(("/api/", "/metrics")) or problems.is_azure(path) or problems.is_iot_hub(path)


def _document(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            openapi_version="3.1.0",
            description=app.description,
            routes=app.routes,
        )
        _describe_security(document)
        _describe_queries(document)
        app.openapi_schema = document
    return app.openapi_schema


def _describe_queries(document: dict[str, Any]) -> None:
    """Say of each text in a query what holds for all of them: it is never empty (``api/http/query.py``)."""
    for methods in document["paths"].values():
        for operation in methods.values():
            for parameter in operation.get("parameters", ()):
                if parameter["in"] == "query":
                    for schema in (parameter["schema"], *parameter["schema"].get("anyOf", ())):
                        if schema.get("type") == "string":
                            schema.setdefault("minLength", 1)


def _describe_security(document: dict[str, Any]) -> None:
    """Add the bearer scheme, each route's role, and the one shape of errors."""
    components = document.setdefault("components", {})
    components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    schemas = components.setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas["Problem"] = PROBLEM_SCHEMA
    problem = {
        "description": "What was wrong, and what to do",
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            role = ACCESS[f"{method.upper()} {path}"]
            operation["security"] = [] if role == PUBLIC else [{"token": []}]
            operation["x-armillary-role"] = {SCRAPE: READER, FACTORY: CONTRIBUTOR}.get(role, role)
            operation["responses"].pop("422", None)
            operation["responses"]["default"] = problem


PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "code", "remedy"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "code": {"type": "string", "description": "Stable: scripts may rely on it"},
        "remedy": {"type": "string"},
        "invalid_params": {
            "type": "array",
            "items": {"type": "object", "properties": {"name": {"type": "string"}, "reason": {"type": "string"}}},
        },
    },
}

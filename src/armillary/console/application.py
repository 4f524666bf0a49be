# SPDX-License-Identifier: Apache-2.0
"""The console as one ASGI application: routes, errors as pages, headers around everything.

Mount it last, at the root, on the operator API's application: ``app.mount("/", create_console(...))``; the API's
routes come first and keep their paths.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import structlog
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from armillary.api.http.callers import caller_of
from armillary.api.http.problems import caller_left, framework_problem, problem_details, status_of
from armillary.console.authored import change as change_application, read as read_application, removal
from armillary.console.dashboards import change as change_dashboards, read as read_dashboards
from armillary.console.device import device_data, device_template, device_twin
from armillary.console.device_templates import template_editor
from armillary.console.frame import door
from armillary.console.frame.desk import Desk, SignInNeededError, Visit
from armillary.console.frame.guard import (
    FOREIGN_FORM,
    MAX_FORM_BYTES,
    MAX_MODEL_FORM_BYTES,
    SESSION_COOKIE,
    SecurityHeaders,
    read_form,
)
from armillary.console.frame.words import sentence
from armillary.console.hub_devices import change as change_hub_devices, read as read_hub_devices
from armillary.console.live import RECHECK_S, LiveStreams, admitted_visit
from armillary.console.operations import change, read
from armillary.console.operations.change import Form
from armillary.console.sources.source import Sources
from armillary.errors import ArmillaryError, NotFoundError, RateLimitedError

if TYPE_CHECKING:
    from armillary.hub.hub import Hub
    from armillary.platform.platform import Platform
    from armillary.service.assemble import SecurityService
    from armillary.settings import Settings

Reader = Callable[[Desk, Visit], Response]
Changer = Callable[[Desk, Visit, Form], Response]
Endpoint = Callable[[Request], Awaitable[Response]]

READ: tuple[tuple[str, Reader], ...] = (
    ("/", read.home),
    ("/fleet", read.fleet),
    ("/fleet.csv", read.fleet_csv),
    ("/devices/{device_id}", read.device),
    ("/devices/{device_id}/series", read.series),
    ("/devices/{device_id}/data", device_data.show),
    ("/devices/{device_id}/twin", device_twin.page),
    ("/updates", read.updates),
    ("/updates/{rollout_id}", read.rollout),
    ("/findings", read.findings),
    ("/audit", read.audit),
    ("/settings", read.settings),
    ("/help", read.help_page),
    ("/updates/{rollout_id}/{verb}", read.confirm_rollout),
    ("/devices/{device_id}/{verb}", read.confirm_device),
    ("/dashboards", read_dashboards.dashboards),
    ("/dashboards/{dashboard_id}", read_dashboards.dashboard),
    ("/dashboards/{dashboard_id}/data", read_dashboards.data),
    ("/dashboards/{dashboard_id}/edit", read_dashboards.edit),
    ("/dashboards/{dashboard_id}/delete", read_dashboards.confirm_delete),
    ("/dashboards/{dashboard_id}/tiles/{tile_id}", read_dashboards.tile),
    ("/dashboards/{dashboard_id}/tiles/{tile_id}/command", read_dashboards.confirm_command),
    ("/rules", read_application.rules),
    ("/rules/new", read_application.new_rule),
    ("/rules/{rule_id}", read_application.rule),
    ("/rules/{rule_id}/trace", read_application.trace),
    ("/rules/{rule_id}/try", read_application.try_rule),
    ("/rules/{rule_id}/{verb}", removal.confirm),
    ("/alerts", read_application.alerts),
    ("/templates", read_application.templates),
    ("/templates/{name}", read_application.template),
    ("/new-template", template_editor.new),
    ("/templates/{name}/edit", template_editor.edit),
    ("/templates/{name}/publish", template_editor.confirm_publish),
    ("/templates/{name}/move", template_editor.confirm_move),
    ("/templates/{name}/draft/{version}", template_editor.confirm_draft),
    ("/templates/{name}/delete", template_editor.confirm_delete),
    ("/templates/{name}/remove", removal.confirm_part),
    ("/groups", read_application.groups),
    ("/jobs", read_application.jobs),
    ("/exports", read_application.exports),
    ("/pictures/{template}/{file}", read_dashboards.picture),
    ("/hub-devices", read_hub_devices.devices),
    ("/new-hub-device", read_hub_devices.new_device),
    ("/hub-devices/{device_id}", read_hub_devices.device),
    ("/hub-devices/{device_id}/data", device_data.show),
    ("/hub-devices/{device_id}/twin", device_twin.page),
    ("/hub-devices/{device_id}/{verb}", read_hub_devices.confirm_device),
    ("/hub-devices/{device_id}/modules/{module_id}/{verb}", read_hub_devices.confirm_device),
    ("/hub-catalogs/{catalog}/admission/{kind}/{verb}", read_hub_devices.confirm_admission),
    ("/hub-catalogs/{catalog}/enrolments/{enrolment_id}", read_hub_devices.enrolment),
    ("/hub-catalogs/{catalog}/enrolments/{enrolment_id}/{verb}", read_hub_devices.confirm_enrolment),
    ("/hub-catalogs/{catalog}/service-keys/{name}/delete", read_hub_devices.confirm_key),
    ("/settings/tokens/{token_id}/revoke", read.confirm_token),
    ("/settings/catalogs/{catalog}/transfers/{transfer_id}/{verb}", read.confirm_transfer),
    ("/settings/catalogs/{catalog}/enrolment-tokens/{token_id}/revoke", read.confirm_enrolment_token),
    *((f"/{kind}s/{{document_id}}", read_application.made) for kind in read_application.KINDS),
    *((f"/{kind}s/{{document_id}}/{{verb}}", removal.confirm) for kind in read_application.KINDS),
)
CHANGE: tuple[tuple[str, Changer], ...] = (
    ("/devices/{device_id}/twin", change.set_desired),
    *((f"{root}/{{device_id}}/twin/review", device_twin.review) for root in ("/devices", "/hub-devices")),
    *((f"{root}/{{device_id}}/twin/send", device_twin.send) for root in ("/devices", "/hub-devices")),
    *((f"{root}/{{device_id}}/twin/cloud", device_twin.keep_cloud) for root in ("/devices", "/hub-devices")),
    *((f"{root}/{{device_id}}/template", device_template.give) for root in ("/devices", "/hub-devices")),
    *((f"{root}/{{device_id}}/template/review", device_template.review) for root in ("/devices", "/hub-devices")),
    *((f"{root}/{{device_id}}/command", device_data.send) for root in ("/devices", "/hub-devices")),
    *((f"{root}/{{device_id}}/name", change.name_device) for root in ("/devices", "/hub-devices")),
    ("/devices/{device_id}/{verb}", change.change_device),
    ("/updates/{rollout_id}/{verb}", change.change_rollout),
    ("/findings/{finding_id}", change.move_finding),
    ("/rules/new", change_application.make_rule),
    ("/rules/{rule_id}", change_application.keep_rule),
    ("/rules/{rule_id}/form", change_application.change_rule),
    ("/rules/{rule_id}/{verb}", change_application.switch_rule),
    ("/alerts/{number}/acknowledge", change_application.acknowledge),
    ("/templates/{name}/publish", change_application.publish_template),
    ("/new-template", template_editor.make),
    ("/new-template/check", template_editor.check_new),
    ("/new-template/report", template_editor.report),
    ("/templates/{name}/edit", template_editor.keep_model),
    ("/templates/{name}/check", template_editor.check),
    ("/templates/{name}/report", template_editor.report),
    ("/templates/{name}/capability", template_editor.add_capability),
    ("/templates/{name}/cloud", template_editor.keep_cloud),
    ("/templates/{name}/view", template_editor.keep_view),
    ("/templates/{name}/remove", template_editor.remove),
    ("/templates/{name}/move", template_editor.move),
    ("/templates/{name}/draft/{version}", template_editor.begin_draft),
    ("/templates/{name}/delete", template_editor.delete),
    ("/dashboards", change_dashboards.make),
    ("/dashboards/{dashboard_id}/layout", change_dashboards.lay_out),
    ("/dashboards/{dashboard_id}/delete", change_dashboards.delete),
    ("/dashboards/{dashboard_id}/tiles/{tile_id}", change_dashboards.keep_tile),
    ("/dashboards/{dashboard_id}/tiles/{tile_id}/remove", change_dashboards.remove_tile),
    ("/dashboards/{dashboard_id}/tiles/{tile_id}/command", change_dashboards.send_command),
    ("/new-hub-device", change_hub_devices.make_device),
    ("/hub-devices/{device_id}/modules", change_hub_devices.make_module),
    ("/hub-devices/{device_id}/{verb}", change_hub_devices.change_device),
    ("/hub-devices/{device_id}/modules/{module_id}/{verb}", change_hub_devices.change_device),
    ("/hub-catalogs/{catalog}/admission/{kind}/{verb}", change_hub_devices.change_admission),
    ("/hub-catalogs/{catalog}/enrolments/{enrolment_id}/{verb}", change_hub_devices.change_enrolment),
    ("/hub-catalogs/{catalog}/service-keys", change_hub_devices.make_key),
    ("/hub-catalogs/{catalog}/service-keys/{name}/delete", change_hub_devices.delete_key),
    ("/settings/tokens", change.create_token),
    ("/settings/tokens/{token_id}/revoke", change.revoke_token),
    ("/settings/catalogs/{catalog}/transfers/{transfer_id}/{verb}", change.answer_transfer),
    ("/settings/catalogs/{catalog}/enrolment-tokens", change.create_enrolment_token),
    ("/settings/catalogs/{catalog}/enrolment-tokens/{token_id}/revoke", change.revoke_enrolment_token),
    *((f"/{kind}s/{{document_id}}", change_application.keep_made) for kind in read_application.KINDS),
    *((f"/{kind}s/{{document_id}}/{{verb}}", change_application.act_on_made) for kind in read_application.KINDS),
)

# Forms that models in DTDL are sent with.
MODELS = frozenset(
    (
        template_editor.make,
        template_editor.check_new,
        template_editor.report,
        template_editor.keep_model,
        template_editor.check,
    )
)

_log = structlog.get_logger("armillary.console")


def create_console(
    service: SecurityService,
    hub: Hub,
    platform: Platform,
    settings: Settings,  # noqa: ARG001 - the assembly gives the same three to every part
    *,
    closing: asyncio.Event | None = None,
) -> ASGIApp:
    """The console over a running service and hub.

    Args:
        service: The security service.
        hub: The hub.
        platform: The application platform.
        settings: This process's settings.
        closing: The API application's ``state.closing``: set when the server stops, so that live pages end at once.
    """
    from armillary.console.sources.source_api import sources_of  # noqa: PLC0415 - tests of pages need no service

    return console_app(sources_of(service, hub, platform), closing=closing)


def console_app(
    sources: Sources,
    *,
    clock: Callable[[], float] = time.time,
    recheck_s: float = RECHECK_S,
    closing: asyncio.Event | None = None,
) -> ASGIApp:
    """The console over any sources.

    Args:
        sources: What it asks.
        clock: Unix seconds.
        recheck_s: Seconds between two looks at the session of an open event stream.
        closing: Set when the server stops.
    """
    desk = Desk(sources, clock)
    streams = LiveStreams(recheck_s, closing)

    async def live(request: Request) -> Response:
        return await streams.respond(desk, request)

    async def live_dashboard(request: Request) -> Response:
        return await streams.respond_dashboard(desk, request)

    async def asset(request: Request) -> Response:
        return desk.assets.respond(request)

    routes = [
        Route("/static/{file}", asset, methods=["GET"]),
        Route("/sign-in", _with(desk, door.show_sign_in), methods=["GET"]),
        Route("/sign-in", _with(desk, door.sign_in), methods=["POST"]),
        Route("/sign-out", _with(desk, door.sign_out), methods=["POST"]),
        Route("/theme", _with(desk, door.choose_theme), methods=["POST"]),
        Route("/devices/{device_id}/live", live, methods=["GET"]),
        Route("/dashboards/{dashboard_id}/live", live_dashboard, methods=["GET"]),
        *(Route(path, _reading(desk, page), methods=["GET"]) for path, page in READ),
        *(Route(path, _changing(desk, action), methods=["POST"]) for path, action in CHANGE),
    ]

    def explained(request: Request, error: Exception) -> Response:
        assert isinstance(error, ArmillaryError)  # noqa: S101 - registered for this class only
        if isinstance(error, SignInNeededError):
            return door.ask_to_sign_in(request)
        page = _problem(desk, request, status_of(error), error.code, error.message, error.remedy)
        page.headers.update(_when_to_return(error))
        return page

    def framework(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class only
        if "text/html" not in request.headers.get("accept", ""):  # a program asks: browsers say what they show
            return problem_details(framework_problem(request, error))
        if error.status_code == 404:
            return explained(request, NotFoundError("nothing is at this address", remedy="Check the address."))
        remedy = "Use the links and forms of the page."
        return _problem(desk, request, error.status_code, "request", error.detail, remedy)

    def crashed(request: Request, error: Exception) -> Response:
        _log.error("page-crashed", path=request.url.path, error=type(error).__name__)
        # Without the frame: what failed may be what the frame asks for.
        text = "The service failed on this page; its log holds the reason."
        problem = _described(500, "console.bug", text, "Go back and try again.")
        return desk.bare_page(request, "problem.html", status=500, problem=problem)

    app = Starlette(
        routes=routes,
        exception_handlers={
            ArmillaryError: explained,
            HTTPException: framework,
            ClientDisconnect: caller_left,
            Exception: crashed,
        },
    )
    return SecurityHeaders(app)


def _with(desk: Desk, action: Callable[[Desk, Request], Awaitable[Response]]) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        return await action(desk, request)

    return endpoint


def _reading(desk: Desk, page: Reader) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        visit = await admitted_visit(desk, request)
        async with caller_of(request).turn():
            return await run_in_threadpool(page, desk, visit)

    return endpoint


def _changing(desk: Desk, action: Changer) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        visit = await admitted_visit(desk, request)
        most = MAX_MODEL_FORM_BYTES if action in MODELS else MAX_FORM_BYTES
        form = await read_form(request, desk.seal, request.cookies.get(SESSION_COOKIE, ""), most=most)
        async with caller_of(request).turn():
            return await run_in_threadpool(action, desk, visit, form)

    return endpoint


# status -> title, state. What is not here is a failure of ours.
_TITLES = {
    400: ("This cannot be done that way.", "attention"),
    403: ("Your role does not allow this.", "attention"),
    404: ("There is nothing here.", "unknown"),
    405: ("This cannot be done that way.", "attention"),
    412: ("Somebody else was faster.", "attention"),
    409: ("This does not fit the present state.", "attention"),
    429: ("Too many at once.", "attention"),
    503: ("The service cannot do this now.", "bad"),
}


def _problem(desk: Desk, request: Request, status: int, code: str, message: str, remedy: str) -> Response:
    problem = _described(status, code, message, remedy)
    try:
        visit = desk.visit(request)
    except SignInNeededError:
        problem["ways"] = [("Sign in", "/sign-in")]
        return desk.bare_page(request, "problem.html", status=status, problem=problem)
    return desk.page(visit, "problem.html", status=status, problem=problem)


def _when_to_return(error: ArmillaryError) -> dict[str, str]:
    return {"Retry-After": str(error.retry_after_s)} if isinstance(error, RateLimitedError) else {}


def _described(status: int, code: str, message: str, remedy: str) -> dict[str, Any]:
    title, kind = _TITLES.get(status, ("Something failed on our side.", "bad"))
    if code == FOREIGN_FORM:
        title = "This form was refused."
    return {
        "status": status,
        "code": code,
        "title": title,
        "kind": kind,
        "message": sentence(message),
        "remedy": remedy,
        "ways": [("Fleet", "/fleet"), ("Audit", "/audit")],
    }

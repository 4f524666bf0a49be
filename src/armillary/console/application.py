# SPDX-License-Identifier: Apache-2.0
"""The console as one ASGI application: routes, errors as pages, headers around everything.

Mount it last, at the root, on the operator API's application: ``app.mount("/", create_console(...))``; the API's
routes come first and keep their paths.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
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
from armillary.console.add_devices import routes as add_devices
from armillary.console.alerts import routes as alerts
from armillary.console.applications import routes as applications_routes
from armillary.console.authored import change as authored_change, read as authored_read, removal
from armillary.console.bulk import routes as bulk
from armillary.console.catalogs import routes as catalogs
from armillary.console.dashboards import change as dashboards_change, pages_pictures, read as dashboards_read, uploads
from armillary.console.device import change as device_change, read as device_read, tabs as device_tabs
from armillary.console.device.subject import named
from armillary.console.device_templates import read as templates_read, template_editor
from armillary.console.evidence import routes as evidence
from armillary.console.frame import sign_in
from armillary.console.frame.action_checks import permit
from armillary.console.frame.asking import asks, may
from armillary.console.frame.console import Console, SignInNeededError
from armillary.console.frame.guard import (
    FOREIGN_FORM,
    MAX_FORM_BYTES,
    MAX_MODEL_FORM_BYTES,
    SESSION_COOKIE,
    SecurityHeaders,
    read_form,
    read_upload,
)
from armillary.console.frame.rows import Change, Changer, Reader, Taker
from armillary.console.frame.table_bar import EXPORT
from armillary.console.frame.words import sentence
from armillary.console.guardians import routes as guardians
from armillary.console.hub_devices import change as hub_devices_change, connect, read as hub_devices_read
from armillary.console.hub_devices.pages_connect import ROOT_HREF
from armillary.console.language.say import say
from armillary.console.live import RECHECK_S, LiveStreams, admitted_visit
from armillary.console.new_rollout import change as new_rollout_change, routes as new_rollout
from armillary.console.operations import change, read
from armillary.console.packing import Packing
from armillary.console.people import routes as people, second_step
from armillary.console.people.provider_sign_in import ProviderSignIn
from armillary.console.releases import change as releases_change, read as releases_read
from armillary.console.search import read as search_read
from armillary.console.security import routes as security
from armillary.console.sources.request_context import Applications, nothing
from armillary.console.sources.signed_in import NOT_FOR_ONE
from armillary.console.sources.sources import SourcesFor, sources_of
from armillary.console.tables import routes as tables, table_export
from armillary.errors import ArmillaryError, NotFoundError, RateLimitedError
from armillary.service.people.provider import CALLBACK

if TYPE_CHECKING:
    from armillary.hub.hub import Hub
    from armillary.platform.platform import Platform
    from armillary.service.assemble import SecurityService

Endpoint = Callable[[Request], Awaitable[Response]]

# Addresses of which a page asks before a form is sent to the same.
_MODULE = "/hub-devices/{device_id}/modules/{module_id}/{verb}"
_ADMISSION = "/hub-catalogs/{catalog}/admission/{kind}/{verb}"
_ENROLMENT = "/hub-catalogs/{catalog}/enrolments/{enrolment_id}/{verb}"
_PROOF = "/hub-catalogs/{catalog}/enrolments/{enrolment_id}/verify"
_KEY = "/hub-catalogs/{catalog}/service-keys/{name}/delete"
_GROUP = "/device-groups/{catalog}/{product}/{group}"
_RELEASE, _IMAGE = "/releases/{release_id}", "/images/{catalog}/{image_id}"
_PICTURE = f"{pages_pictures.LIST}/{{picture_id}}/delete"
_REVOCATION = "/settings/catalogs/{catalog}/enrolment-tokens/{token_id}/revoke"

# Who may see what these pages show is decided when they ask it (``sources/permissions.py``).
READ: tuple[tuple[str, Reader], ...] = (
    *security.READ,
    *evidence.READ,
    *guardians.READ,
    *alerts.READ,
    *people.READ,
    *catalogs.READ,
    *applications_routes.READ,
    *add_devices.READ,
    ("/", read.home),
    ("/fleet", device_read.fleet),
    ("/fleet.csv", device_read.fleet_csv),
    *device_tabs.READ,
    ("/updates", read.updates),
    ("/updates/{rollout_id}", read.rollout),
    ("/releases", releases_read.releases),
    (_RELEASE, releases_read.release),
    (f"{_RELEASE}/bill.json", releases_read.release_bill),
    ("/images", releases_read.images),
    (_IMAGE, releases_read.image),
    (f"{_IMAGE}/bill.json", releases_read.image_bill),
    ("/repository", releases_read.repository),
    ("/signing-keys", releases_read.signing_keys),
    ("/device-groups", read.device_groups),
    (_GROUP, read.device_group),
    ("/audit", read.audit),
    ("/settings", read.settings),
    ("/help", read.help_page),
    ("/search", search_read.search),
    ("/search/lines", search_read.lines),
    ("/updates/{rollout_id}/{verb}", asks(change.rollout_question)),
    ("/devices/{device_id}/{verb}", asks(device_change.device_question)),
    ("/dashboards", dashboards_read.dashboards),
    ("/dashboards/{dashboard_id}", dashboards_read.dashboard),
    ("/dashboards/{dashboard_id}/data", dashboards_read.data),
    ("/dashboards/{dashboard_id}/edit", dashboards_read.edit),
    ("/dashboards/{dashboard_id}/delete", asks(dashboards_change.delete_question)),
    ("/dashboards/{dashboard_id}/tiles/{tile_id}", dashboards_read.tile),
    ("/dashboards/{dashboard_id}/tiles/{tile_id}/command", asks(dashboards_change.command_question)),
    ("/rules", authored_read.rules),
    ("/rules/new", authored_read.new_rule),
    ("/rules/{rule_id}", authored_read.rule),
    ("/rules/{rule_id}/trace", authored_read.trace),
    ("/templates", templates_read.templates),
    ("/templates/{name}", templates_read.template),
    ("/templates/{name}/edit", template_editor.edit),
    ("/groups", authored_read.groups),
    ("/jobs", authored_read.jobs),
    ("/exports", authored_read.exports),
    ("/pictures/{template}/{file}", dashboards_read.picture),
    (pages_pictures.LIST, uploads.page),
    ("/hub-devices", hub_devices_read.devices),
    ("/hub-devices/{device_id}", named("", hub_devices_read.device)),
    ("/hub-devices/{device_id}/connect", connect.read),
    (ROOT_HREF, connect.root_certificate),
    ("/hub-catalogs/{catalog}/enrolments/{enrolment_id}", hub_devices_read.enrolment),
    ("/settings/catalogs/{catalog}/transfers/{transfer_id}/{verb}", asks(change.transfer_question)),
    (_REVOCATION, asks(change.enrolment_question)),
    *((f"/{kind}s/{{document_id}}", authored_read.authored) for kind in authored_read.KINDS),
)
# Pages that lead to a change, each with the change that one has to be allowed.
EDIT: tuple[tuple[str, Reader, Change], ...] = (
    *security.EDIT,
    *evidence.EDIT,
    *alerts.EDIT,
    *new_rollout.EDIT,
    *add_devices.EDIT,
    *people.EDIT,
    *tables.EDIT,
    *catalogs.EDIT,
    ("/new-release", releases_read.new_release, "make_draft"),
    (f"{_RELEASE}/{{verb}}", asks(releases_change.question), releases_change.of_verb),
    (f"{_GROUP}/check-now", asks(change.group_question), "check_group_now"),
    ("/os-feeds/{feed}/delete", asks(releases_change.feed_question), "drop_feed"),
    ("/rules/{rule_id}/try", authored_read.try_rule, "try_kept_rule"),
    ("/rules/{rule_id}/{verb}", asks(removal.question), "rule"),
    ("/new-template", template_editor.new, "put_template"),
    ("/templates/{name}/publish", template_editor.confirm_publish, "put_template"),
    ("/templates/{name}/move", template_editor.confirm_move, "put_template"),
    ("/templates/{name}/draft/{version}", asks(template_editor.draft_question), "put_template"),
    ("/templates/{name}/delete", asks(template_editor.delete_question), "put_template"),
    ("/templates/{name}/remove", asks(template_editor.part_question), "put_template"),
    (pages_pictures.NEW, uploads.new, "put_picture"),
    (_PICTURE, asks(uploads.question), "delete_picture"),
    ("/new-hub-device", hub_devices_read.new_device, "make_hub_device"),
    ("/hub-devices/{device_id}/{verb}", asks(hub_devices_change.device_question), "make_hub_device"),
    (_MODULE, asks(hub_devices_change.device_question), "make_hub_device"),
    (_ADMISSION, asks(hub_devices_change.admission_question), "change_admission"),
    (_ENROLMENT, asks(hub_devices_change.enrolment_question), "change_hub_enrolment"),
    (_KEY, asks(hub_devices_change.key_question), "list_hub_service_keys"),
    ("/settings/tokens/{token_id}/revoke", asks(change.token_question), "settings.create_token"),
    *((f"/{kind}s/{{document_id}}/{{verb}}", asks(removal.question), kind) for kind in authored_read.KINDS),
)
# Forms, each with the change that one has to be allowed.
CHANGE: tuple[tuple[str, Changer, Change], ...] = (
    *security.CHANGE,
    *evidence.CHANGE,
    *guardians.CHANGE,
    *alerts.CHANGE,
    *new_rollout.CHANGE,
    *add_devices.CHANGE,
    *people.CHANGE,
    *tables.CHANGE,
    *catalogs.CHANGE,
    *applications_routes.CHANGE,
    *bulk.CHANGE,
    *device_tabs.CHANGE,
    ("/updates/{rollout_id}/{verb}", change.change_rollout, "updates.change"),
    (f"{_RELEASE}/{{verb}}", releases_change.change_release, releases_change.of_verb),
    (f"{_GROUP}/check-now", change.check_group_now, "check_group_now"),
    ("/os-feeds", releases_change.make_feed, "make_feed"),
    ("/os-feeds/{feed}/delete", releases_change.drop_feed, "drop_feed"),
    ("/rules/new", authored_change.make_rule, "rule"),
    ("/rules/{rule_id}", authored_change.keep_rule, "rule"),
    ("/rules/{rule_id}/form", authored_change.change_rule, "rule"),
    ("/rules/{rule_id}/{verb}", authored_change.switch_rule, "rule"),
    ("/templates/{name}/publish", template_editor.publish_template, "put_template"),
    ("/new-template", template_editor.make, "put_template"),
    ("/new-template/check", template_editor.check_new, "put_template"),
    ("/new-template/report", template_editor.report, "put_template"),
    ("/templates/{name}/edit", template_editor.keep_model, "put_template"),
    ("/templates/{name}/check", template_editor.check, "put_template"),
    ("/templates/{name}/report", template_editor.report, "put_template"),
    ("/templates/{name}/capability", template_editor.add_capability, "put_template"),
    ("/templates/{name}/cloud", template_editor.keep_cloud, "put_template"),
    ("/templates/{name}/view", template_editor.keep_view, "put_template"),
    ("/templates/{name}/remove", template_editor.remove, "put_template"),
    ("/templates/{name}/move", template_editor.move, "put_template"),
    ("/templates/{name}/draft/{version}", template_editor.begin_draft, "put_template"),
    ("/templates/{name}/delete", template_editor.delete, "put_template"),
    ("/dashboards", dashboards_change.make, "dashboard"),
    ("/dashboards/{dashboard_id}/tiles", dashboards_change.save, "dashboard"),
    ("/dashboards/{dashboard_id}/preview", dashboards_change.preview, "dashboard"),
    ("/dashboards/{dashboard_id}/undo", dashboards_change.undo, "dashboard"),
    ("/dashboards/{dashboard_id}/delete", dashboards_change.delete, "dashboard"),
    ("/dashboards/{dashboard_id}/tiles/{tile_id}", dashboards_change.keep_tile, "dashboard"),
    ("/dashboards/{dashboard_id}/tiles/{tile_id}/remove", dashboards_change.remove_tile, "dashboard"),
    ("/dashboards/{dashboard_id}/tiles/{tile_id}/command", dashboards_change.send_command, "application.call"),
    (_PICTURE, uploads.delete, "delete_picture"),
    ("/new-hub-device", hub_devices_change.make_device, "make_hub_device"),
    ("/hub-devices/{device_id}/modules", hub_devices_change.make_module, "make_hub_device"),
    ("/hub-devices/{device_id}/{verb}", hub_devices_change.change_device, "make_hub_device"),
    (_MODULE, hub_devices_change.change_device, "make_hub_device"),
    (_ADMISSION, hub_devices_change.change_admission, "change_admission"),
    ("/hub-catalogs/{catalog}/enrolments", hub_devices_change.make_enrolment, "make_hub_enrolment"),
    (_PROOF, hub_devices_change.prove_enrolment, "verify_hub_enrolment"),
    (_ENROLMENT, hub_devices_change.change_enrolment, "change_hub_enrolment"),
    ("/hub-catalogs/{catalog}/service-keys", hub_devices_change.make_key, "list_hub_service_keys"),
    (_KEY, hub_devices_change.delete_key, "list_hub_service_keys"),
    ("/settings/tokens", change.create_token, "settings.create_token"),
    ("/settings/tokens/{token_id}/revoke", change.revoke_token, "settings.create_token"),
    ("/settings/catalogs/{catalog}/transfers/{transfer_id}/{verb}", change.answer_transfer, "settings.answer_transfer"),
    ("/settings/catalogs/{catalog}/enrolment-tokens", change.create_enrolment_token, "settings.create_enrolment_token"),
    (_REVOCATION, change.revoke_enrolment_token, "settings.create_enrolment_token"),
    *((f"/{kind}s/{{document_id}}", authored_change.keep_json, kind) for kind in authored_read.KINDS),
    *((f"/{kind}s/{{document_id}}/{{verb}}", authored_change.act, kind) for kind in authored_read.KINDS),
)
# Forms with files, each with the change that one has to be allowed and how many bytes it may have. They are asked for
# before those of CHANGE.
UPLOAD: tuple[tuple[str, Taker, str, int], ...] = (
    *new_rollout.UPLOAD,
    *add_devices.UPLOAD,
    (pages_pictures.NEW, uploads.take, "put_picture", uploads.MAX_FORM_BYTES),
    (pages_pictures.FOR_TILE, uploads.take_for_tile, "put_picture", uploads.MAX_FORM_BYTES),
    ("/new-release", releases_change.make_draft, "make_draft", releases_change.MAX_DRAFT_BYTES),
    (f"{_RELEASE}/bill", releases_change.put_release_bill, "put_release_bill", releases_change.MAX_BILL_BYTES),
    (f"{_IMAGE}/bill", releases_change.put_image_bill, "put_image_bill", releases_change.MAX_BILL_BYTES),
)
LIVE: tuple[tuple[str, Callable[[LiveStreams, Console, Request], Awaitable[Response]]], ...] = (
    ("/devices/{device_id}/live", LiveStreams.respond),
    ("/hub-devices/{device_id}/live", LiveStreams.respond),
    ("/dashboards/{dashboard_id}/live", LiveStreams.respond_dashboard),
    ("/alerts/live", LiveStreams.respond_alerts),
)

# Forms that models in DTDL, or all tiles of a dashboard, are sent with.
LARGE = frozenset(
    (
        dashboards_change.save,
        template_editor.make,
        template_editor.check_new,
        template_editor.report,
        template_editor.keep_model,
        template_editor.check,
    )
)

# Files of these forms may be large: above so many bytes they lie on the disk while they come in.
LARGE_FILES = frozenset((new_rollout_change.take_images,))
IN_MEMORY_BYTES = 1 << 20

_log = structlog.get_logger("armillary.console")


def create_console(
    service: SecurityService,
    hub: Hub,
    platform: Platform,
    *,
    closing: asyncio.Event | None = None,
    applications: Callable[[], Applications | None] = nothing,
) -> ASGIApp:
    """The console over a running service, hub and platform.

    ``applications`` gives application templates in use, once simulated devices are played.
    ``closing`` is the API application's ``state.closing``: set when the server stops, so that live pages end at once.
    """
    return console_app(sources_of(service, hub, platform, applications), closing=closing)


def console_app(
    sources: SourcesFor,
    *,
    clock: Callable[[], float] = time.time,
    recheck_s: float = RECHECK_S,
    closing: asyncio.Event | None = None,
) -> ASGIApp:
    """The console over any sources.

    ``clock`` gives Unix seconds; ``recheck_s`` is between two looks at the session of an open event stream (seconds);
    ``closing`` is set when the server stops.
    """
    console = Console(sources, clock)
    streams = LiveStreams(recheck_s, closing)
    by_provider = ProviderSignIn()

    async def asset(request: Request) -> Response:
        return console.assets.respond(request)

    routes = [
        Route("/static/{file}", asset, methods=["GET"]),
        Route("/sign-in", _with(console, sign_in.show_sign_in), methods=["GET"]),
        Route("/sign-in", _with(console, sign_in.sign_in), methods=["POST"]),
        Route("/sign-out", _with(console, sign_in.sign_out), methods=["POST"]),
        Route(sign_in.SECOND_STEP, _with(console, second_step.show), methods=["GET"]),
        Route(sign_in.SECOND_STEP, _with(console, second_step.by_passkey), methods=["POST"]),
        Route(second_step.RECOVERY, _with(console, second_step.by_code), methods=["POST"]),
        Route("/sign-in/provider", _with(console, by_provider.begin), methods=["GET"]),
        Route(CALLBACK, _with(console, by_provider.callback), methods=["GET"]),
        Route("/signed-out", _with(console, by_provider.signed_out), methods=["GET"]),
        Route("/theme", _with(console, sign_in.choose_theme), methods=["POST"]),
        Route("/clock", _with(console, sign_in.choose_clock), methods=["POST"]),
        Route("/language", _with(console, sign_in.choose_language), methods=["POST"]),
        Route("/sign-in/language", _with(console, sign_in.choose_language_first), methods=["POST"]),
        *(Route(path, partial(answer, streams, console), methods=["GET"]) for path, answer in LIVE),
        *(Route(path, _reading(console, page), methods=["GET"]) for path, page in READ),
        *(Route(path, _reading(console, page, change), methods=["GET"]) for path, page, change in EDIT),
        *(
            Route(path, _taking(console, action, change, most), methods=["POST"])
            for path, action, change, most in UPLOAD
        ),
        *(Route(path, _changing(console, action, change), methods=["POST"]) for path, action, change in CHANGE),
    ]

    def explained(request: Request, error: Exception) -> Response:
        assert isinstance(error, ArmillaryError)  # noqa: S101 - registered for this class only
        if isinstance(error, SignInNeededError):
            return sign_in.ask_to_sign_in(request)
        page = _problem(console, request, status_of(error), error.code, error.message, error.remedy)
        page.headers.update(_when_to_return(error))
        return page

    def framework(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class only
        if "text/html" not in request.headers.get("accept", ""):  # a program asks: browsers say what they show
            return problem_details(framework_problem(request, error))
        if error.status_code == 404:
            return explained(request, NotFoundError("nothing is at this address", remedy="Check the address."))
        remedy = "Use the links and forms of the page."
        # 405: an address that forms are sent to was opened, by hand or by reloading.
        message = "this address takes a form and shows no page" if error.status_code == 405 else error.detail
        return _problem(console, request, error.status_code, "request", message, remedy)

    def crashed(request: Request, error: Exception) -> Response:
        _log.error("page-crashed", path=request.url.path, error=type(error).__name__)
        # Without the frame: what failed may be what the frame asks for.
        text = say("The service failed on this page; its log holds the reason.")
        problem = _described(500, "console.bug", text, say("Go back and try again."))
        return console.bare_page(request, "problem.html", status=500, problem=problem)

    app = Starlette(
        routes=routes,
        exception_handlers={
            ArmillaryError: explained,
            HTTPException: framework,
            ClientDisconnect: caller_left,
            Exception: crashed,
        },
    )
    return SecurityHeaders(Packing(app))


def _with(console: Console, action: Callable[[Console, Request], Awaitable[Response]]) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        return await action(console, request)

    return endpoint


def _reading(console: Console, page: Reader, change: Change | None = None) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        visit = await admitted_visit(console, request)
        if change is not None:
            permit(visit, change if isinstance(change, str) else change(visit))
        caller = caller_of(request)
        if EXPORT in visit.query:  # its pages are read one by one while it is sent
            caller.hold(caller.budgets.exports)
        async with caller.turn():
            if EXPORT in visit.query:
                return await run_in_threadpool(table_export.export, page, visit, request)
            return await run_in_threadpool(page, visit)

    return endpoint


def _changing(console: Console, action: Changer, change: Change) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        visit = await admitted_visit(console, request)
        most = MAX_MODEL_FORM_BYTES if action in LARGE else MAX_FORM_BYTES
        form = await read_form(request, console.seal, request.cookies.get(SESSION_COOKIE, ""), most=most)
        permit(visit, change if isinstance(change, str) else change(visit))
        async with caller_of(request).turn():
            return await run_in_threadpool(action, visit, form)

    return endpoint


def _taking(console: Console, action: Taker, change: str, most: int) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        visit = await admitted_visit(console, request)
        permit(visit, change)  # before megabytes are read
        caller = caller_of(request)
        caller.hold(caller.budgets.large_bodies)
        cookie = request.cookies.get(SESSION_COOKIE, "")
        in_memory = IN_MEMORY_BYTES if action in LARGE_FILES else None
        form, files = await read_upload(request, console.seal, cookie, most=most, in_memory=in_memory)
        async with caller.turn():
            return await run_in_threadpool(action, visit, form, files)

    return endpoint


# status -> title, state. What is not here is a failure of ours.
_TITLES = {
    400: (say("Invalid request."), "attention"),
    403: (say("Your role does not allow this."), "attention"),
    404: (say("Page not found."), "unknown"),
    405: (say("Invalid request."), "attention"),
    412: (say("Changed by someone else since you opened it."), "attention"),
    409: (say("This does not fit the present state."), "attention"),
    429: (say("Too many at once."), "attention"),
    503: (say("The service cannot do this now."), "bad"),
}


def _problem(console: Console, request: Request, status: int, code: str, message: str, remedy: str) -> Response:
    problem = _described(status, code, message, remedy)
    try:
        visit = console.visit(request)
    except SignInNeededError:
        if status == 405 and request.method == "GET":
            return sign_in.ask_to_sign_in(request, back="/fleet")  # there is no page here to come back to
        problem["ways"] = [(say("Sign in"), "/sign-in")]
        return console.bare_page(request, "problem.html", status=status, problem=problem)
    if not may(visit, "settings.audit_lines"):
        problem["ways"] = problem["ways"][:1]
    return visit.page("problem.html", status=status, problem=problem)


def _when_to_return(error: ArmillaryError) -> dict[str, str]:
    return {"Retry-After": str(error.retry_after_s)} if isinstance(error, RateLimitedError) else {}


def _described(status: int, code: str, message: str, remedy: str) -> dict[str, Any]:
    title, kind = _TITLES.get(status, (say("Something failed on our side."), "bad"))
    if code == FOREIGN_FORM:
        title = say("This form was refused.")
    if code == NOT_FOR_ONE:
        title = say("You are not signed in for this.")
    return {
        "status": status,
        "code": code,
        "is_form_refused": code == FOREIGN_FORM,
        "title": title,
        "kind": kind,
        "message": sentence(message),
        "remedy": remedy,
        "ways": [(say("Fleet"), "/fleet"), (say("Audit"), "/audit")],
    }

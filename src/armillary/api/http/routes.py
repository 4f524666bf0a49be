# SPDX-License-Identifier: Apache-2.0
"""How routes are mounted: each one guarded as its row says, with a limit on its body and the budget of its caller."""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, cast, get_args, get_type_hints

from fastapi import APIRouter, FastAPI
from fastapi.datastructures import Default
from fastapi.dependencies.utils import get_flat_params
from fastapi.encoders import jsonable_encoder
from fastapi.params import Query
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Match, compile_path
from starlette.types import Message, Receive, Scope, Send

from armillary.api.http.auth import admit
from armillary.api.http.callers import LARGE_BYTES, Caller, caller_of, catalog_of, operator_of as acting_with, owner_of
from armillary.api.http.json_body import StrictRequest
from armillary.api.http.query import check_names
from armillary.api.http.route import ANY, READER, Reach, Route
from armillary.api.http.shape import Shape, Shapes
from armillary.engines.records.queries.enrolments import EnrolmentToken
from armillary.engines.records.schema.rows import Token
from armillary.identity.operator import Operator

if TYPE_CHECKING:
    from armillary.hub.hub import Hub
    from armillary.platform.platform import Platform
    from armillary.service.assemble import SecurityService


class GuardedRoute(APIRoute):
    """A route that admits its caller before it reads a body, and runs in a thread within the caller's limit."""

    def __init__(self, *given: Any, row: Route, shape: Shape, **named: Any) -> None:
        self.row = row
        self._shape = shape
        super().__init__(*given, **named)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler that FastAPI builds, behind :func:`armillary.api.http.auth.admit`."""
        handler = super().get_route_handler()
        row, shape, known = self.row, self._shape, self._query_names()
        works_in_thread = not inspect.iscoroutinefunction(self.endpoint)

        async def guarded(request: Request) -> Response:
            operator = await admit(request, row, shape)
            request.state.operator = operator
            request.state.route = (row, shape)
            if known is not None:
                check_names(request.query_params, known)
            sent = strict_request(request, row)
            if operator is None:  # a public route: its caller stays unauthenticated
                return await handler(sent)
            caller = caller_of(request)
            caller.admit(owner_of(operator), catalog_of(operator))
            await read_body(sent, caller)
            if not works_in_thread:
                return await handler(sent)
            async with caller.turn():
                return await handler(sent)

        return guarded

    def _query_names(self) -> frozenset[str] | None:
        """Names that the query may have; None for any, as public APIs ignore unknown ones."""
        further = self._shape.query_names(self.row)
        if further is None:
            return None
        return further | {each.alias for each in get_flat_params(self.dependant) if isinstance(each.field_info, Query)}


class DeferredRoute(BaseRoute):
    """A row that FastAPI analyses at the first request for its path.

    Most services are never asked for most routes, and the analysis of all signatures takes 5 MB and 0.2 s of a start.

    Attributes:
        row: The route's row.
        path: As in the row.
        path_regex: What fits its path, checked before FastAPI knows the types of its parameters.
    """

    def __init__(self, row: Route, shape: Shape) -> None:
        self.row = row
        self.path = row.path
        self.path_regex, self.path_format, _ = compile_path(row.path)
        self._shape = shape
        self._literal = row.path.partition("{")[0]

    @functools.cached_property
    def analysed(self) -> GuardedRoute:
        """The route itself, kept."""
        return self.analyse()

    def analyse(self) -> GuardedRoute:
        """The route itself, made anew."""
        row, endpoint, router = self.row, self.row.endpoint, APIRouter()
        for hint in get_type_hints(endpoint).values():
            for each in (hint, *get_args(hint)):
                if isinstance(each, type) and issubclass(each, BaseModel):
                    each.model_config["defer_build"] = False  # it is needed now (StrictBody)
                    each.model_rebuild()
        router.add_api_route(
            row.path,
            endpoint if inspect.iscoroutinefunction(endpoint) else answering(endpoint, row.status or 200),
            methods=list(row.methods),
            route_class_override=cast("type[APIRoute]", functools.partial(GuardedRoute, row=row, shape=self._shape)),
            operation_id=f"{endpoint.__name__}_{row.method.lower()}",
            # Answers are documents already (documents.py): a model of "any object" a route would only cost memory.
            response_model=None,
            status_code=row.status,
            response_class=row.answer or Default(JSONResponse),
            responses={200: _text(row.media_type)} if row.media_type else None,
            tags=[row.tag],
            include_in_schema=bool(row.tag),
            openapi_extra={"requestBody": _text(row.body_media_type)} if row.body_media_type else None,
        )
        (made,) = router.routes
        return cast("GuardedRoute", made)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Routes are asked one after the other: most are passed over by the literal beginning of their path."""
        if scope["type"] != "http" or not scope["path"].startswith(self._literal):
            return Match.NONE, {}
        if self.path_regex.match(scope["path"]) is None:
            return Match.NONE, {}
        return self.analysed.matches(scope)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request that matched, or matched but for its method."""
        await self.analysed.handle(scope, receive, send)

    def is_meant_by(self, path: str) -> bool:
        """Whether a path is one of this route: ``corim`` fits the shape of ``{release_id}`` and is none."""
        found = self.path_regex.match(path)
        if found is None:
            return False
        given = found.groupdict()
        fields = [field for field in self.analysed.dependant.path_params if field.alias in given]
        return not any(field.validate(given[field.alias], {}, loc=("path", field.alias))[1] for field in fields)


async def admit_again(request: Request) -> None:
    """Raise what :func:`~armillary.api.http.auth.admit` raises unless the caller of a request under way may go on."""
    await admit(request, *request.state.route)


def strict_request(request: Request, row: Route) -> StrictRequest:
    """A request whose body is bounded as its route says, in bytes and in JSON values.

    Raises:
        HTTPException: 413, a larger body is announced.
    """
    return StrictRequest(request.scope, limited(request, row.body_limit), row.values)


async def read_body(sent: StrictRequest, caller: Caller) -> None:
    """Read the whole body before a thread is taken, so that a slow one blocks nobody; count a large one.

    Raises:
        QuotaExceededError: it is large, and the caller has reached the limit of large ones.
        HTTPException: 413, it is longer than its route allows.
        ClientDisconnect: the caller disconnected.
    """
    announced = sent.headers.get("content-length", "0")
    if "transfer-encoding" in sent.headers or len(announced) > len(str(LARGE_BYTES)) or int(announced) > LARGE_BYTES:
        caller.hold(caller.budgets.large_bodies)
    await sent.body()


def limited(request: Request, limit: int) -> Receive:
    """The request's body channel, which ends with 413 after ``limit`` bytes, or at once when more are announced."""
    announced = request.headers.get("content-length", "0")
    if not announced.isdecimal() or len(announced) > 12 or int(announced) > limit:
        raise HTTPException(413, f"the body is larger than {limit} bytes")
    received = 0

    async def receive() -> Message:
        nonlocal received
        message = await request.receive()
        received += len(message.get("body", b""))
        if received > limit:
            raise HTTPException(413, f"the body is larger than {limit} bytes")
        return message

    return receive


def mount(app: FastAPI, shapes: Shapes) -> None:
    """Mount all rows; those of unknown paths last."""
    for shape in shapes:
        if shape.mounted is not None:
            app.router.routes.append(shape.mounted(shape))
        else:
            app.router.routes.extend(DeferredRoute(row, shape) for row in shape.routes)
    for shape in shapes:
        app.router.routes.extend(DeferredRoute(row, shape) for row in shape.unknown)


def _text(media_type: str) -> dict[str, Any]:
    return {"content": {media_type: {"schema": {"type": "string"}}}}


def answering(endpoint: Callable[..., Any], status: int) -> Callable[..., Response]:
    """An endpoint that encodes its answer in its own thread rather than in the event loop."""

    @functools.wraps(endpoint)
    def answered(*args: Any, **named: Any) -> Response:
        found = endpoint(*args, **named)
        return found if isinstance(found, Response) else Answer(found, status)

    return answered


class Answer(JSONResponse):
    """JSON of documents, and of the values in them that JSON does not know."""

    def render(self, content: Any) -> bytes:
        """The bytes."""
        text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=jsonable_encoder)
        return text.encode("utf-8")


def unknown(root: str) -> Route:
    """The row that answers 404 or 405 below a root (which ends with ``/``), so that nothing mounted later does."""
    return Route(ANY, root + "{rest:path}", no_such_route, READER, reach=Reach.CALLER)


def no_such_route(request: Request) -> None:
    """404, or 405 with the methods that the path allows."""
    allowed: set[str] = set()
    for route in request.app.routes:
        if isinstance(route, DeferredRoute) and route.row.method != ANY and route.is_meant_by(request.url.path):
            allowed |= set(route.row.methods)
    if allowed:
        raise HTTPException(405, "Method Not Allowed", headers={"Allow": ", ".join(sorted(allowed))})
    raise HTTPException(404, "Not Found")


def service_of(request: Request) -> SecurityService:
    """The security service of the application that got ``request``."""
    return cast("SecurityService", request.app.state.service)


def hub_of(request: Request) -> Hub:
    """The hub of the application that got ``request``."""
    return cast("Hub", request.app.state.hub)


def platform_of(request: Request) -> Platform:
    """The application platform of the application that got ``request``."""
    return cast("Platform", request.app.state.platform)


def operator_of(request: Request) -> Token:
    """The operator who was admitted; only for routes that need a token."""
    return cast("Token", request.state.operator)


def actor_of(request: Request) -> Operator:
    """The same as who acts in an operation."""
    return acting_with(operator_of(request))


def enrolment_of(request: Request) -> EnrolmentToken | None:
    """The enrolment token that was admitted on a route of the factory; None where an operator's was."""
    admitted = request.state.operator
    return admitted if isinstance(admitted, EnrolmentToken) else None

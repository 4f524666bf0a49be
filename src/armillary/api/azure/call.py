# SPDX-License-Identifier: Apache-2.0
"""One call of the management API: its names checked, its paging read, its replies built."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, TypeVar
from urllib.parse import quote, urlencode

from fastapi import Depends
from fastapi.responses import JSONResponse
from starlette.requests import Request
from starlette.responses import Response

from armillary.api.azure import names, operations
from armillary.api.azure.bodies import Body, listed
from armillary.api.http.routes import operator_of, service_of
from armillary.engines.records.schema.rows import Page
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError
from armillary.service.assemble import SecurityService

T = TypeVar("T")

# Items of a page when the caller does not say; the most it may ask for.
PAGE_ITEMS = 100
MAX_PAGE_ITEMS = 1000
# $skip is honoured by reading: bounded, because it costs what it skips. nextLink costs the same on every page.
MAX_SKIP = 10_000
# Digits of a place in a short list.
MAX_INDEX_DIGITS = 9
_CURSOR = re.compile(r"[A-Za-z0-9:-]{1,1000}")


@dataclass(frozen=True, slots=True)
class AzureCall:
    """A call whose api-version and names are well-formed; ``actor`` is the operator's name in the audit log.

    ``parts`` are the names in the path: subscription, resource_group, catalog, product ...
    """

    request: Request
    service: SecurityService
    actor: str
    parts: Mapping[str, str]

    @property
    def catalog(self) -> str:
        """The catalog's name in the path."""
        return self.parts["catalog"]

    @property
    def group(self) -> tuple[str, str, str]:
        """The names of the path's catalog, product and device group."""
        return self.parts["catalog"], self.parts["product"], self.parts["device_group"]

    def now(self) -> int:
        """Unix seconds: when what this call did was done."""
        return int(time.time())


@dataclass(frozen=True, slots=True)
class Paging:
    """``$top``, ``$skip``, ``$maxpagesize`` and the cursor of a ``nextLink``.

    ``top`` is None for no limit, ``after`` is None on the first page.
    """

    top: int | None
    skip: int
    size: int
    after: str | None


def azure_call(request: Request) -> AzureCall:
    """Check a call's api-version and names (a FastAPI dependency). Raises InvalidArgumentError for a wrong one."""
    version = request.query_params.get("api-version")
    if version is None:
        raise InvalidArgumentError(
            "the api-version query parameter is missing",
            remedy=f"Add ?api-version={names.API_VERSION}.",
            code="request.api-version",
        )
    if version not in names.API_VERSIONS:
        raise InvalidArgumentError(
            f"api-version: expected {' or '.join(names.API_VERSIONS)}, got {version[:40]!r}",
            remedy=f"Use {names.API_VERSION}.",
            code="request.api-version",
        )
    parts = {
        name: names.checked(name, value) if name in names.PATTERNS else value
        for name, value in request.path_params.items()
    }
    return AzureCall(request, service_of(request), operator_of(request).name, parts)


Call = Annotated[AzureCall, Depends(azure_call)]


def paging(request: Request) -> Paging:
    """Read the paging parameters. Raises InvalidArgumentError for a wrong number, or a filter: none is supported."""
    query = request.query_params
    if query.get("$filter"):
        raise InvalidArgumentError(
            "$filter: no filter is supported here", remedy="Filter devices with GET /api/v1/devices instead."
        )
    after = query.get("$skiptoken")
    if after is not None and _CURSOR.fullmatch(after) is None:
        raise InvalidArgumentError("$skiptoken: not a cursor of this service", remedy="Follow nextLink unchanged.")
    top = _number(request, "$top", low=1, high=1_000_000_000)
    size = _number(request, "$maxpagesize", low=1, high=1_000_000_000) or PAGE_ITEMS
    skip = _number(request, "$skip", low=0, high=MAX_SKIP) or 0
    return Paging(top, skip, min(size, MAX_PAGE_ITEMS), after)


def paged(
    call: AzureCall,
    read: Callable[[int, str | None], Page[T]],
    body: Callable[[T], Body],
    carried: Mapping[str, str] | None = None,
) -> Body:
    """One page of a list in the management API's form; ``read`` takes the limit and the cursor.

    ``carried`` are parameters that the next page's address has to carry.
    """
    asked = paging(call.request)
    after = asked.after
    skip = asked.skip
    while skip > 0:
        page = read(min(skip, MAX_PAGE_ITEMS), after)
        skip -= len(page.items)
        after = page.next_cursor
        if after is None:
            return listed([], None)
    size = asked.size if asked.top is None else min(asked.size, asked.top)
    page = read(size, after)
    left = None if asked.top is None else asked.top - len(page.items)
    if page.next_cursor is None or left == 0:
        return listed([body(item) for item in page.items], None)
    return listed([body(item) for item in page.items], _next_link(call.request, asked, page.next_cursor, left, carried))


def whole(call: AzureCall, items: list[Body], carried: Mapping[str, str] | None = None) -> Body:
    """A list that is short by nature (catalogs, products, groups, certificates): one page, unless pages are asked for.

    ``carried`` are parameters that the next page's address has to carry, for a list that is asked for by a body.

    Raises:
        InvalidArgumentError: a paging parameter makes no sense.
    """
    asked = paging(call.request)
    start = asked.skip
    if asked.after is not None:
        if not asked.after.isdecimal() or len(asked.after) > MAX_INDEX_DIGITS:
            raise InvalidArgumentError("$skiptoken: not a cursor of this list", remedy="Follow nextLink unchanged.")
        start = int(asked.after)
    end = len(items) if asked.top is None else min(len(items), start + asked.top)
    stop = min(end, start + asked.size) if "$maxpagesize" in call.request.query_params else end
    if stop >= end:
        return listed(items[start:end], None)
    left = None if asked.top is None else end - stop
    return listed(items[start:stop], _next_link(call.request, asked, str(stop), left, carried))


def get_or_create(get: Callable[[], T], create: Callable[[], T]) -> tuple[T, bool]:
    """The existing row, or a new one, and whether it is new; two PUTs at once both succeed."""
    try:
        return get(), False
    except NotFoundError:
        pass
    try:
        return create(), True
    except ConflictError:  # another call made it between the two lines above
        return get(), False


def deleted(delete: Callable[[], object]) -> Response:
    """Delete: 200, or 204 when there was nothing to delete."""
    try:
        delete()
    except NotFoundError:
        return Response(status_code=204)
    return Response(status_code=200)


def base_url(request: Request) -> str:
    """``https://host:port`` as the caller spelt it; links must lead it back to where it came from."""
    return f"{request.url.scheme}://{request.url.netloc}"


def created(call: AzureCall, resource: Body, *, at: int) -> Response:
    """201 with ``Azure-AsyncOperation``: how PUT image, deployment and device answer."""
    operation = operations.new_operation(resource["id"], at=at, has_result=True)
    status, _ = _addresses(call, operation)
    accepted = {**resource, "properties": {**resource["properties"], "provisioningState": "Accepted"}}
    return JSONResponse(accepted, 201, headers={"Azure-AsyncOperation": status, "Retry-After": "0"})


def accepted(call: AzureCall, resource_id: str, *, at: int, has_result: bool, with_status: bool = False) -> Response:
    """202 with ``Location``; PATCH device also sends ``Azure-AsyncOperation``."""
    operation = operations.new_operation(resource_id, at=at, has_result=has_result)
    status, result = _addresses(call, operation)
    headers = {"Location": result, "Retry-After": "0"}
    if with_status:
        headers["Azure-AsyncOperation"] = status
    return Response(status_code=202, headers=headers)


def _addresses(call: AzureCall, operation: operations.Operation) -> tuple[str, str]:
    return operations.addresses(
        operation,
        base_url=base_url(call.request),
        subscription=call.parts["subscription"],
        api_version=call.request.query_params["api-version"],
    )


def _next_link(
    request: Request, asked: Paging, cursor: str, left: int | None, carried: Mapping[str, str] | None = None
) -> str:
    query = {
        **(carried or {}),
        "api-version": request.query_params["api-version"],
        "$skiptoken": cursor,
        "$maxpagesize": asked.size,
    }
    if left is not None:
        query["$top"] = left
    return f"{base_url(request)}{quote(request.url.path)}?{urlencode(query)}"


def _number(request: Request, name: str, *, low: int, high: int) -> int | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    if not text.isascii() or not text.isdecimal() or len(text) > 10 or not low <= int(text) <= high:
        raise InvalidArgumentError(
            f"{name}: expected a number from {low} to {high}, got {text[:20]!r}", remedy="Correct the number."
        )
    return int(text)

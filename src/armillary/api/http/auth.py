# SPDX-License-Identifier: Apache-2.0
"""Authenticates callers and checks the role that a route's row asks for, before a body is read.

A request without a valid token gets 401 after nothing but its headers was read. Roles rise: Reader < Contributor <
Administrator; ``service/registry/tokens.py`` says what each is for.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from armillary.api.http.query import read_query
from armillary.api.http.route import CONTRIBUTOR, FACTORY, PUBLIC, READER, SCRAPE, Route, allows
from armillary.api.http.scope import check_scope
from armillary.api.http.shape import Shape
from armillary.engines.records.queries.enrolments import EnrolmentToken
from armillary.engines.records.schema.rows import Token
from armillary.errors import PermissionDeniedError, UnauthenticatedError
from armillary.service.factory.enrolments import SECRET_PREFIX

if TYPE_CHECKING:
    from armillary.service.assemble import SecurityService

# Longer Authorization headers hold no token of ours.
MAX_HEADER_CHARS = 512


async def admit(request: Request, row: Route, shape: Shape) -> Token | EnrolmentToken | None:
    """Authenticate the caller of a request and check that it may use the route; reads no body.

    Returns the operator's token, or on the factory's routes an enrolment token; None for public routes and scrapes from
    this host.

    Raises:
        UnauthenticatedError: no token, or one that is unknown, expired or revoked.
        InvalidArgumentError: a parameter of the query is there twice, or empty.
        PermissionDeniedError: the token's role is too low, or the token is for one catalog and the route is not.
        NotFoundError: the token is for another catalog.
    """
    needed = row.role
    if needed == PUBLIC or (needed == SCRAPE and "authorization" not in request.headers and from_this_host(request)):
        if not row.reads_query:
            read_query(request.query_params, row.lists)
        return None
    if needed == SCRAPE:
        needed = READER
    service: SecurityService = request.app.state.service
    token = await shape.authenticate(request, row, service) if shape.authenticate is not None else None
    if token is None:
        secret = (shape.secret_of or bearer)(request)
        if needed == FACTORY:
            if secret.startswith(SECRET_PREFIX):
                admitted = await run_in_threadpool(service.enrolments.authenticate, secret)
                read_query(request.query_params, row.lists)
                return admitted
            needed = CONTRIBUTOR
        token = await run_in_threadpool(service.tokens.authenticate, secret)
        if not allows(token.role, needed):
            raise PermissionDeniedError(
                f"{request.method} {request.url.path} needs the role {needed}; "
                f"the token {token.name!r} has {token.role}",
                remedy=f"Use a token with the role {needed}: armillary token create --role {needed}.",
            )
    query = read_query(request.query_params, row.lists)
    if token.catalog_id is None:
        request.state.scope = check_scope(request, row, token, service, query)  # reads no records
    else:
        request.state.scope = await run_in_threadpool(check_scope, request, row, token, service, query)
    return token


def bearer(request: Request) -> str:
    """The token in the Authorization header (RFC 6750 §2.1). Raises UnauthenticatedError if there is none."""
    header = request.headers.get("authorization", "")
    scheme, _, secret = header.partition(" ")
    if scheme.lower() != "bearer" or not secret.strip() or len(header) > MAX_HEADER_CHARS:
        raise UnauthenticatedError("the request carries no operator token")
    return secret.strip()


def from_this_host(request: Request) -> bool:
    """Whether the peer is this host itself, and not a proxy on it that forwards for somebody else."""
    forwarded = any(name in request.headers for name in ("forwarded", "x-forwarded-for", "x-real-ip", "via"))
    if forwarded or request.client is None:
        return False
    try:
        return ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False

# SPDX-License-Identifier: Apache-2.0
"""Signing in and out, and the theme: the only places that set cookies."""

from __future__ import annotations

import secrets
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from armillary.console.frame.desk import Desk, drop_cookie, local_path, set_cookie
from armillary.console.frame.guard import DOOR_COOKIE, SESSION_COOKIE, THEME_COOKIE, read_form
from armillary.console.frame.sessions import LIFETIME_S
from armillary.errors import InvalidArgumentError, PermissionDeniedError, UnauthenticatedError

# The sign-in form may lie open over a lunch; afterwards it is simply made anew.
DOOR_S = 3600
YEAR_S = 365 * 24 * 3600
# Longer than any token that this service makes; what is longer is not looked up.
MAX_SECRET_CHARS = 512


async def show_sign_in(desk: Desk, request: Request) -> Response:
    """The sign-in page."""
    return sign_in_page(desk, request, back=request.query_params.get("back", "/fleet"))


def sign_in_page(desk: Desk, request: Request, *, back: str, said: str = "", status: int = 200) -> Response:
    """The sign-in page, with what went wrong if something did."""
    door = request.cookies.get(DOOR_COOKIE) or secrets.token_urlsafe(32)
    response = desk.bare_page(
        request,
        "sign_in.html",
        door=door,
        status=status,
        page={"back": local_path(back), "said": {"kind": "bad", "text": said} if said else None},
    )
    set_cookie(response, DOOR_COOKIE, door, max_age_s=DOOR_S)
    return response


async def sign_in(desk: Desk, request: Request) -> Response:
    """Open a session for a valid token; always under a new name."""
    try:
        form = await read_form(request, desk.seal, request.cookies.get(DOOR_COOKIE, ""))
    except PermissionDeniedError:
        return sign_in_page(
            desk, request, back="/fleet", said="This form was too old or not ours. Please sign in again.", status=403
        )
    back = local_path(form.get("back", "/fleet"))
    secret = form.get("token", "").strip()
    try:
        if not 0 < len(secret) <= MAX_SECRET_CHARS:
            raise UnauthenticatedError("no token was given")  # noqa: TRY301 - same answer as a wrong token
        operator = await run_in_threadpool(desk.sources.door.sign_in, secret)
    except UnauthenticatedError:
        return sign_in_page(
            desk,
            request,
            back=back,
            said="This token is not valid: it is mistyped, has ended or was revoked.",
            status=401,
        )
    except PermissionDeniedError as error:
        said = f"{error.message[:1].upper()}{error.message[1:]}. {error.remedy}"
        return sign_in_page(desk, request, back=back, said=said, status=403)
    response = RedirectResponse(back, 303)
    set_cookie(response, SESSION_COOKIE, desk.sessions.open(operator, desk.now()), max_age_s=LIFETIME_S)
    drop_cookie(response, DOOR_COOKIE)
    return response


async def sign_out(desk: Desk, request: Request) -> Response:
    """End the session, here and in the browser."""
    cookie = request.cookies.get(SESSION_COOKIE, "")
    await read_form(request, desk.seal, cookie)
    desk.sessions.close(cookie)
    response = RedirectResponse("/sign-in", 303)
    drop_cookie(response, SESSION_COOKIE)
    response.headers["Clear-Site-Data"] = '"cache"'
    return response


async def choose_theme(desk: Desk, request: Request) -> Response:
    """Keep the chosen theme in a cookie, so that it works without script and never flashes."""
    cookie = request.cookies.get(SESSION_COOKIE, "")
    form = await read_form(request, desk.seal, cookie)
    theme = form.get("theme", "")
    if theme not in ("light", "dark", "system"):
        raise InvalidArgumentError(
            f"theme: expected light, dark or system, got {theme[:20]!r}", remedy="Use the button."
        )
    response = RedirectResponse(local_path(form.get("back", "/fleet")), 303)
    if theme == "system":
        drop_cookie(response, THEME_COOKIE)
    else:
        set_cookie(response, THEME_COOKIE, theme, max_age_s=YEAR_S)
    return response


def ask_to_sign_in(request: Request) -> Response:
    """Lead to the sign-in page and back afterwards; a refresh by script is told to lead the whole page there."""
    back = request.scope["path"] if request.method == "GET" else "/fleet"
    # Quoted: the path may hold what no header may.
    address = "/sign-in" if back in ("/", "/fleet") else f"/sign-in?back={quote(back)}"
    if request.headers.get("hx-request") == "true":
        response = Response(status_code=401, headers={"HX-Redirect": address})
    else:
        response = RedirectResponse(address, 303)
    if request.cookies.get(SESSION_COOKIE):
        drop_cookie(response, SESSION_COOKIE)
    return response

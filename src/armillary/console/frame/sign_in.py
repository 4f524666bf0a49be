# SPDX-License-Identifier: Apache-2.0
"""Signing in and out, and the theme: the only places that set cookies."""

from __future__ import annotations

import secrets
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from armillary.console.frame.console import Console
from armillary.console.frame.flash import local_path
from armillary.console.frame.guard import SESSION_COOKIE, SIGN_IN_COOKIE, THEME_COOKIE, read_form
from armillary.console.frame.sessions import LIFETIME_S
from armillary.errors import InvalidArgumentError, PermissionDeniedError, UnauthenticatedError

# The sign-in form may lie open over a lunch; afterwards it is simply made anew.
SIGN_IN_S = 3600
YEAR_S = 365 * 24 * 3600
# Longer than any token that this service makes; what is longer is not looked up.
MAX_SECRET_CHARS = 512


async def show_sign_in(console: Console, request: Request) -> Response:
    """The sign-in page."""
    return sign_in_page(console, request, back=request.query_params.get("back", "/fleet"))


def sign_in_page(console: Console, request: Request, *, back: str, said: str = "", status: int = 200) -> Response:
    """The sign-in page, with what went wrong if something did."""
    cookie = request.cookies.get(SIGN_IN_COOKIE) or secrets.token_urlsafe(32)
    response = console.bare_page(
        request,
        "sign_in.html",
        cookie=cookie,
        status=status,
        page={"back": local_path(back), "said": {"kind": "bad", "text": said} if said else None},
    )
    set_cookie(response, SIGN_IN_COOKIE, cookie, max_age_s=SIGN_IN_S)
    return response


async def sign_in(console: Console, request: Request) -> Response:
    """Open a session for a valid token; always under a new name."""
    try:
        form = await read_form(request, console.seal, request.cookies.get(SIGN_IN_COOKIE, ""))
    except PermissionDeniedError:
        return sign_in_page(
            console, request, back="/fleet", said="This form was too old or not ours. Please sign in again.", status=403
        )
    back = local_path(form.get("back", "/fleet"))
    secret = form.get("token", "").strip()
    try:
        if not 0 < len(secret) <= MAX_SECRET_CHARS:
            raise UnauthenticatedError("no token was given")  # noqa: TRY301 - same answer as a wrong token
        operator = await run_in_threadpool(console.sources.sign_in.sign_in, secret)
    except UnauthenticatedError:
        return sign_in_page(
            console,
            request,
            back=back,
            said="This token is not valid: it is mistyped, has ended or was revoked.",
            status=401,
        )
    response = RedirectResponse(back, 303)
    set_cookie(response, SESSION_COOKIE, console.sessions.open(operator, console.now()), max_age_s=LIFETIME_S)
    drop_cookie(response, SIGN_IN_COOKIE)
    return response


async def sign_out(console: Console, request: Request) -> Response:
    """End the session, here and in the browser."""
    cookie = request.cookies.get(SESSION_COOKIE, "")
    await read_form(request, console.seal, cookie)
    console.sessions.close(cookie)
    response = RedirectResponse("/sign-in", 303)
    drop_cookie(response, SESSION_COOKIE)
    response.headers["Clear-Site-Data"] = '"cache"'
    return response


async def choose_theme(console: Console, request: Request) -> Response:
    """Keep the chosen theme in a cookie, so that it works without script and never flashes."""
    cookie = request.cookies.get(SESSION_COOKIE, "")
    form = await read_form(request, console.seal, cookie)
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
    """Lead to the sign-in page and back afterwards; a header leads a page there that a script refreshes."""
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


def set_cookie(response: Response, name: str, value: str, *, max_age_s: int) -> None:
    """Set a cookie that no script reads, no other site sends and no plain connection carries."""
    response.set_cookie(name, value, max_age=max_age_s, path="/", secure=True, httponly=True, samesite="strict")


def drop_cookie(response: Response, name: str) -> None:
    """Remove a cookie with the same attributes it was set with."""
    response.delete_cookie(name, path="/", secure=True, httponly=True, samesite="strict")

# SPDX-License-Identifier: Apache-2.0
"""Signing in and out, and the theme: the only places that set cookies."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Literal
from urllib.parse import quote, urlencode, urlsplit
from uuid import UUID

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from armillary.console.frame.console import CLOCKS, Console
from armillary.console.frame.flash import local_path
from armillary.console.frame.guard import (
    CLOCK_COOKIE,
    LANGUAGE_COOKIE,
    SECOND_STEP_COOKIE,
    SESSION_COOKIE,
    SIGN_IN_COOKIE,
    THEME_COOKIE,
    read_form,
)
from armillary.console.language.say import say
from armillary.console.language.translation import LANGUAGES
from armillary.errors import InvalidArgumentError, PermissionDeniedError, UnauthenticatedError
from armillary.identity.signed_in import SignedIn
from armillary.service.people.pending import LIFETIME_S as SECOND_STEP_S
from armillary.service.people.sessions import BY_PROVIDER, BY_TOKEN, LIFETIME_S, MAX_BROWSER_CHARS, From

# The sign-in form may lie open over a lunch; afterwards it is simply made anew.
SIGN_IN_S = 3600
YEAR_S = 365 * 24 * 3600
# Longer than any token that this service makes; what is longer is not looked up.
MAX_SECRET_CHARS = 512
# In the address of the sign-in page: what somebody sent from the page that it leads back to was not taken.
UNSENT = "unsent"
# Where a passkey is asked for after a token (``people/second_step.py``).
SECOND_STEP = "/sign-in/passkey"


async def show_sign_in(console: Console, request: Request) -> Response:
    """The sign-in page."""
    asked = request.query_params
    said = say("You had been signed out, so nothing was changed. Sign in, and you are back at your form.")
    return sign_in_page(console, request, back=asked.get("back", "/fleet"), said=said if UNSENT in asked else "")


def sign_in_page(console: Console, request: Request, *, back: str, said: str = "", status: int = 200) -> Response:
    """The sign-in page, with what went wrong if something did."""
    cookie = request.cookies.get(SIGN_IN_COOKIE) or secrets.token_urlsafe(32)
    response = console.bare_page(
        request,
        "sign_in.html",
        cookie=cookie,
        status=status,
        page={"back": local_path(back), "said": {"kind": "bad", "text": said} if said else None},
        provider=None if console.sources.provider is None else console.sources.provider.label,
    )
    set_cookie(response, SIGN_IN_COOKIE, cookie, max_age_s=SIGN_IN_S)
    return response


async def sign_in(console: Console, request: Request) -> Response:
    """Open a session for a valid token, always under a new name; or lead on to the second step."""
    try:
        form = await read_form(request, console.seal, request.cookies.get(SIGN_IN_COOKIE, ""))
    except PermissionDeniedError:
        return sign_in_page(
            console,
            request,
            back="/fleet",
            said=say("This form was too old or not ours. Please sign in again."),
            status=403,
        )
    back = local_path(form.get("back", "/fleet"))
    secret = form.get("token", "").strip()
    try:
        if not 0 < len(secret) <= MAX_SECRET_CHARS:
            raise UnauthenticatedError("no token was given")  # noqa: TRY301 - same answer as a wrong token
        operator = await run_in_threadpool(console.sources.sign_in.sign_in, secret)
        asked = await run_in_threadpool(_second_step, console, operator, back)
    except UnauthenticatedError:
        return sign_in_page(
            console,
            request,
            back=back,
            said=say("This token is not valid: it is mistyped, has ended or was revoked."),
            status=401,
        )
    if asked is not None:
        response = RedirectResponse(SECOND_STEP, 303)
        set_cookie(response, SECOND_STEP_COOKIE, asked, max_age_s=SECOND_STEP_S)
        return response
    response = RedirectResponse(back, 303)
    open_session(console, request, response, operator, BY_TOKEN)
    return response


def _second_step(console: Console, operator: SignedIn, back: str) -> str | None:
    """What names the second step of a sign-in to its browser; None for a token without passkeys."""
    passkeys = console.sources.passkeys
    return None if passkeys is None else passkeys.begin_sign_in(UUID(operator.token_id), back)


def open_session(console: Console, request: Request, response: Response, operator: SignedIn, method: str) -> None:
    """Open a session, always under a new name; the one that this browser had ends."""
    console.sessions.close(request.cookies.get(SESSION_COOKIE, ""))
    named = request.headers.get("user-agent", "")[:MAX_BROWSER_CHARS]
    browser = "".join(each if each.isprintable() else " " for each in named)
    begun = From("" if request.client is None else request.client.host, browser, method)
    set_cookie(response, SESSION_COOKIE, console.sessions.open(operator, console.now(), begun), max_age_s=LIFETIME_S)
    drop_cookie(response, SIGN_IN_COOKIE)


async def sign_out(console: Console, request: Request) -> Response:
    """End the session, here and in the browser; who signed in by the provider is led to signing out there, too."""
    cookie = request.cookies.get(SESSION_COOKIE, "")
    await read_form(request, console.seal, cookie)
    session = console.sessions.find(cookie, console.now())
    console.sessions.close(cookie)
    by_provider = session is not None and session.begun.method == BY_PROVIDER
    response = RedirectResponse("/signed-out" if by_provider else "/sign-in", 303)
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


async def choose_clock(console: Console, request: Request) -> Response:
    """Keep in a cookie whether exact times are shown in UTC or in the browser's own zone."""
    form = await read_form(request, console.seal, request.cookies.get(SESSION_COOKIE, ""))
    clock = form.get("clock", "")
    if clock not in CLOCKS:
        raise InvalidArgumentError(f"clock: expected utc or local, got {clock[:20]!r}", remedy="Use the button.")
    response = RedirectResponse(local_path(form.get("back", "/fleet")), 303)
    set_cookie(response, CLOCK_COOKIE, clock, max_age_s=YEAR_S)
    return response


async def choose_language(console: Console, request: Request) -> Response:
    """Keep the language of the console in a cookie."""
    return _language_chosen(await read_form(request, console.seal, request.cookies.get(SESSION_COOKIE, "")))


async def choose_language_first(console: Console, request: Request) -> Response:
    """The same on the sign-in page."""
    return _language_chosen(await read_form(request, console.seal, request.cookies.get(SIGN_IN_COOKIE, "")))


def _language_chosen(form: Mapping[str, str]) -> Response:
    language = form.get("language", "")
    if language not in LANGUAGES:
        raise InvalidArgumentError(
            f"language: expected {' or '.join(LANGUAGES)}, got {language[:20]!r}", remedy="Use the button."
        )
    response = RedirectResponse(local_path(form.get("back", "/fleet")), 303)
    set_cookie(response, LANGUAGE_COOKIE, language, max_age_s=YEAR_S)
    return response


def ask_to_sign_in(request: Request, *, back: str = "") -> Response:
    """Lead to the sign-in page and to ``back`` afterwards, by default to the whole address; no form was taken.

    A header leads a page there that htmx refreshes. Another script is told, so that it can say so where somebody works.
    """
    asked = {} if request.method == "GET" else {UNSENT: "1"}
    back = back or (_address_of(request) if request.method == "GET" else _form_of(request))
    if asked or back not in ("/", "/fleet"):
        asked = {"back": back, **asked}
    # Quoted: the path may hold what no header may.
    address = f"/sign-in?{urlencode(asked, safe='/', quote_via=quote)}" if asked else "/sign-in"
    if request.headers.get("hx-request") == "true":
        response = Response(status_code=401, headers={"HX-Redirect": address})
    elif "text/html" not in request.headers.get("accept", "text/html"):
        response = JSONResponse(
            {"message": "You are signed out.", "remedy": "Sign in again in another tab, then try again."}, 401
        )
    else:
        response = RedirectResponse(address, 303)
    if request.cookies.get(SESSION_COOKIE):
        drop_cookie(response, SESSION_COOKIE)
    return response


def _address_of(request: Request) -> str:
    query = request.url.query
    path: str = request.scope["path"]
    return f"{path}?{query}" if query else path


def _form_of(request: Request) -> str:
    """The page that a form was sent from, as its browser says; the fleet where it does not, or names another site."""
    try:
        sent_from = urlsplit(request.headers.get("referer", ""))
    except ValueError:  # a bracket that is not closed, for one
        return "/fleet"
    if sent_from.netloc != request.headers.get("host") or sent_from.path.startswith("/sign-in"):
        return "/fleet"
    return local_path(sent_from.path + (f"?{sent_from.query}" if sent_from.query else ""))


def set_cookie(
    response: Response, name: str, value: str, *, max_age_s: int, same_site: Literal["strict", "lax"] = "strict"
) -> None:
    """Set a cookie that no script reads, no other site sends and no plain connection carries.

    With ``lax`` a browser sends it when a link or redirect of another site leads here.
    """
    response.set_cookie(name, value, max_age=max_age_s, path="/", secure=True, httponly=True, samesite=same_site)


def drop_cookie(response: Response, name: str, *, same_site: Literal["strict", "lax"] = "strict") -> None:
    """Remove a cookie with the same attributes it was set with."""
    response.delete_cookie(name, path="/", secure=True, httponly=True, samesite=same_site)

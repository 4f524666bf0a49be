# SPDX-License-Identifier: Apache-2.0
"""The second step of signing in by a token that has passkeys: the page that asks, and what it sends.

A cookie names the sign-in to its browser; it opens nothing, and its forms are sealed to it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from armillary.console.frame.console import Console
from armillary.console.frame.flash import local_path, told
from armillary.console.frame.guard import SECOND_STEP_COOKIE, read_form
from armillary.console.frame.sign_in import drop_cookie, open_session, sign_in_page
from armillary.console.frame.words import sentence
from armillary.console.language.say import say
from armillary.errors import ConflictError, NotFoundError, PermissionDeniedError
from armillary.service.people.passkeys import Passed, Passkeys
from armillary.service.people.sessions import BY_RECOVERY
from armillary.wire.sign_in.faults import SignInRefusedError

# Where recovery codes are sent.
RECOVERY = "/sign-in/recovery"


async def show(console: Console, request: Request) -> Response:
    """The page that asks for a passkey, or a recovery code; without a sign-in under way the sign-in page."""
    return await _page(console, request, "") or RedirectResponse("/sign-in", 303)


async def by_passkey(console: Console, request: Request) -> Response:
    """Open a session for a passkey's answer."""
    return await _pass(console, request, lambda passkeys, name, form: passkeys.finish(name, form.get("answer", "")))


async def by_code(console: Console, request: Request) -> Response:
    """Open a session for a recovery code."""
    return await _pass(console, request, lambda passkeys, name, form: passkeys.recover(name, form.get("code", "")))


async def _pass(console: Console, request: Request, step: Callable[[Passkeys, str, Any], Passed]) -> Response:
    cookie = request.cookies.get(SECOND_STEP_COOKIE, "")
    try:
        form = await read_form(request, console.seal, cookie)
    except PermissionDeniedError:
        return _begin_again(console, request, say("This form was too old or not ours. Please sign in again."), 403)
    try:
        passed = await run_in_threadpool(step, _passkeys(console), cookie, form)
    except SignInRefusedError as error:
        said = f"{sentence(error.message)} {error.remedy}"
        is_by_code = request.url.path == RECOVERY
        return await _page(console, request, said, 403, is_by_code=is_by_code) or _begin_again(
            console, request, said, 403
        )
    operator = await run_in_threadpool(console.sources.sign_in.of_token, passed.token_id)
    if operator is None:  # revoked since the first step
        return _begin_again(console, request, say("This token is not valid any more."), 401)
    back = local_path(passed.back)
    response = RedirectResponse(told("/account", "recovered") if passed.method == BY_RECOVERY else back, 303)
    open_session(console, request, response, operator, passed.method)
    drop_cookie(response, SECOND_STEP_COOKIE)
    return response


async def _page(
    console: Console, request: Request, said: str, status: int = 200, *, is_by_code: bool = False
) -> Response | None:
    """The page with a new question; None where this browser has no sign-in under way."""
    cookie = request.cookies.get(SECOND_STEP_COOKIE, "")
    try:
        options = await run_in_threadpool(_passkeys(console).request, cookie)
    except ConflictError as error:  # the console has no host name any more: a recovery code is left
        options, said = {}, said or f"{sentence(error.message)} {error.remedy}"
    if options is None:
        return None
    return console.bare_page(
        request,
        "second_step.html",
        cookie=cookie,
        status=status,
        page={"said": {"kind": "bad", "text": said} if said else None},
        options=json.dumps(options) if options else "",
        is_by_code=is_by_code,
    )


def _begin_again(console: Console, request: Request, said: str, status: int) -> Response:
    response = sign_in_page(console, request, back="/fleet", said=said, status=status)
    drop_cookie(response, SECOND_STEP_COOKIE)
    return response


def _passkeys(console: Console) -> Passkeys:
    if console.sources.passkeys is None:
        raise NotFoundError("this console asks for no passkeys", remedy="Sign in with an operator token.")
    return console.sources.passkeys

# SPDX-License-Identifier: Apache-2.0
"""Signing in by the provider: the way there, the way back, and signing out there.

The sign-in page has a link to the way there, not a form: browsers hold redirects after a form to the page's policy
(``form-action 'self'``). A cookie with SameSite=Lax holds the attempt, as the provider leads back from another site;
the session's own cookie stays Strict, so the way back ends on a page of ours that leads on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import anyio
import structlog
from anyio import to_thread
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from armillary.console.frame.console import Console
from armillary.console.frame.flash import local_path
from armillary.console.frame.sign_in import drop_cookie, open_session, set_cookie, sign_in_page
from armillary.console.frame.words import sentence
from armillary.console.language.say import say
from armillary.engines.quota import Quota, address_owner
from armillary.errors import ArmillaryError, NotFoundError
from armillary.service.people.provider import SignInProvider
from armillary.service.people.sessions import BY_PROVIDER
from armillary.service.people.sign_in import NOT_KNOWN
from armillary.wire.sign_in.authorization import LIFETIME_S, MAX_CODE_CHARS
from armillary.wire.sign_in.faults import ProviderError, SignInRefusedError

# Holds the sign-in that is under way; Lax, as the provider leads back from another site.
ATTEMPT_COOKIE: Final = "__Host-armillary-provider"
# Threads that ask the provider, beside those of operators' calls: a provider that hangs holds none of these.
THREADS: Final = 4
# Sign-ins that ask the provider or wait to: of one address, which an office may share, and of all.
MAX_UNDER_WAY: Final = 64
MAX_OF_ADDRESS: Final = 8
SOON_S: Final = 5

T = TypeVar("T")

_log = structlog.get_logger("armillary.sign-in")


class ProviderSignIn:
    """The endpoints of signing in by the provider."""

    def __init__(self) -> None:
        self._quota = Quota("running sign-ins", each=MAX_OF_ADDRESS, total=MAX_UNDER_WAY, retry_after_s=SOON_S)
        self._threads: anyio.CapacityLimiter | None = None

    async def begin(self, console: Console, request: Request) -> Response:
        """Lead the browser to the provider.

        Raises:
            NotFoundError: this service has no provider.
            QuotaExceededError: too many sign in at once.
        """
        provider, back = _provider(console), local_path(request.query_params.get("back", "/fleet"))
        if request.headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            return RedirectResponse("/sign-in", 303)  # only somebody who asked for it is led there
        try:
            begun = await self._asked(request, lambda: provider.begin(back))
        except ProviderError as error:
            return _not_now(console, request, back, error)
        response = RedirectResponse(begun.address, 303)
        set_cookie(response, ATTEMPT_COOKIE, begun.cookie, max_age_s=LIFETIME_S, same_site="lax")
        return response

    async def callback(self, console: Console, request: Request) -> Response:
        """Open a session for somebody whom the provider has led back; always under a new name.

        Raises:
            NotFoundError: this service has no provider.
            QuotaExceededError: too many sign in at once.
        """
        provider, cookie = _provider(console), request.cookies.get(ATTEMPT_COOKIE, "")
        try:
            answer = _answer(request)
            profile, back = await self._asked(request, lambda: provider.finish(cookie, answer))
            operator = await to_thread.run_sync(console.sources.sign_in.person, profile)
        except ProviderError as error:
            response = _not_now(console, request, "/fleet", error)
        except SignInRefusedError as error:
            _log.warning("sign-in-refused", code=error.code, reason=error.message)
            response = _refused(console, request, error, provider)
        else:
            response = console.bare_page(request, "signed_in.html", to=local_path(back), who=operator.title)
            open_session(console, request, response, operator, BY_PROVIDER)
        drop_cookie(response, ATTEMPT_COOKIE, same_site="lax")
        return response

    async def signed_out(self, console: Console, request: Request) -> Response:
        """The page after signing out here, with the way to sign out at the provider."""
        provider = _provider(console)
        address = await self._asked(request, provider.sign_out_address)
        return console.bare_page(request, "signed_out.html", label=provider.label, address=address)

    async def _asked(self, request: Request, question: Callable[[], T]) -> T:
        """The answer of a call that may ask the provider, in one of the few threads for it."""
        owner = address_owner("" if request.client is None else request.client.host)
        self._threads = self._threads or anyio.CapacityLimiter(THREADS)
        self._quota.take(owner)
        try:
            return await to_thread.run_sync(question, limiter=self._threads)
        finally:
            self._quota.free(owner)


def _provider(console: Console) -> SignInProvider:
    if console.sources.provider is None:
        raise NotFoundError("this service has no sign-in provider", remedy="Sign in with an operator token.")
    return console.sources.provider


def _answer(request: Request) -> dict[str, str]:
    """The parameters that came back, each once and bounded (RFC 6749 §3.1)."""
    pairs = request.query_params.multi_items()
    found = dict(pairs)
    if len(found) != len(pairs) or any(len(value) > MAX_CODE_CHARS for value in found.values()):
        raise SignInRefusedError("the answer of the provider has a parameter twice, or one that is too long")
    return found


def _not_now(console: Console, request: Request, back: str, error: ArmillaryError) -> Response:
    said = f"{sentence(error.message)} {error.remedy}"
    return sign_in_page(console, request, back=back, said=said, status=503)


def _refused(console: Console, request: Request, error: SignInRefusedError, provider: SignInProvider) -> Response:
    problem: dict[str, Any] = {
        "code": error.code,
        "title": say("You have no access here.") if error.code == NOT_KNOWN else say("The sign-in was refused."),
        "message": sentence(error.message),
        "remedy": error.remedy,
    }
    return console.bare_page(request, "sign_in_refused.html", status=403, problem=problem, label=provider.label)

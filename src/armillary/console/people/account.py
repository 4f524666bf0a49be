# SPDX-License-Identifier: Apache-2.0
"""One's own account: as whom one is signed in, by which grant one acts, and where else one is signed in."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from starlette.responses import RedirectResponse, Response

from armillary.console.frame.action_checks import Form
from armillary.console.frame.asking import ask, show
from armillary.console.frame.console import Visit
from armillary.console.frame.flash import done
from armillary.console.frame.guard import SESSION_COOKIE
from armillary.console.frame.sheet import Once
from armillary.console.frame.sign_in import set_cookie
from armillary.console.people import pages_account
from armillary.errors import NotFoundError
from armillary.service.people.sessions import LIFETIME_S

PLACE: Final = pages_account.PLACE


def account(visit: Visit) -> Response:
    """The account page."""
    return page(visit)


def page(visit: Visit, once: Once | None = None) -> Response:
    """The account page, with what is shown this once."""
    items = ask(visit, "own_sessions")["items"]
    choices = visit.console.sources.sign_in.choices(visit.operator)
    passkeys = visit.console.sources.passkeys
    keys = None
    if passkeys is not None and visit.operator.token_id:
        token_id = UUID(visit.operator.token_id)
        keys = pages_account.Keys(passkeys.list(token_id), passkeys.codes_left(token_id))
    made = pages_account.account_sheet(visit.operator, choices, items, own_id(visit), visit.now, keys=keys, once=once)
    return show(visit, made)


def act(visit: Visit, form: Form) -> Response:
    """Go on by another of one's own grants."""
    operator = visit.console.sources.sign_in.act(visit.operator, form.get("grant", ""))
    if operator is None:
        raise NotFoundError("you have no such grant", remedy="Reload your account's page.")
    response = done("/fleet", "acting")
    set_cookie(response, SESSION_COOKIE, visit.console.sessions.act_as(visit.cookie, operator), max_age_s=LIFETIME_S)
    return response


def end_session(visit: Visit, _form: Form) -> Response:
    """End one of one's own sessions; the one that asks leads to the sign-in page."""
    session_id = visit.params["session_id"]
    is_this = session_id == own_id(visit)
    ask(visit, "end_own_session", session_id=session_id)
    return RedirectResponse("/sign-in", 303) if is_this else done(PLACE, "session-ended")


def own_id(visit: Visit) -> str:
    """The id of the session that asks."""
    session = visit.console.sessions.find(visit.cookie, visit.now)
    return "" if session is None else str(session.session_id)

# SPDX-License-Identifier: Apache-2.0
"""One's own passkeys: register one, remove one, make recovery codes. For who signed in by a token."""

from __future__ import annotations

import json
from uuid import UUID

from starlette.responses import Response

from armillary.console.frame.action_checks import Form
from armillary.console.frame.confirmation import Confirmation
from armillary.console.frame.console import Visit
from armillary.console.frame.flash import done
from armillary.console.people import account, pages_passkeys as pages
from armillary.console.sources.request_context import uuid_of
from armillary.engines.records.people.passkeys import Passkey
from armillary.errors import ArmillaryError, ConflictError, InvalidArgumentError, NotFoundError
from armillary.service.people.passkeys import Passkeys
from armillary.wire.sign_in.faults import SignInRefusedError


def new(visit: Visit) -> Response:
    """The page that makes a passkey."""
    return _new(visit, "", None)


def register(visit: Visit, form: Form) -> Response:
    """Keep a passkey; with the first its recovery codes are shown, this once."""
    passkeys, token_id = _own(visit)
    name = form.get("name", "").strip()
    try:
        codes = passkeys.register(
            visit.cookie, token_id, name=name, answer=form.get("answer", ""), actor=visit.operator.name
        )
    except (InvalidArgumentError, ConflictError, SignInRefusedError) as error:
        return _new(visit, name, error)
    if not codes:
        return done(account.PLACE, "passkey-registered")
    return account.page(visit, once=pages.codes_once(codes, is_first=True))


def remove_question(visit: Visit) -> Confirmation:
    """What removing a passkey does."""
    found, all_of_them = _named(visit)
    return pages.remove_confirmation(found, is_last=len(all_of_them) == 1)


def remove(visit: Visit, _form: Form) -> Response:
    """Remove a passkey."""
    passkeys, token_id = _own(visit)
    passkeys.remove(token_id, _named(visit)[0].passkey_id, actor=visit.operator.name)
    return done(account.PLACE, "passkey-removed")


def codes_question(visit: Visit) -> Confirmation:
    """What making recovery codes does."""
    passkeys, token_id = _own(visit)
    return pages.codes_confirmation(passkeys.codes_left(token_id))


def make_codes(visit: Visit, _form: Form) -> Response:
    """Make recovery codes and show them this once."""
    passkeys, token_id = _own(visit)
    codes = passkeys.new_codes(token_id, actor=visit.operator.name)
    return account.page(visit, once=pages.codes_once(codes, is_first=False))


def _new(visit: Visit, name: str, wrong: ArmillaryError | None) -> Response:
    passkeys, token_id = _own(visit)
    options = passkeys.begin_registration(visit.cookie, token_id, visit.operator.name)
    view = pages.new_view(json.dumps(options), name, wrong, is_first=not passkeys.list(token_id))
    return visit.page("passkey_new.html", status=400 if wrong else 200, view=view)


def _named(visit: Visit) -> tuple[Passkey, tuple[Passkey, ...]]:
    """The passkey of the address, and all of the token."""
    passkeys, token_id = _own(visit)
    wanted, found = uuid_of("passkey", visit.params["passkey_id"]), passkeys.list(token_id)
    for each in found:
        if each.passkey_id == wanted:
            return each, found
    raise NotFoundError("you have no such passkey", remedy="Reload your account's page.")


def _own(visit: Visit) -> tuple[Passkeys, UUID]:
    if visit.console.sources.passkeys is None or not visit.operator.token_id:
        raise NotFoundError(
            "passkeys are for who signs in by an operator token",
            remedy="Your sign-in provider asks for a second factor, if it is set so there.",
        )
    return visit.console.sources.passkeys, UUID(visit.operator.token_id)

# SPDX-License-Identifier: Apache-2.0
"""One's own account, laid out. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from armillary.console.frame.sheet import Button, Cell, Once, Section, Sheet, text
from armillary.console.frame.states import GOOD, State
from armillary.console.language.say import say
from armillary.console.people import pages_passkeys
from armillary.console.people.pages_people import EVERYWHERE, sessions_section
from armillary.engines.records.people.passkeys import Passkey
from armillary.identity.signed_in import SignedIn

PLACE: Final = "/account"
# How the session that asks was opened, in words.
_HOW: Final[Mapping[str, str]] = {
    "provider": say("by the provider"),
    "passkey": say("by an operator token and a passkey"),
    "recovery-code": say("by an operator token and a recovery code"),
}


class Keys(NamedTuple):
    """A token's passkeys, and how many recovery codes are left."""

    found: Sequence[Passkey]
    codes_left: int


def account_sheet(
    operator: SignedIn,
    choices: Sequence[SignedIn],
    sessions: Sequence[Mapping[str, Any]],
    own: str,
    now: int,
    *,
    keys: Keys | None = None,
    once: Once | None = None,
) -> Sheet:
    """The page: who, what one may, passkeys, where else one is signed in; ``keys`` is None where none can be had."""
    of = operator.scope or EVERYWHERE
    methods = {each["session_id"]: each["method"] for each in sessions}
    how = _HOW.get(str(methods.get(own, "")), say("by an operator token"))
    return Sheet(
        place=say("Your account"),
        title=say("You are {name}, {role} of {where}.", name=operator.title, role=operator.role, where=of),
        detail=say("Signed in {how}. The audit log calls you {name}.", how=how, name=operator.name),
        crumbs=((say("Your account"), ""),),
        once=once,
        notices=pages_passkeys.notices(keys.codes_left) if keys and keys.found else (),
        buttons=_key_buttons(keys) if keys else (),
        sections=(
            *((_grants(operator, choices),) if operator.person_id else ()),
            *((pages_passkeys.section(keys.found, now),) if keys else ()),
            sessions_section(sessions, own=own, now=now, ends=f"{PLACE}/sessions", asks=False),
        ),
        within="",
    )


def _key_buttons(keys: Keys) -> tuple[Button, ...]:
    codes = Button(label=say("New recovery codes"), href=pages_passkeys.CODES)
    return (Button(label=say("Register a passkey"), href=pages_passkeys.NEW), *((codes,) if keys.found else ()))


def _grants(operator: SignedIn, choices: Sequence[SignedIn]) -> Section:
    return Section(
        title=say("What you may"),
        note=say("you act by one of these at a time, and see what it reaches"),
        columns=(say("Role"), say("Of"), ""),
        rows=[
            (
                text(each.role),
                text(each.scope or EVERYWHERE),
                Cell(state=State(GOOD, say("in use")))
                if each.grant_id == operator.grant_id
                else Cell(text=say("Use this"), post=f"{PLACE}/act", fields=(("grant", each.grant_id),)),
            )
            for each in choices
        ],
        none=say("Nothing."),
    )

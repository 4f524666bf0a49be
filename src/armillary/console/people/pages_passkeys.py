# SPDX-License-Identifier: Apache-2.0
"""Passkeys, laid out. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from armillary.console.frame.confirmation import Confirmation, touching
from armillary.console.frame.sheet import Cell, Once, Section, text
from armillary.console.frame.words import counted, grouped, moment, sentence
from armillary.console.language.say import apart, say, say_count
from armillary.engines.records.people.passkeys import Passkey
from armillary.errors import ArmillaryError

ACCOUNT: Final = "/account"
PLACE: Final = f"{ACCOUNT}/passkeys"
NEW: Final = f"{ACCOUNT}/new-passkey"
CODES: Final = f"{ACCOUNT}/recovery-codes"
# Fewer codes than this are worth a notice.
FEW_CODES: Final = 3
_CODES: Final = say("These recovery codes are shown this once: print them, or keep them in a password manager.")


def section(found: Sequence[Passkey], now: int) -> Section:
    """The token's passkeys."""
    return Section(
        title=say("Passkeys"),
        anchor="passkeys",
        note=say("asked for after the token, in this console alone: scripts and the command line are not asked"),
        columns=(say("Passkey"), say("Registered"), say("Last used"), ""),
        rows=[
            (
                text(each.name),
                Cell(at=moment(each.created_at, now)),
                Cell(at=moment(each.used_at, now), text=say("never")),
                text(say("Remove"), href=f"{PLACE}/{each.passkey_id}/remove"),
            )
            for each in found
        ],
        none=say(
            "None: whoever has the token can sign in. Register a passkey, and the token alone opens this "
            "console no longer."
        ),
    )


def notices(codes_left: int) -> tuple[tuple[str, str], ...]:
    """What has to be said of recovery codes that run out."""
    if codes_left >= FEW_CODES:
        return ()
    left = counted(codes_left, "recovery code is left", "recovery codes are left") if codes_left else None
    return (
        (
            "attention",
            say("{left}. Create new ones before you lose the passkey.", left=left or say("No recovery code is left")),
        ),
    )


def new_view(options: str, name: str, wrong: ArmillaryError | None, *, is_first: bool) -> Mapping[str, Any]:
    """The page that makes a passkey; ``options`` is what the browser makes it of, JSON."""
    return {
        "options": options,
        "name": name,
        "wrong": None if wrong is None else (sentence(wrong.message), wrong.remedy),
        "is_first": is_first,
        "post": NEW,
        "back": ACCOUNT,
    }


def codes_once(codes: Sequence[str], *, is_first: bool) -> Once:
    """Recovery codes that were just made."""
    what = (
        say("The passkey is registered; other sessions of this token have ended.")
        if is_first
        else say("New codes are made.")
    )
    return Once(
        says=apart([what, _CODES], " "),
        lines=((say("Each opens the console once, after the token, when the passkey is lost"), "\n".join(codes)),),
    )


def remove_confirmation(found: Passkey, *, is_last: bool) -> Confirmation:
    """What removing a passkey does."""
    after = (
        say("It is the last one: afterwards the token alone opens this console, and its recovery codes are void.")
        if is_last
        else say("It opens this console no longer.")
    )
    return Confirmation(
        title=say("Remove the passkey {name}?", name=found.name),
        touches=touching(
            say("The passkey {name} of the token that you signed in with.", name=found.name),
            after,
            say("Open sessions, and the key itself: delete it in its device, too."),
            say("Register it again."),
        ),
        label=say("Remove"),
        danger=True,
        post=f"{PLACE}/{found.passkey_id}/remove",
        back=ACCOUNT,
    )


def codes_confirmation(left: int) -> Confirmation:
    """What making recovery codes does."""
    return Confirmation(
        title=say("Create new recovery codes?"),
        touches=touching(
            say_count(
                left,
                "{count} recovery code that is left.",
                "{count} recovery codes that are left.",
                count=grouped(left),
            ),
            say("Ten new ones are shown once. Those before are void."),
            say("Passkeys and open sessions."),
            say("Cannot be undone; create new ones again."),
        ),
        label=say("Create codes"),
        post=CODES,
        back=ACCOUNT,
    )

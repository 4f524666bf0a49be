# SPDX-License-Identifier: Apache-2.0
"""Passkeys, laid out. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from armillary.console.frame.confirmation import Confirmation, touching
from armillary.console.frame.sheet import Cell, Once, Section, text
from armillary.console.frame.words import counted, moment, sentence
from armillary.engines.records.people.passkeys import Passkey
from armillary.errors import ArmillaryError

ACCOUNT: Final = "/account"
PLACE: Final = f"{ACCOUNT}/passkeys"
NEW: Final = f"{ACCOUNT}/new-passkey"
CODES: Final = f"{ACCOUNT}/recovery-codes"
# Fewer codes than this are worth a notice.
FEW_CODES: Final = 3


def section(found: Sequence[Passkey], now: int) -> Section:
    """The token's passkeys."""
    return Section(
        title="Passkeys",
        anchor="passkeys",
        note="asked for after the token, in this console alone: scripts and the command line are not asked",
        columns=("Passkey", "Registered", "Last used", ""),
        rows=[
            (
                text(each.name),
                Cell(at=moment(each.created_at, now)),
                Cell(at=moment(each.used_at, now), text="never"),
                text("Remove", href=f"{PLACE}/{each.passkey_id}/remove"),
            )
            for each in found
        ],
        none="None: whoever has the token can sign in. Register a passkey, and the token alone opens this console no "
        "longer.",
    )


def notices(codes_left: int) -> tuple[tuple[str, str], ...]:
    """What has to be said of recovery codes that run out."""
    if codes_left >= FEW_CODES:
        return ()
    left = counted(codes_left, "recovery code is left", "recovery codes are left") if codes_left else None
    return (("attention", f"{left or 'No recovery code is left'}. Create new ones before you lose the passkey."),)


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
    what = "The passkey is registered; other sessions of this token have ended." if is_first else "New codes are made."
    return Once(
        says=f"{what} These recovery codes are shown this once: print them, or keep them in a password manager.",
        lines=(("Each opens the console once, after the token, when the passkey is lost", "\n".join(codes)),),
    )


def remove_confirmation(found: Passkey, *, is_last: bool) -> Confirmation:
    """What removing a passkey does."""
    after = (
        "It is the last one: afterwards the token alone opens this console, and its recovery codes are void."
        if is_last
        else "It opens this console no longer."
    )
    return Confirmation(
        title=f"Remove the passkey {found.name}?",
        touches=touching(
            f"The passkey {found.name} of the token that you signed in with.",
            after,
            "Open sessions, and the key itself: delete it in its device, too.",
            "Register it again.",
        ),
        label="Remove",
        danger=True,
        post=f"{PLACE}/{found.passkey_id}/remove",
        back=ACCOUNT,
    )


def codes_confirmation(left: int) -> Confirmation:
    """What making recovery codes does."""
    return Confirmation(
        title="Create new recovery codes?",
        touches=touching(
            f"{counted(left, 'recovery code')} that {'is' if left == 1 else 'are'} left.",
            "Ten new ones are shown once. Those before are void.",
            "Passkeys and open sessions.",
            "Cannot be undone; create new ones again.",
        ),
        label="Create codes",
        post=CODES,
        back=ACCOUNT,
    )

# SPDX-License-Identifier: Apache-2.0
"""Addresses of people, sessions and one's own account."""

from __future__ import annotations

from typing import Final

from armillary.console.frame.asking import asks
from armillary.console.frame.rows import Change, Changer, Reader
from armillary.console.people import account, pages_passkeys, passkeys, people

_ONE: Final = "/people/{person_id}"
_REVOKE: Final = f"{_ONE}/grants/{{grant_id}}/revoke"
_END: Final = "/sessions/{session_id}/end"
_PASSKEY: Final = f"{pages_passkeys.PLACE}/{{passkey_id}}/remove"

READ: tuple[tuple[str, Reader], ...] = (
    ("/people", people.people),
    (_ONE, people.person),
    ("/sessions", people.sessions),
    ("/account", account.account),
)
EDIT: tuple[tuple[str, Reader, Change], ...] = (
    (_REVOKE, asks(people.revoke_question), "revoke_grant"),
    (f"{_ONE}/{{verb}}", asks(people.question), people.of_verb),
    (_END, asks(people.end_question), "end_session"),
    (pages_passkeys.NEW, passkeys.new, "own_sessions"),
    (pages_passkeys.CODES, asks(passkeys.codes_question), "own_sessions"),
    (_PASSKEY, asks(passkeys.remove_question), "own_sessions"),
)
CHANGE: tuple[tuple[str, Changer, Change], ...] = (
    ("/people", people.invite, "invite_person"),
    (f"{_ONE}/grants", people.grant, "grant_person"),
    (_REVOKE, people.revoke, "revoke_grant"),
    (f"{_ONE}/{{verb}}", people.change, people.of_verb),
    (_END, people.end_session, "end_session"),
    (pages_passkeys.NEW, passkeys.register, "own_sessions"),
    (pages_passkeys.CODES, passkeys.make_codes, "own_sessions"),
    (_PASSKEY, passkeys.remove, "own_sessions"),
    ("/account/act", account.act, "own_sessions"),
    ("/account/sessions/{session_id}/end", account.end_session, "end_own_session"),
)

# SPDX-License-Identifier: Apache-2.0
"""People and sessions, of all catalogs or of one, read and changed as the API does it, under the operator's name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from armillary.console.frame.action_checks import Form, confirmed, verb_of
from armillary.console.frame.asking import ask, show
from armillary.console.frame.confirmation import Confirmation
from armillary.console.frame.console import Visit
from armillary.console.frame.flash import done
from armillary.console.frame.form import Wrong, wrong_of
from armillary.console.people import account, pages_people
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError

_WRONG = (ConflictError, InvalidArgumentError, NotFoundError)


def people(visit: Visit) -> Response:
    """Everybody, or the people of the operator's catalog."""
    return _people(visit, {}, None)


def person(visit: Visit) -> Response:
    """One person."""
    return _person(visit, None)


def invite(visit: Visit, form: Form) -> Response:
    """Invite somebody, with a first grant."""
    try:
        made = ask(visit, "invite_person", **pages_people.invited(form))
    except _WRONG as error:
        return _people(visit, form, wrong_of(error))
    return done(pages_people.place(made["person_id"]), "person-invited")


def grant(visit: Visit, form: Form) -> Response:
    """Grant a person a role."""
    person_id = _found(visit)["person_id"]
    try:
        ask(visit, "grant_person", person_id=person_id, granted=pages_people.granted(form))
    except _WRONG as error:
        return _person(visit, wrong_of(error))
    return done(pages_people.place(person_id), "person-granted")


def revoke_question(visit: Visit) -> Confirmation:
    """What taking a grant back does."""
    found, wanted = _found(visit), visit.params["grant_id"]
    grant = next((each for each in found["grants"] if each["grant_id"] == wanted), None)
    if grant is None:
        raise NotFoundError("no such grant of this person", remedy="Reload the person's page.")
    return pages_people.revoke_confirmation(found, grant)


def revoke(visit: Visit, form: Form) -> Response:
    """Take a grant back."""
    asked, found = revoke_question(visit), _found(visit)
    confirmed(asked, form)
    ask(visit, "revoke_grant", person_id=visit.params["person_id"], grant_id=visit.params["grant_id"])
    is_gone = visit.operator.catalog is not None and len(found["grants"]) == 1  # with the last one of the catalog
    return done(pages_people.LIST if is_gone else asked.back, "grant-revoked")


def of_verb(visit: Visit) -> str:
    """The change that an address asks for; one that there is not is asked for as the gravest."""
    return pages_people.CHANGES.get(visit.params["verb"], "remove_person")


def question(visit: Visit) -> Confirmation:
    """What disabling, enabling or removing a person does."""
    verb = verb_of(visit, pages_people.CHANGES, "people", "person's page")
    found = _found(visit)
    return pages_people.confirmation(found, verb, len(_sessions_of(visit, found)), visit.operator.catalog_name)


def change(visit: Visit, form: Form) -> Response:
    """Disable, enable or remove a person."""
    asked, verb = question(visit), visit.params["verb"]
    confirmed(asked, form)
    person_id = visit.params["person_id"]
    if verb == "remove":
        ask(visit, "remove_person", person_id=person_id)
        return done(pages_people.LIST, "person-removed")
    ask(visit, "set_person_state", person_id=person_id, state="active" if verb == "enable" else "disabled")
    return done(asked.back, f"person-{verb}d")


def sessions(visit: Visit) -> Response:
    """Who is signed in now."""
    items = ask(visit, "list_sessions")["items"]
    return show(visit, pages_people.sessions_sheet(items, account.own_id(visit), visit.now))


def end_question(visit: Visit) -> Confirmation:
    """What ending a session does."""
    wanted = visit.params["session_id"]
    found = next((each for each in ask(visit, "list_sessions")["items"] if each["session_id"] == wanted), None)
    if found is None:
        raise NotFoundError("this session is not open", remedy="Reload the list of sessions.")
    return pages_people.end_confirmation(found, own=wanted == account.own_id(visit))


def end_session(visit: Visit, form: Form) -> Response:
    """End somebody's session."""
    confirmed(end_question(visit), form)
    ask(visit, "end_session", session_id=visit.params["session_id"])
    return done(pages_people.SESSIONS, "session-ended")


def _people(visit: Visit, sent: Mapping[str, str], wrong: Wrong | None) -> Response:
    found, places = ask(visit, "list_people"), ask(visit, "grant_places")
    made = pages_people.list_sheet(found["items"], found["provider"], places, sent=sent, wrong=wrong, now=visit.now)
    return show(visit, made, 400 if wrong else 200)


def _person(visit: Visit, wrong: Wrong | None) -> Response:
    found = _found(visit)
    mine, places = _sessions_of(visit, found), ask(visit, "grant_places")
    made = pages_people.person_sheet(found, mine, places, wrong=wrong, now=visit.now)
    return show(visit, made, 400 if wrong else 200)


def _found(visit: Visit) -> dict[str, Any]:
    return ask(visit, "show_person", person_id=visit.params["person_id"])


def _sessions_of(visit: Visit, found: Mapping[str, Any]) -> list[dict[str, Any]]:
    items = ask(visit, "list_sessions")["items"]
    return [each for each in items if each["person_id"] == found["person_id"]]

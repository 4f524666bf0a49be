# SPDX-License-Identifier: Apache-2.0
"""A person of an owner's catalog, who is signed in to the console."""

from __future__ import annotations

import time
import uuid

from tests.api.running_service import RunningService

from armillary.engines.records.people import passkeys, people
from armillary.engines.records.people.passkeys import Passkey
from armillary.engines.records.people.people import Person
from armillary.identity.operator import Operator
from armillary.identity.signed_in import SignedIn
from armillary.service.people.granting import Wanted
from armillary.service.people.table_views import Owner


def signed_in_person(running: RunningService, word: str, ids: dict[str, str]) -> SignedIn:
    """An Administrator of a catalog by a provider; ``ids`` get those of person, grant, session and saved view."""
    service, catalog, now = running.service, ids["catalog"], int(time.time())
    login = f"{word}@people.example"
    person = Person(
        person_id=uuid.uuid4(), login=login, name=f"{word} person", email=login, issuer=None, subject=None,
        state="active", created_at=now, created_by="test", signed_in_at=now,
    )  # fmt: skip
    service.context.records.write(lambda connection: people.add(connection, person))
    everything = Operator("test", "Administrator", None, None)
    grant = service.people.grant(person.person_id, Wanted("Administrator", catalog), by=everything)
    assert grant.catalog_id is not None
    service.people.sign_ins.acts(person.person_id, grant.grant_id)
    service.people.grant(person.person_id, Wanted("Reader", catalog), by=everything)  # with one revoked, one is left
    who = SignedIn(
        login, "Administrator", grant.catalog_id, None, "", catalog, None, str(person.person_id), str(grant.grant_id)
    )
    service.sessions.open(who, now)
    (session,) = (each for each in service.sessions.list(now) if each.operator == who)
    owner = Owner(person.person_id, login, str(grant.catalog_id))
    view = service.table_views.save(owner, "/alerts", f"{word} view", f"rule={word}")
    ids["view_id"] = str(view.view_id)
    token = service.tokens.create(f"{word} keyed", "Administrator", actor="test", catalog=catalog).token
    passkey = Passkey(
        passkey_id=uuid.uuid4(), token_id=token.token_id, name=f"{word} passkey", credential_id=uuid.uuid4().bytes,
        public_key=b"", sign_count=0, created_at=now, used_at=None,
    )  # fmt: skip
    service.context.records.write(lambda connection: passkeys.add(connection, passkey))
    ids["passkey_id"] = str(passkey.passkey_id)
    # What administrators of the catalog call the person by; those of all catalogs understand it as well.
    known = service.people.ids_in(grant.catalog_id)[person.person_id]
    made = {
        "person_id": known,
        "whole_person_id": person.person_id,
        "grant_id": grant.grant_id,
        "session_id": session.session_id,
    }
    ids |= {name: str(value) for name, value in made.items()}
    return who

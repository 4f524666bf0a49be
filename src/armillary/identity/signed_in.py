# SPDX-License-Identifier: Apache-2.0
"""Who is signed in to the console: by a token, or as a person by one grant."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from armillary.identity.operator import Operator


@dataclass(frozen=True, slots=True)
class SignedIn(Operator):
    """An operator who signed in to the console.

    Attributes:
        token_id: Which token, "" for a person; asked for again at every request.
        catalog_name, organisation_name: What the catalog and organisation are called; None for all.
        person_id, grant_id: Which person, by which grant; "" for a token. Asked for again at every request.
        shown: What a person is called; "" where only the login is known.
    """

    token_id: str
    catalog_name: str | None
    organisation_name: str | None
    person_id: str = ""
    grant_id: str = ""
    shown: str = ""

    @property
    def catalog_id(self) -> UUID | None:
        """The operator's catalog, as limits of callers count it (``api/http/callers.py``)."""
        return self.catalog

    @property
    def scope(self) -> str:
        """For whom the operator is signed in: ``Contoso``, ``Kitchens of Contoso``; empty for all catalogs."""
        return " of ".join(each for each in (self.organisation_name, self.catalog_name) if each)

    @property
    def owner(self) -> str:
        """The id of the person or the token: whose sessions are whose."""
        return self.person_id or self.token_id

    @property
    def title(self) -> str:
        """What pages call the operator."""
        return self.shown or self.name

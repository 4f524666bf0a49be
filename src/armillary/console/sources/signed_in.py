# SPDX-License-Identifier: Apache-2.0
"""Who is signed in to the console."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from armillary.errors import PermissionDeniedError
from armillary.identity.operator import Operator

Document = dict[str, Any]

# Code of a refusal of what the operator's token is not for.
NOT_FOR_ONE: Final = "console.not-for-one"


@dataclass(frozen=True, slots=True)
class SignedIn(Operator):
    """An operator who signed in to the console.

    Attributes:
        token_id: Which token; asked for again at every request.
        catalog_name, organisation_name: What the catalog and organisation are called; None for all.
    """

    token_id: str
    catalog_name: str | None
    organisation_name: str | None

    @property
    def catalog_id(self) -> UUID | None:
        """The operator's catalog, as limits of callers count it (``api/http/callers.py``)."""
        return self.catalog

    @property
    def scope(self) -> str:
        """For whom the operator is signed in: ``Contoso``, ``Kitchens of Contoso``; empty for all catalogs."""
        return " of ".join(each for each in (self.organisation_name, self.catalog_name) if each)


def role_refused(operator: Operator) -> PermissionDeniedError:
    """The error for what an operator's role does not allow."""
    return PermissionDeniedError(
        f"the role {operator.role} of {operator.name} does not allow this. Nothing was changed."
    )

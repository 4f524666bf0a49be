# SPDX-License-Identifier: Apache-2.0
"""Who acts: made of a token row, never without its limits."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from uuid import UUID

import pytest

from armillary.api.http.callers import operator_of
from armillary.engines.records.schema.rows import Token
from armillary.identity.operator import Operator

CATALOG = UUID(int=7)


def test_operator_has_the_name_role_and_limits_of_the_token():
    token = Token(
        token_id=UUID(int=1),
        name="ada",
        role="Contributor",
        created_at=100,
        created_by="root",
        expires_at=None,
        last_used_at=None,
        revoked_at=None,
        catalog_id=CATALOG,
        organisation="north",
    )

    assert operator_of(token) == Operator("ada", "Contributor", CATALOG, "north")


def test_organisation_without_its_catalog_is_no_operator():
    with pytest.raises(ValueError, match="one catalog"):
        Operator("ada", "Reader", None, "north")


def test_nobody_widens_the_limits_of_an_operator():
    operator = Operator("ada", "Reader", CATALOG, None)

    with pytest.raises(FrozenInstanceError):
        operator.catalog = None  # type: ignore[misc]

# SPDX-License-Identifier: Apache-2.0
"""By which of several grants somebody is signed in: nobody is led into a catalog that has granted most."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from armillary.console.sources.sources import ServiceSignIn
from armillary.identity.operator import Operator
from armillary.identity.person import Profile
from armillary.service.assemble import SecurityService
from armillary.service.people.granting import Wanted
from armillary.settings import Settings

ISSUER = "https://login.example"
FIRST = Operator("first", "Administrator", None, None)
ANN = Profile(issuer=ISSUER, subject="ann", email="ann@x.example", name="Ann", groups=())


@pytest.fixture
def service(tmp_path: Path) -> Iterator[SecurityService]:
    settings = Settings(data=tmp_path / "data", oidc_issuer=ISSUER, oidc_client_id="armillary")
    found = SecurityService.open(settings, clock=partial(next, count(1_800_000_000)))  # each moment is a later one
    for name in ("alpha", "beta"):
        found.registry.catalogs.create(name, actor="test", resource_group="rg")
    yield found
    found.context.records.close()
    found.authority.close()
    found.context.folder.close()


def test_the_catalog_that_knew_the_person_or_was_acted_for_last_goes_first(service: SecurityService) -> None:
    platform = SimpleNamespace(organisations=SimpleNamespace(all=dict))
    sign_in = ServiceSignIn(service, cast("Any", platform))
    boss = Operator("boss", "Administrator", service.registry.catalogs.get("beta").catalog_id, None)
    known = service.people.invite(email="ann@x.example", granted=Wanted("Reader", "alpha"), by=FIRST)
    lure = service.people.invite(email="ann@x.example", granted=Wanted("Administrator", "beta"), by=boss)
    first = sign_in.person(ANN)
    assert (first.catalog_name, first.role) == ("alpha", "Reader"), "not where the higher role is"
    assert {each.catalog_name for each in sign_in.choices(first)} == {"alpha", "beta"}
    second = sign_in.act(first, str(lure.grants[0].grant_id))
    assert second is not None
    assert sign_in.person(ANN).catalog_name == "beta", "of her own choice"
    assert sign_in.act(second, "no id") is None
    service.people.grant(known.person.person_id, Wanted("Contributor", "beta"), by=FIRST)
    assert sign_in.person(ANN).role == "Administrator", "in one catalog the widest"
    service.people.grant(known.person.person_id, Wanted("Reader"), by=FIRST)
    assert sign_in.person(ANN).catalog_name is None, "a role of all catalogs goes before those of one"

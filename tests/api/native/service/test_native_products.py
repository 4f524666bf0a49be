# SPDX-License-Identifier: Apache-2.0
"""What is declared of products over the operator API."""

from __future__ import annotations

import pytest
from tests.api.running_service import CATALOGS, VERSION, RunningService, fresh


def test_facts_are_declared_read_and_listed(service: RunningService, catalog: str) -> None:
    name = fresh("Lamp").replace("-", " ")
    service.service.registry.products.create(catalog, name, actor="test")
    path = f"/api/v1/catalogs/{catalog}/products/{name.replace(' ', '%20')}"
    assert service.call("GET", path).body["contact"] == ""
    body = {"support_ends": 1_990_000_000, "contact": "security@contoso.example"}
    made = service.call("PATCH", path, body)
    assert (made.status, made.body["support_ends"], made.body["manufacturer"]) == (200, 1_990_000_000, "")
    again = service.call("PATCH", path, {"support_ends": None}).body
    assert (again["support_ends"], again["contact"]) == (None, "security@contoso.example")
    listed = service.call("GET", f"/api/v1/products?catalog={catalog}&support=undeclared").body["items"]
    assert [(one["name"], one["support"], one["days_left"]) for one in listed if one["name"] == name] == [
        (name, "undeclared", None)
    ]
    assert service.call("GET", f"/api/v1/products?catalog={catalog}&support=ended").body["items"] == []
    azure = service.call("GET", f"{CATALOGS}/{catalog}/products/{name.replace(' ', '%20')}?{VERSION}").body
    assert set(azure["properties"]) == {"description", "provisioningState"}, "as Azure's clients know it"


@pytest.mark.parametrize(
    "body",
    [
        {"suport_ends": 1},
        {"support_ends": 0},
        {"support_ends": True},
        {"support_ends": "2031-12-31"},
        {"placed_on_market": 10**15},
        {"manufacturer": "x" * 201},
        {"manufacturer": "a\x00"},
        {"contact": None},
        [],
    ],
)
def test_what_is_no_fact_is_refused(service: RunningService, catalog: str, body: object) -> None:
    service.service.registry.products.create(catalog, "Lamp", actor="test")
    refused = service.call("PATCH", f"/api/v1/catalogs/{catalog}/products/Lamp", body)
    assert refused.status in (400, 422)
    assert refused.body["detail"]

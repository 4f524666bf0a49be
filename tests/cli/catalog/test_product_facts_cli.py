# SPDX-License-Identifier: Apache-2.0
"""``armillary product`` with what is declared of a product, as people type it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.api.running_service import RunningService
from tests.cli.conftest import Command
from tests.fixtures.waiting import wait_until


@pytest.fixture
def product(service: RunningService, catalog: str) -> str:
    service.service.registry.products.create(catalog, "Gateway", actor="test")
    return "Gateway"


def test_facts_are_declared_shown_and_listed(armillary: Command, catalog: str, product: str) -> None:
    where = ("-c", catalog, "-p", product)
    bare = armillary("product", "show", *where, "--json").json
    assert bare["facts"]["support_ends"] is None
    assert bare["properties"]["description"] == ""
    declared = armillary(
        "product", "update", *where, "--support-ends", "2031-12-31", "--placed-on-market", "2026-03-01",
        "--manufacturer", "Contoso Ltd", "--contact", "security@contoso.example", "--description", "a gateway",
    )  # fmt: skip
    lines = dict(line.split(maxsplit=1) for line in declared.out.splitlines())
    assert lines["support_ends"] == "2031-12-31T23:59:59Z"
    assert lines["placed_on_market"] == "2026-03-01T00:00:00Z"
    assert (lines["manufacturer"], lines["description"]) == ("Contoso Ltd", "a gateway")
    shown = armillary("product", "show", *where)
    assert "2031-12-31T23:59:59Z" in shown.out
    (listed,) = armillary("product", "list", "-c", catalog, "--support", "supported", "--json").json
    assert (listed["name"], listed["devices"]) == (product, 0)
    assert "supported" in armillary("product", "list", "-c", catalog, "--support", "supported").out
    assert armillary("product", "list", "-c", catalog, "--support", "ended", "--json").json == []
    cleared = armillary("product", "update", *where, "--support-ends", "", "--json").json
    assert (cleared["support_ends"], cleared["manufacturer"]) == (None, "Contoso Ltd")


def test_an_end_that_is_near_becomes_a_finding_in_the_running_service(
    armillary: Command, service: RunningService, catalog: str, product: str
) -> None:
    soon = (datetime.now(UTC) + timedelta(days=20)).strftime("%Y-%m-%d")
    armillary("product", "update", "-c", catalog, "-p", product, "--support-ends", soon)
    service.service.support_ends.begin_anew()  # after it: a look in between is the last one for minutes

    def found() -> list[dict[str, Any]]:
        path = f"/api/v1/findings?kind=support-ending&catalog={catalog}"
        return list(service.call("GET", path).body["items"])

    wait_until(found, "the finding")
    assert [(each["severity"], product in each["title"]) for each in found()] == [("high", True)]
    assert armillary("product", "list", "-c", catalog, "--support", "ending", "--json").json[0]["name"] == product


def test_a_description_alone_goes_the_way_that_azures_clients_take(
    armillary: Command, catalog: str, product: str
) -> None:
    changed = armillary("product", "update", "-c", catalog, "-p", product, "--description", "x", "--json").json
    assert changed["properties"]["description"] == "x"


def test_wrong_facts_are_said(armillary: Command, catalog: str, product: str) -> None:
    where = ("-c", catalog, "-p", product)
    assert armillary("product", "update", *where).code == 2
    wrong = armillary("product", "update", *where, "--support-ends", "soon")
    assert (wrong.code, "--support-ends" in wrong.err) == (1, True)
    assert armillary("product", "update", *where, "--manufacturer", "x" * 201).code == 1

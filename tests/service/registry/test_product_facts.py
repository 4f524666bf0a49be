# SPDX-License-Identifier: Apache-2.0
"""What is declared of products: kept as given, in the audit log, and where their support stands."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st
from tests.fixtures.clocks import Clock

from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError
from armillary.service.registry.product_facts import DAY_S, ENDING_S, MAX_TIME, SUPPORT_STATES, support_state
from armillary.sim.device.service_host import ServiceHost

TIMES = st.integers(1, MAX_TIME)


def test_facts_are_kept_and_what_is_not_named_stays(host: ServiceHost) -> None:
    products = host.service.registry.products
    before = products.get("Contoso", "Kettle")
    assert (before.support_ends, before.placed_on_market, before.manufacturer) == (None, None, "")
    said: dict[str, Any] = {
        "support_ends": 1_990_000_000,
        "placed_on_market": 1_790_000_000,
        "manufacturer": "Contoso Ltd",
        "contact": "security@contoso.example",
        "intended_use": "Boils water.\nIndoors.",
    }
    made = products.declare("contoso", "KETTLE", said, actor="ann")
    assert {name: getattr(made, name) for name in said} == said
    (line,) = host.service.audit.list(limit=1).items
    assert (line.actor, line.operation, line.target, dict(line.detail)) == (
        "ann",
        "product.declare",
        "Contoso/Kettle",
        said,
    )
    again = products.declare("Contoso", "Kettle", {"support_ends": None, "contact": ""}, actor="ann")
    assert (again.support_ends, again.contact, again.manufacturer) == (None, "", "Contoso Ltd")
    assert products.update("Contoso", "Kettle", description="hot", actor="ann").manufacturer == "Contoso Ltd"


@pytest.mark.parametrize(
    "wrong",
    [
        {"support_ends": 0},
        {"support_ends": True},
        {"support_ends": MAX_TIME + 1},
        {"placed_on_market": "2026"},
        {"manufacturer": "x" * 201},
        {"manufacturer": None},
        {"contact": "a\x00b"},
        {"contact": "a\u202eb"},
        {"intended_use": "x" * 1001},
        {"suport_ends": 1},
        {"description": "x"},
        {"support_ends": 10, "placed_on_market": 10},
    ],
)
def test_what_is_no_fact_is_refused_and_nothing_of_it_is_kept(host: ServiceHost, wrong: dict[str, object]) -> None:
    products, lines = host.service.registry.products, host.service.audit.list(limit=1).items
    before = products.get("Contoso", "Kettle")
    with pytest.raises(InvalidArgumentError) as refused:
        products.declare("Contoso", "Kettle", {"manufacturer": "Good", **wrong}, actor="ann")
    assert refused.value.remedy
    assert products.get("Contoso", "Kettle") == before
    assert host.service.audit.list(limit=1).items == lines


def test_a_product_that_is_none_has_no_facts(host: ServiceHost) -> None:
    products = host.service.registry.products
    with pytest.raises(NotFoundError):
        products.declare("Contoso", "Teapot", {}, actor="ann")
    with pytest.raises(ConflictError):
        products.declare("Contoso", ".default", {"contact": "x"}, actor="ann")


def test_products_are_listed_by_where_their_support_stands(host: ServiceHost, clock: Clock) -> None:
    registry, now = host.service.registry, int(clock())
    registry.catalogs.create("Fabrikam", actor="t")
    for name, ends in (("Ended", now), ("Ending", now + ENDING_S), ("Good", now + ENDING_S + 1)):
        registry.products.create("Contoso", name, actor="t")
        registry.products.declare("Contoso", name, {"support_ends": ends}, actor="t")
    device = host.device(b"1" * 32)
    registry.devices.claim("Contoso", [device.device_id], actor="t", product="Kettle", group="Production")
    shown = {each.product.name: each for each in registry.products.with_support("contoso")}
    assert {name: (one.support, one.days_left, one.devices) for name, one in shown.items()} == {
        "Ended": ("ended", 0, 0),
        "Ending": ("ending", 180, 0),
        "Good": ("supported", 180, 0),
        "Kettle": ("undeclared", None, 1),
    }
    assert [one.product.name for one in registry.products.with_support(state="ended")] == ["Ended"]
    assert registry.products.with_support("Fabrikam") == ()
    assert len(registry.products.with_support()) == 4
    with pytest.raises(InvalidArgumentError, match="undeclared"):
        registry.products.with_support(state="clean")


@given(ends=st.none() | TIMES, now=TIMES)
def test_support_only_ever_moves_on(ends: int | None, now: int) -> None:
    found = support_state(ends, now)
    later = support_state(ends, now + DAY_S)
    assert SUPPORT_STATES.index(later) >= SUPPORT_STATES.index(found)
    assert (found == "undeclared") == (ends is None)
    assert (found == "ended") == (ends is not None and ends <= now)

# SPDX-License-Identifier: Apache-2.0
"""Files that people send to the console and tables that they take from it count against the limits of a caller."""

from __future__ import annotations

import pytest
from tests.console.hub_scene import HubScene

from armillary.api.http.callers import Budgets


@pytest.fixture
def budgets(hub_scene: HubScene) -> Budgets:
    found: Budgets = hub_scene.running.app.state.budgets
    return found


def test_an_upload_counts_as_a_large_body(
    hub_scene: HubScene, budgets: Budgets, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = hub_scene.browser()
    assert look.upload("/new-image", {"packages": b"x"}, catalog="northwind").status == 400  # it is read, and is none
    with monkeypatch.context() as full:
        full.setattr(budgets.large_bodies, "each", 0)
        assert look.upload("/new-image", {"packages": b"x"}, catalog="northwind").status == 429
        assert look.get("/images").status == 200
    assert len(budgets.large_bodies) == 0


def test_a_table_that_is_exported_counts_as_an_export(
    hub_scene: HubScene, budgets: Budgets, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = hub_scene.browser()
    assert look.get("/hub-devices?catalog=northwind&export=csv").status == 200
    with monkeypatch.context() as full:
        full.setattr(budgets.exports, "each", 0)
        assert look.get("/hub-devices?catalog=northwind&export=csv").status == 429
        assert look.get("/hub-devices?catalog=northwind").status == 200
    assert len(budgets.exports) == 0

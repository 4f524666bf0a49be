# SPDX-License-Identifier: Apache-2.0
"""Guardians as people type them: the list, and one with its points and attempts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.api.running_service import RunningService, fresh
from tests.cli.conftest import Command
from tests.console.guardian_scene import Guarded


@pytest.fixture
def stores(service: RunningService) -> str:
    return service.make_catalog(fresh("Stores"), product="Coffee")


@pytest.fixture
def guarded(service: RunningService, stores: str) -> Iterator[Guarded]:
    made = Guarded(service, service.claimed(stores), fresh("coffee"))
    yield made
    made.close()


def test_guardians_are_listed_and_shown(armillary: Command, stores: str, guarded: Guarded) -> None:
    listed = armillary("guardian", "list", "-c", stores)
    assert listed.code == 0, listed.err
    head, line = listed.out.splitlines()
    assert head.split() == [
        "name", "equipment", "links_up", "refused", "queued", "dropped", "clock", "connected", "device_id",
    ]  # fmt: skip
    assert "espresso1, grinder  1 of 2" in line
    shown = armillary("guardian", "show", guarded.device_id)
    assert shown.code == 0, shown.err
    for words in ("guard/coffee", "its profile is not signed", "brewTemp", "92.5", "°C", "setBrewTemp", "mallory"):
        assert words in shown.out
    found = armillary("guardian", "show", guarded.device_id, "--json").json
    assert [each["name"] for each in found["equipment"]] == ["espresso1", "grinder"]


def test_without_guardians_the_list_says_how_one_comes(armillary: Command, stores: str) -> None:
    listed = armillary("guardian", "list", "-c", stores)
    assert (listed.code, listed.out) == (0, "")
    assert "armillary guardian equipment add" in listed.err


def test_equipment_is_listed_with_its_template_and_what_is_absent_is_named(
    armillary: Command, guarded: Guarded
) -> None:
    added = armillary("guardian", "equipment", "add", guarded.device_id, "grinder", "--profile", "guard/coffee")
    assert added.code == 0, added.err
    listed = armillary("guardian", "equipment", "list", guarded.device_id, "--json").json
    assert {each["equipment"]: each["template"] for each in listed}["grinder"] == "guard-coffee"
    absent = armillary("guardian", "command", guarded.device_id, "espresso9", "setBrewTemp", "93")
    assert absent.code == 1
    assert f"module 'espresso9' of device '{guarded.device_id[:12]}' does not exist" in absent.err

# SPDX-License-Identifier: Apache-2.0
"""``armillary guardian command``: values as people type them. What becomes of them, the guard's tests say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.api.running_service import RunningService, fresh
from tests.cli.conftest import Command
from tests.console.guardian_scene import Guarded

from armillary.cli.guardian import command


@pytest.fixture
def device(service: RunningService) -> Iterator[str]:
    catalog = service.make_catalog(fresh("Stores"), product="Coffee")
    made = Guarded(service, service.claimed(catalog), fresh("coffee"))
    yield made.device_id
    made.close()


@pytest.fixture
def payloads(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What is sent."""
    sent: list[dict[str, Any]] = []

    def call(_remote: object, _device: str, _equipment: str, _method: str, payload: dict[str, Any]) -> dict[str, Any]:
        sent.append(payload)
        return {}

    monkeypatch.setattr(command, "call", call)
    return sent


def test_values_are_numbers_also_below_zero(armillary: Command, device: str, payloads: list[dict[str, Any]]) -> None:
    for text, value in (("-5", -5), ("-2.5", -2.5), ("-1e1", -10), ("93.5", 93.5), ("true", True), ("high", "high")):
        ran = armillary("guardian", "command", device, "espresso1", "setBrewTemp", text)
        assert ran.code == 0, ran.err
        assert payloads.pop()["value"] == value
    assert armillary("guardian", "command", device, "espresso1", "identify", "--json").code == 0
    assert "value" not in payloads.pop()


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e400", "-1e400", "--jsn", "-x"])
def test_what_json_cannot_carry_and_options_that_are_none_are_refused_before_anything_is_sent(
    armillary: Command, device: str, payloads: list[dict[str, Any]], text: str
) -> None:
    ran = armillary("guardian", "command", device, "espresso1", "setBrewTemp", text)
    assert (ran.code, payloads) == (2, [])
    assert text in ran.err
    assert "/api/" not in ran.err

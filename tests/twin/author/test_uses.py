# SPDX-License-Identifier: Apache-2.0
"""What uses a document or a value of a template: every way in which one names another, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from armillary.twin.author.uses import Named, uses_of, uses_of_value

TILE = {"id": "t1", "kind": "line", "title": "Flow", "values": ["flow"], "x": 0, "y": 0, "w": 4, "h": 3}


def of(kind: str, content: dict[str, Any]) -> Named:
    return Named(kind, "it", {"name": "It", **content})


@pytest.mark.parametrize(
    ("kind", "used", "user", "words"),
    [
        ("group", "north", of("dashboard", {"tiles": [{**TILE, "source": {"group": "north"}}]}), 'dashboard "It" (tile "Flow")'),
        ("group", "north", of("rule", {"target": {"group": "north"}}), 'rule "It"'),
        ("group", "north", of("job", {"group": "north"}), 'job "It"'),
        ("group", "north", of("export", {"group": "north"}), 'export "It"'),
        ("job", "north", of("rule", {"actions": [{"kind": "job", "job": "north"}]}), 'rule "It" (action "1")'),
        ("template", "north", of("dashboard", {"template": "north", "tiles": []}), 'dashboard "It"'),
        ("template", "north", of("dashboard", {"tiles": [{**TILE, "source": {"template": "north.2"}}]}), 'dashboard "It" (tile "Flow")'),
        ("template", "north", of("rule", {"target": {"template": "north"}}), 'rule "It"'),
        ("template", "north", of("group", {"template": "north.1"}), 'segment "It"'),
    ],
)  # fmt: skip
def test_each_way_of_using_is_found_and_only_for_what_it_names(kind: str, used: str, user: Named, words: str):
    assert [each.words() for each in uses_of(kind, used, [user])] == [words]
    assert uses_of(kind, "south", [user]) == ()
    for other in {"group", "job", "template"} - {kind}:
        assert uses_of(other, used, [user]) == (), other


def test_many_tiles_are_counted():
    tiles = [{**TILE, "title": f"T{number}", "source": {"group": "north"}} for number in range(6)]
    words = uses_of("group", "north", [of("dashboard", {"tiles": tiles})])[0].words()
    assert words == 'dashboard "It" (tiles "T0", "T1", "T2", "T3" and 2 more)'
    assert uses_of("group", "north", [of("dashboard", {"tiles": tiles[:2]})])[0].words().endswith('(tiles "T0", "T1")')


def test_what_another_program_wrote_is_no_user_and_stops_nothing():
    for content in (
        {"tiles": 5},
        {"tiles": [7, {"source": "north"}]},
        {"target": []},
        {"actions": "x"},
        {"group": ["north"]},
    ):
        strange = [Named(kind, "it", content) for kind in ("dashboard", "rule", "job", "export", "group")]
        for kind in ("group", "job", "template"):
            assert uses_of(kind, "north", strange) == ()
        assert uses_of_value("pump", "flow", strange) == ()
    assert uses_of("dashboard", "it", [of("rule", {"target": {"group": "it"}})]) == ()


def test_a_value_of_a_template_is_used_by_what_shows_it_or_looks_at_it():
    target = {"template": "pump"}
    users = [
        Named("dashboard", "a", {"name": "A", "template": "pump", "tiles": [{**TILE, "source": {"group": "all"}}]}),
        Named(
            "dashboard", "b", {"name": "B", "tiles": [{"id": "go", "command": "flow", "label": "Go", "source": target}]}
        ),
        Named(
            "group",
            "c",
            {"name": "C", "template": "pump", "filters": [{"field": "telemetry:flow", "operator": "exists"}]},
        ),
        Named(
            "rule", "d", {"name": "D", "target": target, "conditions": [{"telemetry": "flow", "op": ">", "value": 1}]}
        ),
        Named(
            "rule", "e", {"name": "E", "target": target, "conditions": [{"property": "reported.flow.x", "value": 1}]}
        ),
        Named("rule", "f", {"name": "F", "target": target, "actions": [{"kind": "command", "method": "flow"}]}),
        Named("rule", "g", {"name": "G", "target": {"template": "tank"}, "conditions": [{"telemetry": "flow"}]}),
        Named("rule", "h", {"name": "H", "target": target, "conditions": [{"telemetry": "overflow"}]}),
        Named("dashboard", "i", {"name": "I", "template": "tank", "tiles": [TILE]}),
    ]
    assert [each.id for each in uses_of_value("pump", "flow", users)] == ["a", "b", "c", "d", "e", "f"]
    inner = Named("rule", "j", {"name": "J", "target": target, "conditions": [{"telemetry": "motor.speed"}]})
    assert [each.id for each in uses_of_value("pump", "motor*speed", [inner])] == ["j"]

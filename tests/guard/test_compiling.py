# SPDX-License-Identifier: Apache-2.0
"""The poll plan of a profile: every point in one slot, spans within their limits, nothing asked that none needs."""

from __future__ import annotations

from collections import Counter

import pytest
from tests.wire.equipment.profile_documents import changed, framed, machine, nodes, objects

from armillary.content import equipment
from armillary.guard.compiling import Grants, compile_profile
from armillary.wire.equipment.profile_reader import read_profile
from armillary.wire.equipment.request import ModbusRequest, NodesRead, ObjectsRead


def spans(document: dict[str, object]) -> list[tuple[str, int, int, int]]:
    """Group, function, first address and count of each read."""
    compiled = compile_profile(read_profile(document))
    return [
        (each.group, each.request.pdu[0], *each.span)
        for each in compiled.blocks
        if isinstance(each.request, ModbusRequest)
    ]


def test_points_near_one_another_are_read_at_once() -> None:
    assert spans(machine()) == [
        ("fast", 2, 3, 1),
        ("fast", 4, 0, 3),
        ("fast", 4, 100, 6),
        ("slow", 3, 10, 1),
        ("slow", 3, 20, 2),
        ("slow", 4, 4, 5),
    ]


@pytest.mark.parametrize(("bridged", "reads"), [(7, 2), (8, 1), (0, 2)])
def test_a_read_bridges_as_many_registers_as_the_link_allows(bridged: int, reads: int) -> None:
    document = changed(machine(), "points/setting/address", 11)
    document["commands"] = {}
    document = changed(document, "link/bridged_words", bridged)
    assert sum(function == 3 for _, function, *_ in spans(document)) == reads


@pytest.mark.parametrize(("limit", "widths"), [(125, [125, 3]), (128 // 2, [64, 64]), (1, [1] * 128)])
def test_no_read_is_longer_than_the_equipment_takes(limit: int, widths: list[int]) -> None:
    document = changed(machine(), "link/words_per_read", limit)
    document["points"] = {"first": {"table": "input", "address": 500, "raw": "u16", "group": "slow"}}
    member = {"table": "input", "address": 0, "raw": "u16", "group": "fast"}
    document["arrays"] = {"zone": {"count": 128, "stride": 1, "members": {"heat": member}}}
    for section in ("events", "derived", "alarms", "commands", "recipe", "firmware"):
        del document[section]
    assert [count for group, _, _, count in spans(document) if group == "fast"] == widths


@pytest.mark.parametrize("document", [machine(), framed(), nodes(), objects()], ids=lambda each: each["profile"])
def test_each_point_has_one_slot(document: dict[str, object]) -> None:
    profile = read_profile(document)
    compiled = compile_profile(profile)
    slots = [each.point.name for block in (*compiled.blocks, *compiled.frames.values()) for each in block.slots]
    assert Counter(slots) == Counter(each.name for each in profile.all_points)
    assert compiled.reports.keys() >= set(slots)


def test_nodes_and_objects_are_read_in_batches() -> None:
    (block,) = compile_profile(read_profile(nodes())).blocks
    assert isinstance(block.request, NodesRead)
    assert len(block.request.nodes) == 6
    sizes = [
        len(each.request.objects)
        for each in compile_profile(read_profile(objects())).blocks
        if isinstance(each.request, ObjectsRead)
    ]
    assert sizes == [20, 11]


def test_the_grants_are_what_the_link_needs() -> None:
    assert compile_profile(read_profile(machine())).grants == Grants(hosts=("10.9.0.2",))
    assert compile_profile(read_profile(nodes())).grants == Grants(hosts=("10.9.0.2",))
    assert compile_profile(read_profile(framed())).grants == Grants(serial_ports=("UART2",))


@pytest.mark.parametrize("name", equipment.names())
def test_shipped_profiles_compile_and_never_read_what_no_point_is_near(name: str) -> None:
    profile = equipment.load(name)
    compiled = compile_profile(profile)
    assert compiled.blocks or compiled.frames
    assert name not in ("cable", "coffee") or len(compiled.blocks) <= 6

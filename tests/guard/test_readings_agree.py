# SPDX-License-Identifier: Apache-2.0
"""Two readings of any profile agree: which reads its poll plan has, which recipes and frames may be written."""

from __future__ import annotations

import struct
from typing import Any

from hypothesis import assume, given, settings, strategies as st
from tests.fixtures.effort import effort

from armillary.guard.allow_list import AllowList
from armillary.guard.compiling import compile_profile
from armillary.guard.deciding import decide
from armillary.guard.sweep.second_reading import SecondReading
from armillary.guard.sweep.sweeping import sweep
from armillary.wire.equipment.faults import GuardRefusedError, ProfileError
from armillary.wire.equipment.profile_reader import read_profile
from armillary.wire.equipment.request import FrameRequest, ModbusRequest, Request

WORDS = {"u16": 1, "i16": 1, "u32be": 2, "u32le": 2, "i32le": 2, "f32be": 2, "f64be": 4}
FRAMED = {"bool": 1, "u8": 1, "i8": 1, "u16": 2, "u16le": 2, "i16le": 2, "u32le": 4, "i32be": 4, "f32le": 4}


def document(link: dict[str, Any], **parts: Any) -> dict[str, Any]:
    head = {"profile": "guard/any", "version": 1, "title": "Any", "manufacturer": "Any", "model": "Any"}
    return {**head, "link": link, **parts}


def both(given_document: dict[str, Any]) -> tuple[AllowList, SecondReading]:
    """The guard's list and the second reading; profiles that the rules refuse say nothing here."""
    try:
        profile = read_profile(given_document)
    except ProfileError:
        assume(False)
        raise
    return compile_profile(profile).allow, SecondReading(given_document)


def agree(allow: AllowList, reading: SecondReading, request: Request) -> bool:
    """Whether it is permitted, by both."""
    is_permitted = True
    try:
        decide(allow, request)
    except GuardRefusedError:
        is_permitted = False
    assert is_permitted is reading.allows(request), request
    return is_permitted


@st.composite
def poll_plans(draw: st.DrawFn) -> dict[str, Any]:
    """Points of both groups and all tables, close together and far apart, not on top of each other."""
    points: dict[str, Any] = {}
    for table in ("coil", "discrete", "input", "holding"):
        at = draw(st.sampled_from([0, 1, 100, 65000]))
        for index in range(draw(st.integers(0, 8))):
            raw = "bool" if table in ("coil", "discrete") else draw(st.sampled_from(sorted(WORDS)))
            gap = draw(st.sampled_from([0, 0, 0, 1, 7, 8, 9, 63, 64, 65, 120]))
            group = draw(st.sampled_from(["fast", "slow"]))
            points[f"{table}{index}"] = {"table": table, "address": at + gap, "raw": raw, "group": group}
            at += gap + WORDS.get(raw, 1)
    link: dict[str, Any] = {"protocol": "modbus-tcp", "host": "10.9.0.2"}
    if draw(st.booleans()):
        link |= {"words_per_read": draw(st.integers(4, 125)), "bridged_words": draw(st.integers(0, 8))}
    return document(link, groups={"fast": 1, "slow": 60}, points=points)


@given(poll_plans())
def test_the_reads_of_any_poll_plan_are_the_same(plan):
    allow, reading = both(plan)
    assert {(span.function, span.first, span.count) for span in allow.reads} == reading.reads
    assert all(agree(allow, reading, request) for request in reading.examples())


@st.composite
def recipes(draw: st.DrawFn) -> dict[str, Any]:
    """A recipe area whose fields may take more than one write holds."""
    fields: dict[str, Any] = {}
    at = 0
    for index in range(draw(st.integers(1, 80))):
        raw = draw(st.sampled_from(["u16", "i16", "u32be", "i32le", "f32be", "f64be"]))
        low = draw(st.integers(0, 20))
        fields[f"f{index}"] = {"offset": at, "raw": raw, "scale": draw(st.sampled_from([1, 0.5, 2])), "low": 2 * low}
        fields[f"f{index}"]["high"] = 2 * low + draw(st.sampled_from([2, 40]))
        at += WORDS.get(raw, 2)
    point = {"table": "input", "address": 0, "raw": "u16", "group": "fast", "states": {"idle": 0, "busy": 1}}
    area = {"address": 200, "words": at, "slots": draw(st.integers(1, 3)), "commit_coil": 20, "fields": fields}
    link = {"protocol": "modbus-tcp", "host": "10.9.0.2"}
    return document(link, groups={"fast": 1}, points={"state": point}, recipe={**area, "when": {"state": ["idle"]}})


@settings(max_examples=effort(15, 100))
@given(recipes(), st.integers(0, 2**32), st.binary(min_size=1, max_size=4))
def test_the_writes_of_any_recipe_are_the_same(area, where, changed):
    """Those that both permit, and each of them with a few other bytes somewhere, longer and shorter."""
    allow, reading = both(area)
    permitted = [request for request in reading.examples() if agree(allow, reading, request)]
    writes = [request for request in permitted if isinstance(request, ModbusRequest) and request.pdu[0] == 16]
    assert writes
    for request in writes[:: max(1, len(writes) // 20)]:
        pdu = request.pdu
        at = where % len(pdu)
        for other in (pdu[:at] + changed + pdu[at + len(changed) :], pdu + changed, pdu[: -len(changed)]):
            agree(allow, reading, ModbusRequest(1, other[:253]))


@st.composite
def framed_commands(draw: st.DrawFn) -> dict[str, Any]:
    """A command in a frame, of any kind."""
    raw = draw(st.sampled_from(sorted(FRAMED)))
    command: dict[str, Any] = {"frame": 0x81, "raw": raw}
    if raw == "bool":
        command |= draw(st.sampled_from([{}, {"fixed": True}, {"fixed": False}]))
    else:
        steps = sorted(draw(st.tuples(st.integers(0, 100), st.integers(0, 100))))
        scale = draw(st.sampled_from([1, 0.01, 0.5, -1]))
        low, high = sorted(round(step * scale, 6) for step in steps)
        command |= {"scale": scale, "low": low, "high": high}
    link = {"protocol": "framed-serial", "port": "UART2"}
    parts = {
        "frames": {"status": {"kind": 1, "length": 1}},
        "points": {"p": {"frame": "status", "byte": 0, "raw": "u8"}},
    }
    return document(link, **parts, commands={"set": command, "blink": {"frame": 0x82}})


@settings(max_examples=effort(50, 200))
@given(framed_commands(), st.binary(max_size=6), st.integers(-3, 103))
def test_the_frames_of_any_command_are_the_same(framed, payload, number):
    allow, reading = both(framed)
    assert all(agree(allow, reading, request) for request in reading.examples())
    raw = framed["commands"]["set"]["raw"]
    letter = {"bool": "b", "u8": "b", "i8": "b", "f32le": "f"}.get(raw) or {2: "h", 4: "i"}[FRAMED[raw]]
    for data in (payload, *(struct.pack(order + letter, number) for order in "<>")):
        for kind in (0x81, 0x82, 0x83):
            agree(allow, reading, FrameRequest(kind, data))


def test_the_reads_of_a_bacnet_device_are_the_same_and_it_is_never_written():
    point = {"object": "analog-input", "instance": 3, "group": "fast"}
    zone = {"object": "analog-value", "instance": 10, "property": "present-value", "group": "fast"}
    plan = document(
        {"protocol": "bacnet-ip", "host": "10.9.0.2", "device": 7},
        groups={"fast": 1},
        points={"p": point},
        arrays={"zone": {"count": 4, "stride": 2, "members": {"t": zone}}},
    )
    allow, reading = both(plan)
    found = sweep(allow, reading)
    assert (found.false_allows, found.false_denials, found.examples) == (0, 0, 5)
    assert not allow.writes
    assert not allow.node_writes
    assert not allow.frames

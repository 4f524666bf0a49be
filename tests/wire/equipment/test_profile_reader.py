# SPDX-License-Identifier: Apache-2.0
"""Profiles: what is read is what was written, and each rule refuses what breaks it, by its name and place."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest
from tests.wire.equipment.profile_documents import MISSING, changed, framed, machine, nodes, objects

from armillary.guard.interface import dtdl_interface
from armillary.wire.equipment import profile_fields as tables
from armillary.wire.equipment.faults import RULES, ProfileError
from armillary.wire.equipment.profile import RAW_KINDS, ModbusAddress, NodeAddress, ObjectAddress, Table, standing_point
from armillary.wire.equipment.profile_reader import canonical, profile_document, read_json, read_profile
from armillary.wire.equipment.units import OWN_UNITS

ROOT = Path(__file__).resolve().parents[3]
DOCUMENTS = {"machine": machine, "framed": framed, "nodes": nodes, "objects": objects}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_is_read_and_written_back(name: str) -> None:
    profile = read_profile(DOCUMENTS[name]())
    document = profile_document(profile)
    stored = canonical(document)
    assert read_profile(read_json(stored)) == profile
    assert canonical(profile_document(read_profile(read_json(stored)))) == stored


def test_the_order_of_keys_says_nothing() -> None:
    document = machine()
    turned = {key: dict(reversed(each.items())) if isinstance(each, dict) else each for key, each in document.items()}
    assert read_profile(dict(reversed(turned.items()))) == read_profile(document)


def test_members_of_arrays_are_points() -> None:
    points = {each.name: each for each in read_profile(machine()).all_points}
    assert points["tank2_pressure"].address == ModbusAddress(Table.INPUT, 105)
    points = {each.name: each for each in read_profile(nodes()).all_points}
    assert points["zone1_heat"].address == NodeAddress("ns=2;s=Zone.1.heat")
    points = {each.name: each for each in read_profile(objects()).all_points}
    assert points["room29_heat"].address == ObjectAddress("analog-value", 39)


def test_the_point_that_shows_what_stands_is_at_the_same_address_or_named() -> None:
    profile = read_profile(machine())
    shown = {each.name: standing_point(profile, each) for each in profile.commands}
    assert shown["setSetting"] is not None
    assert shown["setSetting"].name == "setting"
    assert shown["lamp"] is None
    profile = read_profile(framed())
    named = {each.name: standing_point(profile, each) for each in profile.commands}
    assert named["setDose"] is not None
    assert named["setDose"].name == "dose"


LEVEL = {"table": "input", "address": 0, "raw": "u16", "group": "fast"}
# Rule, document, place, what stands there.
REFUSED: list[tuple[str, str, str, Any]] = [
    ("form", "machine", "vendor", "x"),
    ("form", "machine", "profile", MISSING),
    ("form", "machine", "profile", "Machine"),
    ("form", "machine", "title", "<b>Machine</b>"),
    ("form", "nodes", "points/speed", {}),
    ("form", "machine", "points/level/raw", MISSING),
    ("form", "machine", "points/level/address", "0"),
    ("form", "machine", "points/level/address", 0.0),
    ("form", "machine", "points/level/address", True),
    ("form", "machine", "points/level/counter", 1),
    ("form", "machine", "points/level", ["input", 0]),
    ("form", "machine", "points/1level", LEVEL),
    ("form", "machine", "points/level_", LEVEL),
    ("form", "machine", "points/le vel", LEVEL),
    ("form", "machine", "events/run/capture", "level"),
    ("form", "machine", "events/run/start", {}),
    ("form", "machine", "events/run/start", {"state": ["busy"], "door": [True]}),
    ("form", "machine", "link/host", "http://10.9.0.2"),
    ("form", "machine", "link/baud", 9600),
    ("form", "machine", "frames", {"count": {"kind": 1, "length": 7}}),
    ("limit", "machine", "commands/start/fixed", math.nan),
    ("form", "machine", "arrays/tank/members", {}),
    ("form", "framed", "link/escape", 0x7E),
    ("form", "framed", "link/escape", 0x5E),
    ("form", "nodes", "points/speed/node", "ns=2;s=Speed|x"),
    ("link", "machine", "link/protocol", "modbus"),
    ("limit", "machine", "version", 0),
    ("limit", "machine", "version", 10**10),
    ("limit", "machine", "points/level/address", 65536),
    ("limit", "machine", "points/level/scale", 1e300),
    ("limit", "machine", "points/level/low", -math.inf),
    ("limit", "machine", "points/level/low", math.nan),
    ("limit", "machine", "points/level/low", -(10**400)),
    ("limit", "machine", "groups/fast", 0),
    ("limit", "machine", "title", "x" * 65),
    ("limit", "machine", "link/unit", 0),
    ("limit", "machine", "link/words_per_read", 126),
    ("limit", "machine", "arrays/tank/count", 292),
    ("limit", "machine", "arrays/tank/count", 139),
    ("form", "machine", "points/" + "a" * 65, LEVEL),
    ("limit", "machine", "arrays/" + "a" * 60, machine()["arrays"]["tank"]),
    ("limit", "framed", "frames/count/length", 33),
    ("duplicate", "machine", "events/run/capture", ["level", "level"]),
    ("duplicate", "machine", "points/state/states", {"idle": 0, "busy": 0}),
    ("duplicate", "framed", "frames/heat/kind", 1),
    ("duplicate-name", "machine", "derived/level", machine()["derived"]["share"]),
    ("duplicate-name", "machine", "points/Level", {**LEVEL, "address": 90}),
    ("duplicate-name", "machine", "points/tank1_pressure", {**LEVEL, "address": 90}),
    ("reserved-name", "machine", "points/quality", {**LEVEL, "address": 90}),
    ("reserved-name", "machine", "commands/recipe", {"table": "coil", "address": 9}),
    ("person-data", "machine", "points/userCount", {**LEVEL, "address": 90}),
    ("person-data", "machine", "points/nurse_badge", {**LEVEL, "address": 90}),
    ("person-data", "machine", "points/level/title", "Level by employee"),
    ("person-data", "machine", "points/state/states", {"idle": 0, "busy": 1, "patientNear": 2}),
    ("expression", "machine", "points/level/expression", "raw * 0.1"),
    ("expression", "machine", "points/level/formula", "x"),
    ("expression", "machine", "points/level/scale", "raw*0.1"),
    ("expression", "machine", "points/level/low", "__import__('os').system('id')"),
    ("expression", "machine", "points/level/address", "${ADDRESS}"),
    ("expression", "machine", "points/level/unit", "eval(x)"),
    ("expression", "machine", "title", "{{ title }}"),
    ("unit", "machine", "points/level/unit", "litres"),
    ("unit", "machine", "points/level/unit", "bar"),
    ("unit", "machine", "derived/empty/unit", "litre"),
    ("quantity", "machine", "points/level/quantity", "Juice"),
    ("raw", "machine", "points/level/raw", "u24"),
    ("raw", "machine", "points/level/raw", "u8"),
    ("raw", "machine", "points/release/raw", "bool"),
    ("raw", "machine", "points/door/raw", "u16"),
    ("raw", "machine", "points/gain/counter", True),
    ("raw", "machine", "points/setting/counter", True),
    ("raw", "machine", "points/simulated", {**LEVEL, "address": 90}),
    ("raw", "machine", "points/state/bits", {"hot": 0}),
    ("group", "machine", "points/level/group", "often"),
    ("group", "machine", "points/level/group", MISSING),
    ("group", "framed", "points/uses/group", "fast"),
    ("address", "machine", "points/total/address", 65535),
    ("address", "machine", "arrays/tank/stride", 0),
    ("address", "nodes", "arrays/zone/members/heat/node", "ns=2;s=Zone.heat"),
    ("address", "nodes", "points/speed/node", "ns=2;s=Zone.{i}.heat"),
    ("address", "framed", "points/code/byte", 5),
    ("address", "framed", "frames/heat/kind", 6),
    ("address", "framed", "commands/blink/frame", MISSING),
    ("address", "machine", "commands/lamp/frame", 3),
    ("range", "machine", "points/level/high", 7000),
    ("range", "machine", "points/level/low", 101),
    ("range", "machine", "points/level/scale", 0),
    ("range", "machine", "points/level/scale", 1e-10),
    ("range", "machine", "points/door/scale", 2),
    ("range", "machine", "points/state/scale", 2),
    ("range", "machine", "points/state/states", {"idle": 0, "busy": 65536}),
    ("range", "machine", "points/faults/bits", {"hot": 16}),
    ("range", "machine", "points/level/report", {"min_s": 10, "max_s": 5}),
    ("range", "machine", "alarms/full/limit", 7000),
    ("range", "machine", "alarms/full/clear", 95),
    ("range", "machine", "alarms/shareLow/clear", 0.4),
    ("range", "machine", "commands/setSetting/high", 17000),
    ("range", "machine", "commands/setSetting/high", MISSING),
    ("range", "machine", "commands/setSetting/low", 41),
    ("range", "machine", "commands/setSetting/step", 0.1),
    ("range", "machine", "commands/setSetting/fixed", 10),
    ("range", "machine", "commands/start/fixed", 1),
    ("range", "machine", "commands/lamp/low", 0),
    ("range", "machine", "recipe/fields/amount/high", 7000),
    ("round-trip", "machine", "commands/setSetting/high", 39.9),
    ("round-trip", "machine", "commands/setSetting/low", -9.75),
    ("round-trip", "machine", "recipe/fields/amount/low", 1.05),
    ("round-trip", "framed", "commands/setDose/low", 0.405),
    ("overlap", "machine", "points/level/raw", "u32be"),
    ("overlap", "machine", "points/again", {"table": "input", "address": 5, "raw": "u16", "group": "slow"}),
    ("overlap", "machine", "points/again", {"table": "input", "address": 4, "raw": "u32le", "group": "slow"}),
    ("overlap", "machine", "points/again", {**LEVEL, "unit": "litre", "scale": 0.01}),
    ("overlap", "machine", "points/again", {**LEVEL, "unit": "gallon", "scale": 0.1}),
    ("overlap", "machine", "points/again", {**LEVEL, "unit": "litre", "scale": 0.1, "offset": 1}),
    ("overlap", "machine", "arrays/tank/stride", 1),
    ("overlap", "machine", "commands/setSetting/raw", "u16"),
    ("overlap", "machine", "commands/setSetting/unit", "kelvin"),
    ("overlap", "machine", "commands/setSetting/scale", 1),
    ("overlap", "framed", "points/dose/byte", 3),
    ("overlap", "machine", "recipe/fields/cycles/offset", 0),
    ("reference", "machine", "events/run/start", {"mode": ["busy"]}),
    ("reference", "machine", "events/run/start", {"state": ["broken"]}),
    ("reference", "machine", "events/run/start", {"state": [1]}),
    ("reference", "machine", "events/run/start", {"faults": ["hot"]}),
    ("reference", "machine", "events/run/start", {"level": ["high"]}),
    ("reference", "machine", "commands/start/when", {"door": ["shut"]}),
    ("reference", "machine", "events/run/capture", ["share"]),
    ("reference", "machine", "derived/empty/inputs", ["state"]),
    ("reference", "machine", "alarms/full/point", "tank.level"),
    ("reference", "machine", "alarms/full/point", "state"),
    ("reference", "machine", "firmware/version", "share"),
    ("reference", "machine", "firmware/version", "state"),
    ("reference", "machine", "firmware/version", "gain"),
    ("reference", "machine", "firmware/version", "door"),
    ("reference", "framed", "points/uses/frame", "usage"),
    ("reference", "framed", "commands/setDose/shows", "doze"),
    ("reference", "framed", "commands/setDose/shows", MISSING),
    ("reference", "machine", "points/setting/address", 12),
    ("operator", "machine", "derived/share/operator", "product"),
    ("operator", "machine", "derived/share/inputs", ["total"]),
    ("operator", "machine", "derived/share/inputs", ["total", "level"]),
    ("operator", "machine", "derived/share/window_s", MISSING),
    ("operator", "machine", "derived/share/limit", 3),
    ("unlisted-write", "machine", "points/level/writable", True),
    ("unlisted-write", "machine", "points/level/access", "rw"),
    ("unlisted-write", "nodes", "firmware", machine()["firmware"] | {"version": "count", "when": {"on": [True]}}),
    ("unlisted-write", "framed", "recipe", machine()["recipe"] | {"when": {"code": ["fine"]}}),
    ("read-only-table", "machine", "commands/lamp/table", "discrete"),
    ("read-only-table", "machine", "commands/setSetting/table", "input"),
    ("two-commands", "machine", "commands/lamp/address", 1),
    ("two-commands", "framed", "commands/blink/frame", 0x81),
    ("two-commands", "nodes", "commands/setMore", {"node": "ns=2;s=Speed", "raw": "f64be", "low": 0, "high": 4}),
    ("write-overlap", "machine", "commands/lamp/address", 5),
    ("write-overlap", "machine", "commands/setSetting2",
     {"table": "holding", "address": 202, "raw": "u16", "low": 0, "high": 4}),
    ("write-overlap", "machine", "firmware/commit_coil", 30),
    ("write-overlap", "machine", "firmware/offset_address", 1015),
    ("write-overlap", "framed", "commands/blink/frame", 1),
    ("recipe-gap", "machine", "recipe/fields/cycles/offset", 2),
    ("recipe-gap", "machine", "recipe/words", 4),
    ("recipe-gap", "machine", "recipe/fields", {}),
    ("address", "machine", "recipe/address", 65530),
    ("interlock", "machine", "recipe/when", MISSING),
    ("interlock", "machine", "firmware/when", {}),
    ("policy", "nodes", "link/policy", "None"),
    ("form", "machine", "title", 7),
    ("form", "machine", "points/level/group", 5),
    ("form", "framed", "commands/blink/low", 0.4),
    ("limit", "machine", "groups", {f"g{number}": 1 for number in range(17)}),
    ("limit", "machine", "events/run/capture", [f"p{number}" for number in range(65)]),
    ("limit", "machine", "derived/share/inputs", []),
    ("raw", "machine", "points/odd", {"table": "holding", "address": 40, "raw": "f32be", "group": "slow",
                                      "states": {"one": 1}}),
    ("range", "machine", "points/release/scale", 0),
    ("range", "machine", "points/release/scale", 1e-10),
    ("unlisted-write", "objects", "commands",
     {"set": {"object": "analog-output", "instance": 1, "raw": "f64be", "low": 0, "high": 1}}),
    ("address", "framed", "commands/blink/frame", 6),
    ("address", "machine", "firmware/address", 65530),
    ("address", "machine", "firmware/offset_address", 65535),
    ("reference", "framed", "commands/blink/shows", "doze"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "name", "place", "value"),
    REFUSED,
    ids=[f"{rule}-{place}-{n}" for n, (rule, _, place, _) in enumerate(REFUSED)],
)
def test_what_breaks_a_rule_is_refused_by_its_name(rule: str, name: str, place: str, value: Any) -> None:
    with pytest.raises(ProfileError) as refused:
        read_profile(changed(DOCUMENTS[name](), place, value))
    assert refused.value.rule == rule, str(refused.value)
    assert refused.value.place
    assert f"(rule {rule})" in refused.value.message


# The last value that is taken where the next one is refused.
TAKEN: list[tuple[str, str, Any]] = [
    ("machine", "title", "x" * 64),
    ("machine", "version", 999_999_999),
    ("machine", "link/unit", 247),
    ("machine", "points/last", {**LEVEL, "address": 65535}),
    ("machine", "points/last", {**LEVEL, "address": 65534, "raw": "u32be"}),
    ("machine", "points/again", {**LEVEL, "unit": "litre", "scale": 0.1}),
    ("machine", "points/level/high", 6553.5),
    ("machine", "points/level/report", {"min_s": 5, "max_s": 5}),
    ("machine", "points/state/states", {"idle": 0, "busy": 65535}),
    ("machine", "points/faults/bits", {"hot": 15}),
    ("machine", "points/spare", {"table": "input", "address": 9, "raw": "u16", "group": "slow", "scale": 1e-9}),
    ("machine", "points/spare", {"table": "input", "address": 9, "raw": "u16", "group": "slow", "scale": -1e9}),
    ("machine", "arrays/tank/count", 138),
    ("machine", "arrays/single", {"count": 1, "stride": 0, "members": {"heat": {**LEVEL, "address": 900}}}),
    ("machine", "alarms/full/clear", 90),
    ("machine", "alarms/full/limit", 6553.5),
    ("machine", "alarms/shareLow/clear", 0.5),
    ("machine", "commands/setSetting/step", 0.5),
    ("machine", "commands/setSetting/low", 40),
    ("machine", "commands/setSetting/high", 16383.5),
    ("machine", "commands/next", {"table": "coil", "address": 0}),
    ("machine", "commands/next", {"table": "holding", "address": 212, "raw": "u16", "low": 0, "high": 65535}),
    ("machine", "recipe/address", 65524),
    ("machine", "firmware/offset_address", 1016),
    ("machine", "firmware/offset_address", 65534),
    ("framed", "frames/count/length", 32),
    ("framed", "points/code/byte", 4),
    ("framed", "link/escape", 0x20),
    ("nodes", "arrays/zone/count", 280),
]


@pytest.mark.parametrize(("name", "place", "value"), TAKEN, ids=[f"{each[1]}-{n}" for n, each in enumerate(TAKEN)])
def test_what_is_just_within_a_rule_is_taken(name: str, place: str, value: Any) -> None:
    read_profile(changed(DOCUMENTS[name](), place, value))


@pytest.mark.parametrize(("count", "is_taken"), [(138, True), (139, False)])
def test_contents_of_the_interface_are_counted(count: int, is_taken: bool) -> None:
    document = changed(machine(), "arrays/tank/count", count)
    if is_taken:
        assert len(dtdl_interface(read_profile(document))["contents"]) <= 300
    else:
        with pytest.raises(ProfileError, match="at most 291"):
            read_profile(document)


def test_names_of_recipe_fields_are_of_no_person() -> None:
    document = machine()
    document["recipe"]["fields"] = {"userLevel": document["recipe"]["fields"]["amount"]} | {
        "cycles": document["recipe"]["fields"]["cycles"]
    }
    with pytest.raises(ProfileError, match="person-data"):
        read_profile(document)
    assert read_profile({**document, "person_data": True}).person_data


@pytest.mark.parametrize(
    ("name", "is_of_person"),
    [
        ("userid", True),
        ("patientnumber", True),
        ("operatorName", True),
        ("card_id", True),
        ("fingerprint", True),
        ("lastUser", True),
        ("EMAIL", True),
        ("operatorPresent", False),
        ("driverCurrent", False),
        ("faceTemperature", False),
        ("refillNumber", False),
        ("cleaningDue2", False),
        ("useful", False),
    ],
)
def test_words_of_persons_are_found_in_names(name: str, is_of_person: bool) -> None:
    document = changed(machine(), f"points/{name}", {**LEVEL, "address": 90})
    if not is_of_person:
        assert name in {each.name for each in read_profile(document).points}
        return
    with pytest.raises(ProfileError) as refused:
        read_profile(document)
    assert refused.value.rule == "person-data"


def test_a_profile_may_say_that_it_has_data_of_persons() -> None:
    document = changed(machine(), "points/userCount", {**LEVEL, "address": 90})
    assert read_profile({**document, "person_data": True}).person_data


@pytest.mark.parametrize("value", [None, 7, "text", [], b"x", {1: 2}, {"\n": 1}, {"x" * 100: 1}])
def test_what_is_no_document_is_refused(value: object) -> None:
    with pytest.raises(ProfileError):
        read_profile(value)


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"", "JSON in UTF-8"),
        (b"{", "JSON in UTF-8"),
        (b"\xff", "JSON in UTF-8"),
        (b'{"a":1,"a":2}', "each key once"),
        (b'{"a":NaN}', "JSON numbers, got NaN"),
        (b'{"a":-Infinity}', "JSON numbers, got -Infinity"),
        (b"[" * 100_000, "JSON in UTF-8"),
        (b'{"version":' + b"9" * 10_000 + b"}", "JSON in UTF-8"),
        (b'{"a":"' + b"x" * (1 << 20) + b'"}', "at most 1048576 bytes"),
    ],
    ids=range(9),
)
def test_json_that_is_none_is_refused(data: bytes, fault: str) -> None:
    with pytest.raises(ProfileError, match=fault):
        read_json(data)


def test_a_number_without_range_is_told_so() -> None:
    for key in ("low", "high"):
        with pytest.raises(ProfileError, match="low and high of a number") as refused:
            read_profile(changed(machine(), f"commands/setSetting/{key}", MISSING))
        assert refused.value.place == f"commands.setSetting.{key}"


def test_a_profile_without_points_is_none() -> None:
    document = {key: each for key, each in machine().items() if key not in ("points", "arrays")}
    with pytest.raises(ProfileError, match=r"points or arrays"):
        read_profile(document)


def test_points_may_show_one_place_twice_in_the_same_kind() -> None:
    again = {"table": "input", "address": 1, "raw": "u16", "group": "slow"}
    assert read_profile(changed(machine(), "points/stateNumber", again))


def test_every_rule_is_in_the_reference_and_every_refusal_has_one() -> None:
    page = (ROOT / "docs" / "reference" / "equipment-profile.md").read_text("utf-8")
    assert dict(re.findall(r"^\| `([a-z-]+)` \| (.+) \|$", page.partition("## Rules")[2], re.MULTILINE)) == RULES
    # What a reader of documents cannot break: a file's own form, a line's time, and what a guardian had before.
    elsewhere = {"yaml", "line", "name", "rollback"}
    assert {rule for rule, *_ in REFUSED} == RULES.keys() - elsewhere


def test_every_key_is_in_the_reference() -> None:
    page = (ROOT / "docs" / "reference" / "equipment-profile.md").read_text("utf-8")
    rows = {row.split("`")[1]: row for row in page.splitlines() if row.startswith("| `")}
    for protocol, (_, fields) in tables.LINKS.items():
        for key in fields:
            assert f"`{key}`" in rows[protocol], f"{protocol}: {key}"
    for key in (*tables.POINT, *tables.COMMAND, *tables.RECIPE, *tables.FIRMWARE.fields, *tables.REPORT):
        assert re.search(rf"\b{key}\b", page), key
    for kind in RAW_KINDS:
        assert f"`{kind}`" in page, kind
    for unit in OWN_UNITS:
        assert f"`{unit}`" in page, unit

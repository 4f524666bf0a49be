# SPDX-License-Identifier: Apache-2.0
"""Shipped profiles are whole, and YAML is read in a safe subset with lines in its errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from armillary.content import equipment
from armillary.errors import NotFoundError
from armillary.guard.interface import dtdl_interface
from armillary.wire.equipment.faults import ProfileError
from armillary.wire.equipment.profile_reader import canonical, profile_document, read_json, read_profile


@pytest.mark.parametrize("name", equipment.names())
def test_a_shipped_profile_is_the_same_as_json(name: str) -> None:
    profile = equipment.load(name)
    assert profile.name == f"guard/{name}"
    stored = read_profile(read_json(canonical(profile_document(profile))))
    assert stored == profile
    assert dtdl_interface(stored) == dtdl_interface(profile)
    assert "simulated" in {each.name for each in profile.points}, "simulated equipment can say that it is"


def test_the_three_customers_have_profiles() -> None:
    assert {"cable", "coffee", "dispenser"} <= set(equipment.names())
    coffee, cable = equipment.load("coffee"), equipment.load("cable")
    (shot,) = (each for each in coffee.events if each.name == "shot")
    assert len(shot.capture) >= 12
    assert cable.arrays[0].count == 32
    assert not cable.commands


def test_an_unknown_profile_is_named() -> None:
    with pytest.raises(NotFoundError, match="'tea'"):
        equipment.load("tea")


def test_plain_words_are_those_of_yaml_1_2() -> None:
    document, lines = equipment.read_yaml(
        b"a: no\nb: 012\nc: 0x1F\nd: 1e3\ne: 'true'\nf: true\ng: [1, -2.5]\nh: 1:30\n", "f"
    )
    assert document == {"a": "no", "b": 12, "c": 31, "d": 1000.0, "e": "true", "f": True, "g": [1, -2.5], "h": "1:30"}
    assert lines["g.1"] == 7
    assert lines["d"] == 4


@pytest.mark.parametrize(
    ("text", "line", "got"),
    [
        ("a: &x 1\n", 1, "anchors"),
        ("a: 1\nb: *x\n", 2, "anchors"),
        ("a: !!python/object:os.system 1\n", 1, "tags"),
        ("%TAG ! tag:x,2000:\n---\na: 1\n", 1, "tag"),
        ("a: 1\na: 2\n", 2, "each key once"),
        ("a: {b: 1, b: 2}\n", 1, "each key once"),
        ("<<: {a: 1}\n", 1, "merge"),
        ("a: 1\n---\nb: 2\n", 2, "one document"),
        ("a:\n", 1, "a value"),
        ("? [a]\n: 1\n", 1, "a text as a key"),
        ("a: [[[[[[[[[[[[1]]]]]]]]]]]]\n", 1, "levels"),
        ("a: [1\n", 2, "YAML"),
        ("a: \x00\n", None, "YAML"),
        ("", None, "a document"),
    ],
)
def test_what_is_not_of_the_subset_is_refused_with_its_line(text: str, line: int | None, got: str) -> None:
    with pytest.raises(ProfileError, match=got) as refused:
        equipment.read_yaml(text.encode(), "machine.yaml")
    assert refused.value.rule == "yaml"
    assert refused.value.line == line
    assert refused.value.message.startswith("machine.yaml")


def test_an_error_names_file_line_place_and_rule() -> None:
    text = (equipment.content.folder("equipment") / "coffee.yaml").read_text("utf-8")
    broken = text.replace("high: 96, step: 2", "high: 96.05, step: 2").encode()
    with pytest.raises(ProfileError) as refused:
        equipment.read_text(broken, "coffee.yaml")
    line = next(number for number, each in enumerate(broken.splitlines(), 1) if b"high: 96.05" in each)
    assert refused.value.message == (
        f"coffee.yaml line {line} commands.setBrewTemp.high (rule round-trip): expected a multiple of the scale, 0.1, "
        "which reads back as itself, got 96.05"
    )


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"\xff\xfe", "YAML in UTF-8"),
        (b"a: " + b"9" * 100_000 + b"\n", "unknown key"),
        (b"#" * (1 << 21), "at most 1048576 bytes"),
        (b"version: " + b"9" * 41 + b"\nprofile: a/b\n", "title"),
    ],
    ids=("bytes", "digits", "size", "number"),
)
def test_hostile_bytes_are_refused(data: bytes, fault: str) -> None:
    with pytest.raises(ProfileError, match=fault):
        equipment.read_text(data, "f")


def test_a_number_of_too_many_digits_is_a_text() -> None:
    document, _ = equipment.read_yaml(b"a: " + b"9" * 40 + b"\nb: " + b"9" * 41 + b"\n", "f")
    assert document == {"a": int("9" * 40), "b": "9" * 41}


def test_the_example_of_the_reference_is_a_profile() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "reference" / "equipment-profile.md").read_text("utf-8")
    example = page.partition("```yaml\n")[2].partition("```")[0]
    profile = equipment.read_text(example.encode(), "example.yaml")
    assert [each.name for each in profile.commands] == ["setSetting"]

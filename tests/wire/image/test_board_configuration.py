# SPDX-License-Identifier: Apache-2.0
"""Board configurations: what is one, what is none and where, and that they survive being written."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given, strategies as st
from tests.fixtures.images import board, board_package

from armillary import content
from armillary.errors import ManifestError
from armillary.wire.image import board_configuration, package as image_package
from armillary.wire.image.app_manifest import Capabilities
from armillary.wire.image.board_configuration import LIMIT_BYTES, BoardConfiguration, encode, of_package, parse


def written(**changes: Any) -> bytes:
    return json.dumps(board(**changes)).encode()


def test_every_key_is_read() -> None:
    component = uuid4()
    found = parse(written(component=component))
    assert (found.name, found.component_id, found.chip) == ("lan", component, "mt3620")
    assert found.peripherals == Capabilities(gpio=(5,), spi_master=("ISU0",))
    for name in content.board_names():
        assert parse(content.board_document(name)).name == name


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"SchemaVersion": 2}, "SchemaVersion: expected 1, got 2"),
        ({"SchemaVersion": True}, "SchemaVersion: expected a whole number"),
        ({"Name": ""}, "Name: expected"),
        ({"Name": "a\nb"}, "Name: expected"),
        ({"ComponentId": "5"}, "ComponentId: expected a GUID"),
        ({"Chip": "MT 3620"}, "Chip: expected the name of a chip"),
        ({"Chip": "m" * 65}, "Chip: expected"),
        ({"Peripherals": []}, "Peripherals: expected an object"),
        ({"Peripherals": {}}, "Peripherals: expected at least one peripheral, got none"),
        ({"Peripherals": {"Gpio": []}}, "Peripherals: expected at least one peripheral, got none"),
        ({"Peripherals": {"WifiConfig": True}}, "Peripherals: expected known keys only"),
        ({"Peripherals": {"Gpio": ["$LED"]}}, "Peripherals.Gpio"),
        ({"Peripherals": {"Gpio": [5, 5]}}, "Peripherals.Gpio"),
        ({"Peripherals": {"SpiMaster": "ISU0"}}, "Peripherals.SpiMaster"),
        ({"Kernel": 1}, "board configuration: expected known keys only"),
    ],
)
def test_what_is_wrong_is_refused_with_its_place(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ManifestError, match=words):
        parse(json.dumps(board() | changes).encode())


@pytest.mark.parametrize("key", ["SchemaVersion", "Name", "ComponentId", "Chip", "Peripherals"])
def test_every_key_is_required(key: str) -> None:
    with pytest.raises(ManifestError, match=f"{key}: expected a value, got nothing"):
        parse(json.dumps({name: value for name, value in board().items() if name != key}).encode())


@pytest.mark.parametrize(
    "data",
    [b"", b"\x00\x01", b"[]", b'{"Name":"a","Name":"b"}', b"[" * 5000, b" " * (LIMIT_BYTES + 1), b'{"Chip":NaN}'],
)
def test_what_is_no_such_document_is_one_clear_error(data: bytes) -> None:
    with pytest.raises(ManifestError, match="board configuration: expected"):
        parse(data)


def test_a_package_names_the_component_of_its_content() -> None:
    described = board()
    assert of_package(image_package.parse(board_package(described))).name == "lan"
    with pytest.raises(ManifestError, match="ComponentId: expected"):
        of_package(image_package.parse(board_package(described, component=uuid4())))


NAMES = st.text(st.sampled_from("ABZ09-_"), min_size=1, max_size=9).map("P".__add__)
BOARDS = st.builds(
    BoardConfiguration,
    name=st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=40),
    component_id=st.uuids(),
    chip=st.from_regex(r"[a-z0-9]{1,9}(-[a-z0-9]{1,9})?", fullmatch=True),
    peripherals=st.builds(
        Capabilities,
        gpio=st.sets(st.integers(0, 1023), min_size=1, max_size=9).map(lambda found: tuple(sorted(found))),
        pwm=st.lists(NAMES, max_size=3, unique=True).map(tuple),
        uart=st.lists(NAMES, max_size=3, unique=True).map(tuple),
    ),
)


@given(BOARDS)
def test_what_is_written_is_read_again(made: BoardConfiguration) -> None:
    assert board_configuration.parse(encode(made)) == made

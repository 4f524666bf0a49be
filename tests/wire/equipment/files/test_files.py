# SPDX-License-Identifier: Apache-2.0
"""Signed recipes and statements about firmware: read as they were written, or refused by one error."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from armillary.wire.equipment.faults import ProfileError
from armillary.wire.equipment.files.firmware_file import MAX_FIRMWARE_BYTES, FirmwareFile, read_firmware
from armillary.wire.equipment.files.recipe_file import MAX_DIGITS, RecipeFile, read_recipe
from armillary.wire.equipment.files.statement import MAX_VERSION

NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,8}(/[a-z][a-z0-9-]{0,8})?", fullmatch=True)
VERSIONS = st.integers(1, MAX_VERSION)
RECIPES = st.builds(
    RecipeFile,
    profile=NAMES,
    name=st.from_regex(r"[\w .,'()+-]{1,64}", fullmatch=True),
    version=VERSIONS,
    slot=st.integers(0, 65535),
    values=st.dictionaries(
        st.text(max_size=12),
        st.booleans() | st.integers(-(10**15), 10**15) | st.floats(-MAX_DIGITS, MAX_DIGITS),
        max_size=6,
    ),
)
FIRMWARES = st.builds(
    FirmwareFile,
    profile=NAMES,
    version=VERSIONS,
    size=st.integers(1, MAX_FIRMWARE_BYTES),
    sha256=st.from_regex(r"[0-9a-f]{64}", fullmatch=True),
)
RECIPE: dict[str, Any] = json.loads(
    RecipeFile(profile="guard/coffee", name="winter", version=7, slot=0, values={"brewTemp": 93.0}).payload
)


@given(RECIPES)
def test_a_recipe_is_read_as_it_was_signed(recipe: RecipeFile):
    assert read_recipe(recipe.payload) == recipe


@given(FIRMWARES)
def test_a_statement_about_firmware_is_read_as_it_was_signed(firmware: FirmwareFile):
    assert read_firmware(firmware.payload) == firmware


@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(lambda each: json.dumps(each).encode())
)
def test_nothing_else_raises_anything_else(payload: bytes):
    for read in (read_recipe, read_firmware):
        with contextlib.suppress(ProfileError):
            read(payload)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"format": 2}, "format"),
        ({"format": True}, "format"),
        ({"version": 0}, "version"),
        ({"version": True}, "version"),
        ({"version": 2**31}, "version"),
        ({"slot": -1}, "slot"),
        ({"profile": "../x"}, "profile"),
        ({"name": "x" * 65}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"values": []}, "values"),
        ({"values": {"brewTemp": "93"}}, "values.brewTemp (rule"),
        ({"values": {"brewTemp": 1e300}}, "values.brewTemp"),
        ({"values": {str(number): 1 for number in range(513)}}, "values"),
        ({"more": 1}, "an object with"),
    ],
)
def test_a_wrong_member_is_named(change: dict[str, object], named: str):
    with pytest.raises(ProfileError) as refused:
        read_recipe(json.dumps({**RECIPE, **change}).encode())
    assert named in refused.value.message


@pytest.mark.parametrize("text", ['{"values": NaN}', '{"format": 1, "format": 1}', "[" * 100_000, "\xff"])
def test_what_is_no_such_json_is_refused(text: str):
    with pytest.raises(ProfileError):
        read_recipe(text.encode("latin-1"))

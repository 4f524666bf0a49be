# SPDX-License-Identifier: Apache-2.0
"""Which tests hold what is explained of each manifest key: what it gives, and what an application gets without it.

``held.json`` names them. No key is only recorded in the grant.
"""

from __future__ import annotations

import ast
import json
from functools import cache
from pathlib import Path

import pytest
from tests.capability.explained import asked, explained

from armillary.capability.explain import GRANTED
from armillary.wire.image.app_manifest import CAPABILITY_KEYS

ROOT = Path(__file__).parents[2]
HELD = json.loads(Path(__file__).with_name("held.json").read_text("utf-8"))


@cache
def names_in(path: str) -> frozenset[str]:
    """Names of the tests in a file."""
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    found = (node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))
    return frozenset(name for name in found if name.startswith("test_"))


def test_every_key_of_the_reference_has_its_row() -> None:
    assert set(HELD) == set(CAPABILITY_KEYS)
    assert all(set(row) == {"gets", "without"} for row in HELD.values())


@pytest.mark.parametrize("key", CAPABILITY_KEYS)
def test_what_is_said_of_a_key_is_held(key: str) -> None:
    (answer,) = explained(**{key: asked(key)}).answers
    row = HELD[key]
    assert answer.answer == GRANTED
    assert row["gets"], f"name the test that holds: {answer.gets}"
    assert row["without"], f"name the test that holds: {answer.without}"
    for name in (*row["gets"], *row["without"]):
        path, _, test = name.partition("::")
        assert test in names_in(path), f"{key}: {name} is not there"

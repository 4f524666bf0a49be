# SPDX-License-Identifier: Apache-2.0
"""A second creation of the same name changes nothing and names ``--replace``, whatever is made."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.cli.conftest import Command

MADE_BY_NAME = {
    "catalog": ("catalog", "create", "--tags", "site=first"),
    "product": ("product", "create", "-p", "Kettle", "--description", "first"),
    "device-group": ("device-group", "create", "-p", "Coffee", "-dg", "Field", "--description", "first"),
}
DOCUMENTS = {
    "group": {"name": "Twice", "template": "none"},
    "dashboard": {"name": "Twice", "tiles": []},
}


@pytest.fixture
def named(armillary: Command, catalog: str) -> str:
    assert armillary("product", "create", "-c", catalog, "-p", "Coffee").code == 0
    return catalog


def again(arguments: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(each.replace("first", "second") for each in arguments)


@pytest.mark.parametrize("noun", MADE_BY_NAME)
def test_the_same_name_again_is_refused_and_nothing_changes(armillary: Command, named: str, noun: str) -> None:
    owner = f"{named}-new" if noun == "catalog" else named
    arguments = (*MADE_BY_NAME[noun], "-c", owner)
    assert armillary(*arguments).code == 0
    shown = armillary(noun, "list", *(() if noun == "catalog" else ("-c", named)), "--json").json

    refused = armillary(*again(arguments))
    assert refused.code == 1
    assert "already: nothing was changed [request.conflict]" in refused.err
    assert "hint: Give --replace to change it" in refused.err
    assert armillary(noun, "list", *(() if noun == "catalog" else ("-c", named)), "--json").json == shown

    changed = armillary(*again(arguments), "--replace")
    assert changed.code == 0, changed.err
    assert "second" in changed.out


@pytest.mark.parametrize("noun", DOCUMENTS)
def test_documents_too(armillary: Command, tmp_path: Path, noun: str, catalog: str) -> None:
    file = tmp_path / "one.json"
    file.write_text(json.dumps(DOCUMENTS[noun]))
    arguments = (noun, "create", "--file", str(file), "-c", catalog, "--id", f"twice-{catalog}")
    made = armillary(*arguments)
    assert made.code == 0, made.err
    refused = armillary(*arguments)
    assert (refused.code, "--replace" in refused.err) == (1, True)
    assert armillary(*arguments, "--replace").code == 0

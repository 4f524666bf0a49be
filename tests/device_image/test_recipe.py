# SPDX-License-Identifier: Apache-2.0
"""The recipe, the pins and the budget of the repository; a slip in one of them is named."""

from __future__ import annotations

import fnmatch
from pathlib import Path

import pytest

from armillary.device_image.architecture.table import ARCHITECTURES
from armillary.device_image.own_kernel.kernel_module import SOURCES, packages_of
from armillary.device_image.recipe import (
    Pin,
    for_architecture,
    kernel_pin,
    module_pins_file,
    package_names,
    pins_file,
    read_budget,
    read_pins,
    read_recipe,
    recipe_folder,
    write_pins,
)
from armillary.errors import InvalidArgumentError

# Programs that would let somebody who got in do more than the device itself can.
NEVER = ("*sh", "busybox", "perl*", "*gcc*", "cc", "apt*", "dpkg*", "ssh*", "curl", "wget", "nc", "tar", "su", "sudo")


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_package_of_the_recipe_is_pinned(architecture: str) -> None:
    folder = recipe_folder()
    recipe, pins = read_recipe(folder, development=True), read_pins(pins_file(folder, architecture))
    assert {each.name for each in for_architecture(recipe, architecture).packages} < pins.keys()
    if architecture not in recipe.kernel:  # it has our own
        return
    kernel = kernel_pin(recipe, architecture, pins)
    assert {*package_names(recipe, architecture), kernel.name} == pins.keys()
    assert kernel.name.endswith(("-armmp", f"-{ARCHITECTURES[architecture].debian}"))
    assert all(ARCHITECTURES[name].root == name for each in recipe.packages for name in each.only)


def test_what_nobody_has_built_for_an_architecture_is_left_out_of_its_recipe_alone() -> None:
    recipe = read_recipe(recipe_folder())
    lacking, packages = set(recipe.python.lacking["armhf"]), {each.name for each in recipe.packages if each.only}
    assert lacking <= set(recipe.python.distributions)
    assert packages
    for name in ARCHITECTURES:
        own = for_architecture(recipe, name)
        assert set(recipe.python.distributions) - set(own.python.distributions) == (
            lacking if name == "armhf" else set()
        )
        assert packages & {each.name for each in own.packages} == (packages if name == "armhf" else set())


def test_modules_of_a_kernels_source_are_compiled_with_pins_of_that_kernel() -> None:
    folder = recipe_folder()
    recipe = read_recipe(folder)
    kernel = kernel_pin(recipe, "armhf", read_pins(pins_file(folder, "armhf")))
    pins = read_pins(module_pins_file(folder, "armhf"))
    assert set(packages_of(kernel.name.removeprefix("linux-image-"))) == pins.keys()
    assert {pin.version for pin in pins.values()} == {kernel.version}
    assert set(recipe.kernel["armhf"].compiled) <= SOURCES.keys()


def test_the_kernel_of_a_kind_is_one_of_the_pins() -> None:
    recipe = read_recipe(recipe_folder())
    named = [
        Pin(name, "1", "a" * 64)
        for name in (
            "linux-image-6.12.118+deb13-cloud-amd64",
            "linux-image-6.12.118+deb13-amd64",
            "linux-image-6.12.120+deb13-cloud-amd64",
            "linux-image-cloud-amd64",
        )
    ]
    assert kernel_pin(recipe, "x86_64", {pin.name: pin for pin in named[:2]}) == named[0]
    for pins, got in ((named[1:2], "got none"), (named, "got linux-image-6.12.118.deb13-cloud-amd64, linux-image-6.1")):
        with pytest.raises(InvalidArgumentError, match=f"expected one pin of a kernel for linux-image-cloud.*{got}"):
            kernel_pin(recipe, "x86_64", {pin.name: pin for pin in pins})


def test_no_shell_no_package_manager_and_no_compiler_is_in_the_recipe() -> None:
    files = [Path(file).name for each in read_recipe(recipe_folder()).packages for file in each.files if "bin/" in file]
    assert files
    assert [file for file in files if any(fnmatch.fnmatchcase(file, pattern) for pattern in NEVER)] == []
    assert "*" not in "".join(files)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_budget_covers_what_is_measured(architecture: str) -> None:
    assert read_budget(recipe_folder(), architecture).keys() == {"total", "root", "unified"}


def test_pins_survive_being_written(tmp_path: Path) -> None:
    pins = [Pin("libc6", "2.41-12", "a" * 64), Pin("e2fsprogs", "1:1.47.2-3+b12", "b" * 64)]
    write_pins(tmp_path / "lock", pins)
    assert read_pins(tmp_path / "lock") == {pin.name: pin for pin in pins}


def test_a_wrong_line_of_pins_is_named(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text(f"# head\nlibc6 2.41 {'a' * 64}\nlibc6 2.41\n", "utf-8")
    with pytest.raises(InvalidArgumentError, match="lock:3: expected NAME VERSION SHA256"):
        read_pins(tmp_path / "lock")


@pytest.mark.parametrize(
    ("text", "named"), [("version = 3", "version"), ("versoin = '1'", "versoin"), ("=", "image.toml")]
)
def test_a_slip_in_the_recipe_is_named(tmp_path: Path, text: str, named: str) -> None:
    (tmp_path / "image.toml").write_text(text, "utf-8")
    with pytest.raises(InvalidArgumentError, match=named):
        read_recipe(tmp_path)


def test_a_version_that_is_given_stands_for_the_recipes_own() -> None:
    assert read_recipe(recipe_folder(), version="26.13-rc1").version == "26.13-rc1"
    for none in ("", "v26", "26 13", '26"', "26\n", "2" * 33, "٢"):
        with pytest.raises(InvalidArgumentError, match="--version: expected a digit"):
            read_recipe(recipe_folder(), version=none)

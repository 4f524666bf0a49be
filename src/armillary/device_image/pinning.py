# SPDX-License-Identifier: Apache-2.0
"""Pins the packages of the recipe to what the host's sources offer now."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from armillary.device_image.architecture.table import ARCHITECTURES
from armillary.device_image.build import CACHE
from armillary.device_image.kept.alone import alone_in
from armillary.device_image.own_kernel.kernel_module import host_architecture, packages_of, split
from armillary.device_image.package_sources.fetching import in_version, newest
from armillary.device_image.recipe import (
    Pin,
    kernel_pin,
    module_pins_file,
    package_names,
    pins_file,
    read_recipe,
    release_of,
    write_pins,
)
from armillary.errors import InvalidArgumentError


def pin(
    folder: Path, architecture: str, output: Path | None = None, *, told: Callable[[str], None] = lambda _line: None
) -> tuple[Path, int]:
    """Write the pins of a recipe's folder, or into ``output``; returns their file, and how many there are.

    A build that is under way in ``.image/cache`` is waited for, which ``told`` hears.

    Raises:
        HostError: a package is not offered.
        InvalidArgumentError: the architecture has another one's packages, or the output is no place for a file.
    """
    if output is not None and (output.is_dir() or not output.absolute().parent.is_dir()):
        reason = "it is a folder" if output.is_dir() else f"there is no folder {output.absolute().parent}"
        raise InvalidArgumentError(
            f"--output-file {output}: expected a file in a folder: {reason}",
            remedy="Name a file in a folder that is there, or leave it out.",
        )
    recipe = read_recipe(folder, development=True)
    if architecture not in recipe.kernel:
        root = ARCHITECTURES[architecture].root
        raise InvalidArgumentError(
            f"{architecture} has the packages of {root}, and no pins of its own",
            remedy=f"armillary image pin --arch {root}",
        )
    cache = folder.parent / ".image" / CACHE
    with alone_in(cache, told):
        pins = newest(
            package_names(recipe, architecture),
            cache / "debian",
            architecture=ARCHITECTURES[architecture].debian,
            kernel=recipe.kernel[architecture].package,
        )
        modules = _module_pins(folder, architecture, pins, cache) if recipe.kernel[architecture].compiled else []
    file = output or pins_file(folder, architecture)
    write_pins(file, pins)
    if modules:
        write_pins(output.with_suffix(".module.lock") if output else module_pins_file(folder, architecture), modules)
    return file, len(pins)


def _module_pins(folder: Path, architecture: str, pins: Iterable[Pin], cache: Path) -> list[Pin]:
    """What modules of the pinned kernel are compiled with, in its version."""
    target, store = ARCHITECTURES[architecture], cache / "debian"
    recipe = read_recipe(folder)
    kernel = kernel_pin(recipe, architecture, {pin.name: pin for pin in pins})
    own, hosts = split(packages_of(release_of(kernel)))
    found = in_version(own, kernel.version, store, architecture=target.debian)
    return [*found, *in_version(hosts, kernel.version, store, architecture=host_architecture())]

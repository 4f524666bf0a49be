# SPDX-License-Identifier: Apache-2.0
"""Pins the packages of the recipe to what the host's sources offer now."""

from __future__ import annotations

from pathlib import Path

from armillary.device_image import debian
from armillary.device_image.architecture.table import ARCHITECTURES
from armillary.device_image.build import CACHE
from armillary.device_image.recipe import package_names, pins_file, read_recipe, write_pins


def pin(folder: Path, architecture: str) -> tuple[Path, int]:
    """Write the pins of a recipe's folder; returns their file, and how many there are.

    Raises:
        HostError: a package is not offered.
    """
    names = package_names(read_recipe(folder), architecture)
    store = folder.parent / ".image" / CACHE / "debian"
    pins = debian.newest(names, store, architecture=ARCHITECTURES[architecture].debian)
    file = pins_file(folder, architecture)
    write_pins(file, pins)
    return file, len(pins)

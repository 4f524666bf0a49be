# SPDX-License-Identifier: Apache-2.0
"""The whole image is built twice, each time from nothing but packages and keys: every file is the same."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path

import pytest

from armillary.device_image.architecture.table import Architecture
from armillary.device_image.build import CACHE, Plan, build
from armillary.device_image.recipe import recipe_folder
from armillary.device_image.uboot.source import PATCHES, SOURCE


@pytest.mark.long
def test_the_same_input_gives_the_same_image(image: Path, architecture: Architecture, tmp_path: Path) -> None:
    digests = []
    for name in ("one", "two"):
        place = tmp_path / name
        (place / CACHE).mkdir(parents=True)
        for kept in ("debian", "python"):  # what was fetched; nothing that was built
            (place / CACHE / kept).symlink_to(image.parent / CACHE / kept)
        if not architecture.has_uefi:  # the kernel has a test of its own
            (place / "kernel").symlink_to(image.parent / "kernel")
            (place / CACHE / "uboot").mkdir()
            for file in (SOURCE, PATCHES):
                (place / CACHE / "uboot" / file.name).symlink_to(image.parent / CACHE / "uboot" / file.name)
        shutil.copytree(image / "keys", place / "image" / "keys")
        plan = Plan(recipe_folder=recipe_folder(), output=place / "image", architecture=architecture.name)
        digests.append(build(plan, at=dt.datetime.now(dt.UTC))["sha256"])
    assert digests[0] == digests[1]
    assert {"disk.img", "root.img", "started.img", "bill.cdx.json", "reference-values.json"} <= digests[0].keys()

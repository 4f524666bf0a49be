# SPDX-License-Identifier: Apache-2.0
"""Blocks that nobody runs but that a part of the product reads: read by that part."""

from __future__ import annotations

import tempfile
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.e2e.guides.blocks import Block

from armillary.errors import ArmillaryError
from armillary.settings import load_settings
from armillary.sim.templates import behaviour


def _settings(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "armillary.toml")
        config.write_text(text, "utf-8")
        try:
            load_settings(config, {}, {})
        except ArmillaryError as error:
            raise AssertionError(str(error)) from error


def _devices(text: str) -> None:
    tables = tomllib.loads(text)["device"]
    assert tables
    for table in tables:
        try:
            behaviour.parse(table)
        except ArmillaryError as error:
            raise AssertionError(str(error)) from error


# What a block may be marked as -> what reads it; it fails where the text makes no sense.
KINDS: Mapping[str, Callable[[str], None]] = {"settings": _settings, "simulated devices": _devices}


def check(block: Block) -> None:
    """Have the part of the product read a block.

    Raises:
        AssertionError: The block makes no sense to it.
    """
    KINDS[block.marks["checked as"]](block.text)

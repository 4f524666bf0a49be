# SPDX-License-Identifier: Apache-2.0
"""Benchmarks are run by hand and at night: what they take from the product has to be there all the same."""

from __future__ import annotations

import importlib
from pathlib import Path

import bench


def test_every_benchmark_can_be_loaded() -> None:
    modules = {path.stem for path in Path(bench.__file__).parent.glob("*.py")} - {"__init__", "__main__"}
    assert len(modules) > 30
    for name in sorted(modules):
        importlib.import_module(f"bench.{name}")

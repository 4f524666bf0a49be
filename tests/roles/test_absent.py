# SPDX-License-Identifier: Apache-2.0
"""An optional dependency counts as not installed while others are imported, and only then."""

from __future__ import annotations

import importlib
import sys

import pytest

from armillary.roles.absent import absent


def test_a_package_counts_as_not_installed_inside_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    with absent("colorsys"), pytest.raises(ModuleNotFoundError, match="colorsys"):
        importlib.import_module("colorsys")
    assert importlib.import_module("colorsys").rgb_to_hls


def test_a_package_that_is_there_stays() -> None:
    there = sys.modules["importlib"]
    with absent("importlib"):
        assert sys.modules["importlib"] is there
    assert sys.modules["importlib"] is there


def test_it_is_put_back_when_an_import_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    with pytest.raises(ModuleNotFoundError), absent("colorsys"):
        importlib.import_module("colorsys")
    assert "colorsys" not in sys.modules

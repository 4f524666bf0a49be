# SPDX-License-Identifier: Apache-2.0
"""What ``armillary up`` leaves out of its process."""

from __future__ import annotations

import importlib
import sys

import pytest

from armillary.cli.service import up


def test_a_package_counts_as_not_installed_inside_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    with up._without("colorsys"), pytest.raises(ModuleNotFoundError, match="colorsys"):
        importlib.import_module("colorsys")
    assert importlib.import_module("colorsys").rgb_to_hls


def test_a_package_that_is_there_stays() -> None:
    there = sys.modules["importlib"]
    with up._without("importlib"):
        assert sys.modules["importlib"] is there
    assert sys.modules["importlib"] is there


def test_it_is_put_back_when_an_import_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    with pytest.raises(ModuleNotFoundError), up._without("colorsys"):
        importlib.import_module("colorsys")
    assert "colorsys" not in sys.modules


def test_modules_of_a_package_are_loaded_without_its_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [each for each in sys.modules if each.partition(".")[0] == "wsgiref"]:
        monkeypatch.delitem(sys.modules, name)
    up._leave_out_entry("wsgiref", Headers="headers")
    assert importlib.import_module("wsgiref").Headers is importlib.import_module("wsgiref.headers").Headers
    assert importlib.import_module("wsgiref").__doc__ is None  # which its entry has
    monkeypatch.delitem(sys.modules, "wsgiref")
    assert importlib.import_module("wsgiref").__doc__
    up._leave_out_entry("wsgiref")
    assert importlib.import_module("wsgiref").__doc__

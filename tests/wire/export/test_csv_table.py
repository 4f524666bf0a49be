# SPDX-License-Identifier: Apache-2.0
"""CSV: what goes in comes out, and nothing that comes from a device is a formula on the reader's machine."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given, strategies as st

from armillary.wire.export.csv_table import csv_head, csv_rows, shielded


def test_truth_values_are_written_as_in_json() -> None:
    assert csv_rows([{"a": True, "b": False}], ["a", "b"]) == "true,false\r\n"


@given(st.lists(st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=12), max_size=5))
def test_cells_come_back_and_no_formula_does(cells: list[str]) -> None:
    text = csv_head(["a", "b"]) + csv_rows([{"a": cell, "b": None} for cell in cells], ["a", "b"])
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert rows[0] == ["a", "b"]
    assert len(rows) == len(cells) + 1
    for (found, nothing), cell in zip(rows[1:], cells, strict=True):
        assert found.removeprefix("'") == cell.removeprefix("'")
        assert found[:1] not in set("=@\t\r")
        assert found[:1] not in set("+-") or float(found) is not None
        assert nothing == ""


@pytest.mark.parametrize("cell", ["=1+1", "+1+1", "-1-A1", "+A1", "@SUM(A1)", " =1", "\t=1", "\r=1"])
def test_no_cell_is_a_formula(cell: str) -> None:
    assert shielded(cell) == "'" + cell
    assert csv_rows([{"a": cell}], ["a"]) == csv_rows([{"a": "'" + cell}], ["a"])
    assert shielded("a" + cell) == "a" + cell


@pytest.mark.parametrize("cell", ["-1", "+1", "-40.25", "7"])
def test_a_figure_stays_a_figure(cell: str) -> None:
    assert shielded(cell) == cell

# SPDX-License-Identifier: Apache-2.0
"""CSV: what goes in comes out, and nothing that comes from a device is a formula on the reader's machine."""

from __future__ import annotations

import csv
import io

from hypothesis import given, strategies as st

from armillary.wire.export.csv_table import FORMULA_STARTS, csv_head, csv_rows


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
        assert not found.startswith(FORMULA_STARTS)
        assert nothing == ""

# SPDX-License-Identifier: Apache-2.0
"""Tables fit the terminal, and are whole where they go into a pipe."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios

import pytest
from hypothesis import given, strategies as st

from armillary.cli.terminal.fitting import ELLIPSIS, GAP, LEAST, Fitted, cut, fit, padded, width_of

COLUMNS = ("name", "device_id", "health", "chip", "catalog", "os_version")
ROWS = [
    ("Freezer in the cellar of the north wing", "0123456789ab", "attested", "mt3620", "Demo", "24.06"),
    ("Oven", "ba9876543210", "silent", "mt3620", "Demo", "24.07"),
]


def line_width(found: Fitted) -> int:
    return sum(found.widths) + len(GAP) * (len(found.widths) - 1)


def test_a_pipe_gets_every_character() -> None:
    found = fit(COLUMNS, ROWS, None)
    assert found.columns == COLUMNS
    assert found.rows == tuple(ROWS)
    assert found.widths == (39, 12, 8, 6, 7, 10)


def test_a_wide_terminal_gets_the_same() -> None:
    assert fit(COLUMNS, ROWS, 200) == fit(COLUMNS, ROWS, None)


def test_the_longest_cells_are_cut_first_and_ids_never() -> None:
    found = fit(COLUMNS, ROWS, 80)
    assert line_width(found) == 80
    assert found.columns == COLUMNS
    assert found.widths == (27, 12, 8, 6, 7, 10)


def test_columns_that_say_the_same_in_every_row_go_before_others() -> None:
    assert fit(COLUMNS, ROWS, 50).same == (("catalog", "Demo"),)
    found = fit(COLUMNS, ROWS, 45)
    assert found.same == (("chip", "mt3620"), ("catalog", "Demo"))
    assert found.columns == ("name", "device_id", "health", "os_version")
    assert found.left_out == ()


def test_the_first_and_the_last_column_stay() -> None:
    found = fit(COLUMNS, ROWS, 20)
    assert found.columns == ("name", "os_version")
    assert found.left_out == ("device_id", "health")


def test_ids_of_azure_s_form_are_whole_and_the_first_of_them_stays() -> None:
    ids = ("imageName", "imageType", "imageId", "componentId")
    row = (
        "smart_cable",
        "Applications",
        "6f230000-0000-4000-8000-000000000001",
        "6f231111-0000-4000-8000-000000000002",
    )
    found = fit(ids, [row, ("other", "Applications", *row[2:][::-1])], 80)
    assert found.columns == ("imageName", "imageId")
    assert found.rows[0][1] == row[2]
    assert found.widths[1] == 36
    assert found.left_out == ("componentId",)


def test_a_single_row_loses_no_column_for_saying_the_same() -> None:
    assert fit(COLUMNS, ROWS[:1], 40).same == ()


TEXT = st.text(st.characters(exclude_categories=("C", "Z", "M")), max_size=60)


@given(
    st.integers(1, 8).flatmap(lambda n: st.lists(st.tuples(*[TEXT] * n), min_size=1, max_size=5)), st.integers(20, 200)
)
def test_every_table_fits_twenty_columns_and_more(rows: list[tuple[str, ...]], room: int) -> None:
    names = tuple(f"c{i}" for i in range(len(rows[0])))
    found = fit(names, rows, room)
    assert line_width(found) <= max(room, 2 * LEAST + len(GAP))
    assert set(found.columns) | {name for name, _ in found.same} | set(found.left_out) == set(names)
    for row in found.rows:
        for cell, width in zip(row, found.widths, strict=True):
            assert width_of(padded(cut(cell, width), width)) == width


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("attested", 8, "attested"),
        ("attested", 5, "atte…"),
        ("two words", 5, "two…"),
        ("東京の冷蔵庫", 7, "東京の…"),
        ("e\u0301te\u0301", 3, "e\u0301te\u0301"),
    ],
)
def test_cutting_counts_what_the_terminal_shows(text: str, width: int, shown: str) -> None:
    assert cut(text, width) == shown


PRINTS = """
from armillary.cli.terminal.output import table
rows = [{"name": "Freezer in the cellar of the north wing", "device_id": f"{i:012d}", "chip": "mt3620"} for i in range(2)]
table(rows, ("name", "device_id", "chip"), empty="").print_text()
"""


def printed_to_a_terminal(width: int, **variables: str) -> list[str]:
    """The lines that a process writes to a real terminal of this width."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "PYTHONIOENCODING")}
    with os.fdopen(ours, "rb", buffering=0) as reader:
        subprocess.run(
            [sys.executable, "-c", PRINTS], stdout=theirs, stderr=theirs, check=True, env={**environment, **variables}
        )
        os.close(theirs)
        return reader.read(4096).decode().splitlines()


def test_a_real_terminal_is_asked_for_its_width() -> None:
    assert (
        printed_to_a_terminal(50, PYTHONUTF8="1", NO_COLOR="1")[1]
        == f"Freezer in the cellar of th{ELLIPSIS}  000000000000  mt3620"
    )
    assert (
        printed_to_a_terminal(100, NO_COLOR="1")[1] == "Freezer in the cellar of the north wing  000000000000  mt3620"
    )


def test_a_terminal_without_the_ellipsis_gets_three_dots() -> None:
    assert "..." in printed_to_a_terminal(50, PYTHONIOENCODING="ascii", NO_COLOR="1")[1]


def test_a_pipe_is_never_asked() -> None:
    run = subprocess.run([sys.executable, "-c", PRINTS], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[1] == "Freezer in the cellar of the north wing  000000000000  mt3620"

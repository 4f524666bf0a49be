# SPDX-License-Identifier: Apache-2.0
"""How much of a serial line a poll plan takes: by the wire's own arithmetic."""

from __future__ import annotations

from typing import Any

import pytest
from tests.wire.equipment.profile_documents import machine

from armillary.guard.compiling import MAX_LINE_LOAD, compile_profile
from armillary.guard.line_load import TURNAROUND_S, line_load
from armillary.wire.equipment.faults import ProfileError
from armillary.wire.equipment.profile_reader import read_profile


def serial(every_s: float, **settings: Any) -> dict[str, Any]:
    """Ten registers that are read at once."""
    points = {f"p{index}": {"table": "input", "address": index, "raw": "u16", "group": "fast"} for index in range(10)}
    head = {key: machine()[key] for key in ("profile", "version", "title", "manufacturer", "model")}
    link = {"protocol": "modbus-rtu", "port": "UART2", **settings}
    return {**head, "link": link, "groups": {"fast": every_s}, "points": points}


@pytest.mark.parametrize(
    ("settings", "characters", "bits", "silence_s"),
    [
        ({"baud": 9600, "parity": "N", "gap_s": 0}, 8 + 25, 10, 3.5 * 10 / 9600),
        ({"baud": 9600, "parity": "E", "stop_bits": 1, "gap_s": 0.02}, 8 + 25, 11, 0.02),
        ({"baud": 19200, "parity": "E", "gap_s": 0}, 8 + 25, 11, 3.5 * 11 / 19200),
        ({"baud": 115200, "parity": "N", "stop_bits": 2, "gap_s": 0}, 8 + 25, 11, 0.00175),
    ],
)
def test_the_load_is_that_of_request_reply_and_silences(
    settings: dict[str, Any], characters: int, bits: int, silence_s: float
) -> None:
    compiled = compile_profile(read_profile(serial(1, **settings)))
    assert len(compiled.blocks) == 1
    expected = characters * bits / settings["baud"] + 2 * silence_s + TURNAROUND_S
    assert line_load(compiled.profile, compiled.blocks) == pytest.approx(expected)


def test_more_than_the_line_carries_is_refused() -> None:
    compile_profile(read_profile(serial(0.1, baud=9600)))
    with pytest.raises(ProfileError, match=f"{MAX_LINE_LOAD:.0%}") as refused:
        compile_profile(read_profile(serial(0.05, baud=9600)))
    assert refused.value.rule == "line"


def test_other_links_have_no_line() -> None:
    compiled = compile_profile(read_profile(machine()))
    assert line_load(compiled.profile, compiled.blocks) is None

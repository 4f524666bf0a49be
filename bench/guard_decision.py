# SPDX-License-Identifier: Apache-2.0
"""Microseconds that the guard takes to decide about one frame, against the limit of one microsecond.

``guard-decision``: the reads of the poll plan; a guardian sends nearly nothing else. ``guard-decision-write``: writes
of commands within their ranges: a register's value is read and compared, a coil's looked up.
``guard-decision-refused``: frames of functions, addresses and units that the profile does not list, each of which is an
error with a sentence. One thread, CPU time, the shipped coffee machine and sensing cable; what it costs to make the
request is not counted.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from itertools import product

from armillary.content import equipment
from armillary.guard.allow_list import AllowList
from armillary.guard.compiling import compile_profile
from armillary.guard.deciding import decide
from armillary.wire.equipment.faults import GuardRefusedError
from armillary.wire.equipment.request import ModbusRequest, Request
from bench.result import result

ROUNDS = 15
DECISIONS = 100_000  # a round, less than 0.1 s
LIMIT_US = 1.0

Asked = Sequence[tuple[AllowList, Request]]


def run() -> list[dict[str, object]]:
    """Reads, writes and refusals: microseconds a decision."""
    profiles = [compile_profile(equipment.load(name)) for name in ("coffee", "cable")]
    coffee = profiles[0].allow
    reads = [(profile.allow, block.request) for profile in profiles for block in profile.blocks]
    writes = [(coffee, ModbusRequest(1, b"\x06\0\x64" + raw.to_bytes(2, "big"))) for raw in range(850, 961)]
    writes += [(coffee, ModbusRequest(1, bytes([5, 0, coil, 0xFF, 0]))) for coil in (10, 20, 30, 31, 32)]
    refused = [
        (coffee, ModbusRequest(unit, bytes([function, 0, first, 3, 0xFF])))
        for unit, function, first in product((1, 2), (1, 3, 6, 8, 23), (0, 100, 200))
    ]
    return [
        _result("guard-decision", reads, decide, "reads of the poll plans"),
        _result("guard-decision-write", writes, decide, "writes of commands in their ranges"),
        _result("guard-decision-refused", refused, _refused, "frames that are not listed"),
    ]


def _refused(allow: AllowList, request: Request) -> None:
    try:
        decide(allow, request)
    except GuardRefusedError:
        return
    raise RuntimeError(f"{request} was permitted")


def _result(name: str, asked: Asked, judge: Callable[[AllowList, Request], object], what: str) -> dict[str, object]:
    return result(
        name,
        statistics.median(_microseconds(asked, judge) for _ in range(ROUNDS)),
        "us/frame",
        ("the limit", LIMIT_US),
        f"{len(asked)} {what}, one thread, CPU time, median of {ROUNDS} rounds of {DECISIONS:,}",
    )


def _microseconds(asked: Asked, judge: Callable[[AllowList, Request], object]) -> float:
    times = max(1, DECISIONS // len(asked))
    started = time.thread_time()
    for _ in range(times):
        for allow, request in asked:
            judge(allow, request)
    return (time.thread_time() - started) / (times * len(asked)) * 1e6

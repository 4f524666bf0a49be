# SPDX-License-Identifier: Apache-2.0
"""The service's clock jumps: nothing is let in that time forbids, and devices are back when it is right again."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from armillary.sim.device.service_host import ServiceHost
from armillary.sim.device.wire_device import WireDevice
from armillary.wire.device.problem import Problem, parse_problem

DAY_S = 86_400.0
YEAR_S = 365 * DAY_S


def refusal(device: WireDevice) -> Problem:
    device.challenge = b""
    answer = device.exchange("GET", "/v1/challenge")
    assert answer.status == 403
    return parse_problem(answer.body)


def attested(device: WireDevice) -> bool:
    device.challenge = b""
    return device.check_in().verdict == "attested"


@pytest.mark.parametrize(
    ("jump_s", "remedy"), [(-DAY_S, "clock"), (-50 * YEAR_S, "clock"), (21 * YEAR_S, "new identity certificate")]
)
def test_a_time_outside_the_certificate_is_refused_until_the_clock_is_right(
    tmp_path: Path, clock: dict[str, float], jump_s: float, remedy: str
) -> None:
    now = lambda: time.time() + clock["offset"]  # noqa: E731
    with ServiceHost(tmp_path / "data", clock=now, planner_interval_s=0.05) as host:
        host.catalog()
        with host.claimed(b"j" * 32) as device:
            assert attested(device)
            clock["offset"] = jump_s
            problem = refusal(device)
            assert problem.code == "device.state"
            assert remedy in problem.remedy
            host.service.tokens.create("meanwhile", "Reader", actor="t")
            clock["offset"] = 0.0
            assert attested(device)
        assert host.service.audit.verify().broken_at is None
        assert host.service.health()["ok"]


def test_a_proof_is_good_once_whatever_the_clock_does(host: ServiceHost, clock: dict[str, float]) -> None:
    with host.claimed(b"k" * 32) as device:
        body = device.request_body(device.fetch_challenge())
        assert device.exchange("POST", "/v1/check-in", body).status == 200
        for jump_s in (30.0, 2 * DAY_S, 0.0, -30.0, YEAR_S, 0.0):
            clock["offset"] = jump_s
            assert device.exchange("POST", "/v1/check-in", body).status == 401
        assert attested(device)

# SPDX-License-Identifier: Apache-2.0
"""What a new OS is judged by: what fails since it runs, and always what a release is judged by."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from armillary.attest.steps import FORK_STEPS, STEPS
from armillary.update.install.refusal import OF_THE_IDENTITY, OF_THE_RELEASE, Refusal, failed_steps, refusal_of
from armillary.wire.device.checkin import AppraisalStep, CheckinReply


def reply(*failed: int, verdict: str = "update-only") -> CheckinReply:
    steps = [AppraisalStep(n, f"s{n}", "", "fail" if n in failed else "pass", f"d{n}") for n in range(1, 21)]
    return cast("CheckinReply", SimpleNamespace(verdict=verdict, steps=steps))


@pytest.mark.parametrize(
    ("now", "before", "expected"),
    [
        ((13,), (), Refusal("step (13) s13: d13", bars=True)),
        ((13, 19), (), Refusal("step (13) s13: d13; step (19) s19: d19", bars=True)),
        ((19, 20), (19,), Refusal("step (20) s20: d20", bars=True)),
        ((13, 17), (13, 17), Refusal("step (13) s13: d13", bars=True)),  # a bad release for another
        ((18,), (18,), Refusal("step (18) s18: d18", bars=True)),
        ((17,), (17,), None),
        ((10, 16, 17, 19, 20), (10, 16, 17, 19, 20), None),
        ((17,), (), Refusal("step (17) s17: d17", bars=False)),
        ((10, 17), (19,), Refusal("step (10) s10: d10; step (17) s17: d17", bars=False)),
        ((17, 20), (), Refusal("step (17) s17: d17; step (20) s20: d20", bars=True)),
        ((), (17,), Refusal("update-only", bars=True)),
    ],
)
def test_an_os_is_judged_by_what_fails_since_it_runs(
    now: tuple[int, ...], before: tuple[int, ...], expected: Refusal | None
) -> None:
    assert refusal_of(reply(*now), before) == expected
    assert failed_steps(reply(*now)) == set(now)


def test_an_os_that_is_attested_has_nothing_against_it() -> None:
    assert refusal_of(reply(verdict="attested"), ()) is None


def test_the_steps_are_those_of_the_service() -> None:
    names = {number: name for number, name, _ in STEPS}
    assert OF_THE_IDENTITY == FORK_STEPS
    assert [names[number] for number in sorted(OF_THE_RELEASE)] == [
        "known components", "complete release", "security version", "release in force",
    ]  # fmt: skip

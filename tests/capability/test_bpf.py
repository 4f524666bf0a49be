# SPDX-License-Identifier: Apache-2.0
"""The assembler: what it refuses and that its jumps land."""

from __future__ import annotations

import pytest
from tests.capability.bpf_machine import run

from armillary.capability.bpf import Case, Check, Half, Rule, assemble

ARCH = 0xC000003E


def test_two_rules_for_one_number_are_a_fault() -> None:
    rule = Rule(1, (Case(1),))
    with pytest.raises(ValueError, match="two rules"):
        assemble([rule, rule], architecture=ARCH, default=0)


def test_a_rule_beyond_the_reach_of_a_jump_is_a_fault() -> None:
    cases = tuple(Case(1, (Check(0, value),)) for value in range(90))
    with pytest.raises(ValueError, match="jump"):
        assemble([Rule(1, cases)], architecture=ARCH, default=0)


def test_a_program_the_kernel_would_refuse_is_a_fault() -> None:
    with pytest.raises(ValueError, match="4096"):
        assemble([Rule(number, (Case(1),)) for number in range(2100)], architecture=ARCH, default=0)


@pytest.mark.parametrize("masked", [True, False])
def test_all_checks_of_a_case_must_hold(masked: bool) -> None:
    mask = 0xFF if masked else 0xFFFFFFFF
    case = Case(7, (Check(0, 1, mask), Check(1, 2, mask, Half.HIGH), Check(5, 3, mask)))
    program = assemble([Rule(9, (case, Case(8, (Check(0, 5),))))], architecture=ARCH, default=6)

    def decide(*arguments: int) -> int:
        return run(program, number=9, architecture=ARCH, arguments=arguments)

    assert decide(1, 2 << 32, 0, 0, 0, 3) == 7
    assert decide(5, 2 << 32, 0, 0, 0, 3) == 8
    assert decide(1, 2, 0, 0, 0, 3) == 6
    assert decide(1, 2 << 32, 0, 0, 0, 4) == 6
    assert decide(0x101, 2 << 32, 0, 0, 0, 3) == (7 if masked else 6)


def test_a_case_without_checks_ends_the_rule() -> None:
    program = assemble([Rule(9, (Case(7), Case(8)))], architecture=ARCH, default=6)
    assert run(program, number=9, architecture=ARCH) == 7
    assert run(program, number=10, architecture=ARCH) == 6

# SPDX-License-Identifier: Apache-2.0
"""The assembler: what it refuses and that its jumps land."""

from __future__ import annotations

import random

import pytest
from tests.capability.bpf_machine import run

from armillary.capability.bpf import Case, Check, Half, Rule, assemble

ARCH = 0xC000003E
PLAIN = (Case(7),)
CHECKED = (Case(8, (Check(0, 1),)), Case(9))
LONG = tuple(Case(10 + value, (Check(0, value),)) for value in range(90))


def test_two_rules_for_one_number_are_a_fault() -> None:
    rule = Rule(1, (Case(1),))
    with pytest.raises(ValueError, match="two rules"):
        assemble([rule, rule], architecture=ARCH, default=0)


def test_a_rule_beyond_the_reach_of_a_jump_is_a_fault() -> None:
    checks = tuple(Check(0, 1, mask=value) for value in range(90))
    with pytest.raises(ValueError, match="jump"):
        assemble([Rule(1, (Case(1, checks),))], architecture=ARCH, default=0)


def test_a_program_the_kernel_would_refuse_is_a_fault() -> None:
    with pytest.raises(ValueError, match="4096"):
        assemble([Rule(number, (Case(number + 1),)) for number in range(2100)], architecture=ARCH, default=0)


def test_every_number_finds_its_own_rule() -> None:
    """Alone, in a row that is decided alike, beside a gap, at the ends, and behind more than a short jump reaches."""
    chance = random.Random(4122)  # noqa: S311 - the same each time
    for _ in range(60):
        numbers = sorted(chance.sample(range(chance.choice((40, 500))), chance.choice((1, 2, 7, 35))))
        rules = {number: chance.choice((PLAIN, PLAIN, CHECKED, LONG)) for number in numbers}
        limit = chance.choice((None, numbers[-1], 1 << 30))
        program = assemble(
            [Rule(number, cases) for number, cases in rules.items()], architecture=ARCH, default=6, number_limit=limit
        )
        for number in (*range(numbers[-1] + 3), 1 << 30, 0xFFFFFFFF):
            for argument in (0, 1, 89):
                found = run(program, number=number, architecture=ARCH, arguments=[argument])
                known = rules.get(number, ()) if limit is None or number < limit else ()
                assert found == decided(known, argument), (number, argument, rules, limit)


def decided(cases: tuple[Case, ...], argument: int) -> int:
    return next((case.action for case in cases if all(check.value == argument for check in case.checks)), 6)


def test_numbers_that_are_decided_alike_take_one_instruction_together() -> None:
    many = assemble([Rule(number, PLAIN) for number in range(3, 400)], architecture=ARCH, default=6)
    one = assemble([Rule(3, PLAIN)], architecture=ARCH, default=6)
    assert len(many) == len(one)


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

# SPDX-License-Identifier: Apache-2.0
"""The boot counter over 10,000 histories: honest machines are never accused, two living copies are found.

One gap is known and asserted: a copy that always boots past the other before it speaks looks like one machine that
boots often. Only something that the device keeps from reply to reply could tell them apart.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random

from armillary.attest.appraise import Enrolment, _counter_fault
from armillary.wire.evidence import Endorsement

HISTORIES = 10_000
CHECK_INS = 8


class Machine:
    """A boot counter, and one endorsement per boot, which no other boot repeats."""

    def __init__(self, random: Random, count: int = 0) -> None:
        self.random, self.count = random, count
        self.boot()

    def boot(self) -> None:
        self.count += 1
        self.endorsement = self.random.randbytes(32)


class Registry:
    """What the service compares with; only an attested check-in moves it."""

    def __init__(self) -> None:
        self.enrolment = Enrolment(device_id="", identity_key=b"", chip="", trust_tier="software")

    def faults(self, machine: Machine) -> str:
        claims = Endorsement(device_id="", alias_key=b"", log_head=b"", boot_count=machine.count)
        fault = _counter_fault(claims, machine.endorsement, self.enrolment)
        if not fault:
            self.enrolment = replace(
                self.enrolment, last_boot_count=machine.count, last_endorsement=machine.endorsement
            )
        return fault


def test_restarts_and_lost_replies_never_raise_an_alarm():
    random = Random(1)  # noqa: S311 - histories, no secrets
    for _ in range(HISTORIES):
        machine, registry = Machine(random), Registry()
        for _ in range(CHECK_INS):
            assert not registry.faults(machine)
            if random.random() < 0.3:
                assert not registry.faults(machine)  # the reply was lost, so it asks again
            for _ in range(random.randrange(3)):
                machine.boot()


def test_two_living_copies_are_found_once_both_spoke_unless_each_leaps_over_the_other():
    random, found = Random(2), 0  # noqa: S311 - histories, no secrets
    for _ in range(HISTORIES):
        registry, original = Registry(), Machine(random)
        assert not registry.faults(original)
        copy = Machine(random, original.count)  # the disk was copied; the copy boots on from there
        spoke, last, leapt, alarm = [0, 0], 0, True, False
        while min(spoke) < 2 and not alarm:
            who = random.randrange(2)
            machine = (original, copy)[who]
            for _ in range(random.randrange(3)):
                machine.boot()
            if who != last:
                leapt = leapt and machine.count > registry.enrolment.last_boot_count
            alarm = bool(registry.faults(machine))
            spoke[who] += 1
            last = who
        assert alarm or leapt
        found += alarm
    assert found > HISTORIES * 0.8

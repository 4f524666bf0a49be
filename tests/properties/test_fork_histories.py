# SPDX-License-Identifier: Apache-2.0
"""Random histories of boots, lost replies, restores and copies: honest machines are never accused, copies always are.

The rules are the service's own (steps 10 and 17 of the appraisal, and what is recorded after a check-in); only the
messages are missing. Every history has a seed, and a failing one says it.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from random import Random

from armillary.attest.appraise import Enrolment, _counter_fault
from armillary.attest.lineage import NO_LINEAGE, NONE_YET, Lineage, continued, lineage_fault
from armillary.wire.attestation.evidence import Endorsement

HISTORIES = 10_000
CHECK_INS = 12


class Machine:
    """What a device keeps: a boot counter and the last reply's challenge in flash, the rest until it restarts."""

    def __init__(self, random: Random) -> None:
        self.random, self.count, self.kept = random, 0, NONE_YET
        self.boot()

    def boot(self) -> None:
        self.count += 1
        self.endorsement = self.random.randbytes(32)
        self.challenge: bytes | None = None

    def copied(self, *, with_memory: bool) -> Machine:
        other = copy.copy(self)
        if not with_memory:
            other.boot()
        return other

    def take(self, handed: bytes) -> None:
        self.kept = self.challenge = handed

    def restore(self, flash: tuple[int, bytes]) -> None:
        self.count, self.kept = flash
        self.boot()


class Service:
    """What the service compares with and records."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.enrolment = Enrolment(device_id="", identity_key=b"", chip="", trust_tier="software")
        self.lineage: Lineage = NO_LINEAGE
        self.spent: set[bytes] = set()
        self.fault = ""

    def check_in(self, machine: Machine, *, lost: bool = False) -> bool:
        """Whether the machine is attested; a machine whose challenge was spent asks for another one at once."""
        answered, shown = machine.challenge, None
        machine.challenge = None
        if answered is None or answered in self.spent:
            answered, shown = self.random.randbytes(16), machine.kept
        self.spent.add(answered)
        claims = Endorsement(device_id="", alias_key=b"", log_head=b"", boot_count=machine.count)
        self.fault = _counter_fault(claims, machine.endorsement, self.enrolment) or lineage_fault(
            self.lineage, answered, shown
        )
        handed = self.random.randbytes(16)
        self.lineage = continued(self.lineage, answered, shown, handed)
        if self.fault:
            self.lineage = self.lineage._replace(held_at=self.lineage.held_at or 1)
        else:
            self.enrolment = replace(
                self.enrolment, last_boot_count=machine.count, last_endorsement=machine.endorsement
            )
        if not lost:
            machine.take(handed)
        return not self.fault

    def release(self) -> None:
        self.lineage = Lineage(self.lineage.newest, begins=True)
        self.enrolment = replace(self.enrolment, last_boot_count=0, last_endorsement=b"")


def _service(seed: int) -> tuple[Service, Machine]:
    random = Random(seed)  # noqa: S311 - histories, no secrets
    return Service(random), Machine(random)


def test_restarts_restores_and_lost_replies_never_raise_an_alarm():
    for seed in range(HISTORIES):
        service, machine = _service(seed)
        random = service.random
        saved: tuple[int, bytes] | None = None
        for _ in range(CHECK_INS):
            lost = random.random() < 0.3
            assert service.check_in(machine, lost=lost), (seed, service.fault)
            # A backup from before an answered check-in, or from before a boot that the service has seen, is another
            # machine to the service; every other one may be put back.
            if saved is not None and (not lost or machine.count > saved[0]):
                saved = None
            for _ in range(random.randrange(4)):
                event = random.random()
                if event < 0.5:
                    machine.boot()
                elif event < 0.75:
                    saved = (machine.count, machine.kept)
                elif saved is not None:
                    machine.restore(saved)


def test_two_living_copies_are_found_within_two_answered_check_ins_of_each():
    by_counter = by_lineage = 0
    for seed in range(HISTORIES):
        service, original = _service(seed)
        random = service.random
        for _ in range(random.randrange(1, 4)):
            assert service.check_in(original, lost=random.random() < 0.2)
        machines = (original, original.copied(with_memory=random.random() < 0.3))
        answered = [0, 0]
        while min(answered) < 2 and service.lineage.held_at is None:
            who = random.randrange(2)
            for _ in range(random.randrange(3)):
                machines[who].boot()
            lost = random.random() < 0.2
            service.check_in(machines[who], lost=lost)
            answered[who] += not lost
        assert service.lineage.held_at is not None, seed
        by_lineage += "newest reply" in service.fault
        by_counter += "newest reply" not in service.fault
        # and both stay held, whoever speaks, until somebody looks
        for machine in (*machines, *machines):
            machine.boot()
            assert not service.check_in(machine), seed
            assert service.lineage.held_at is not None, seed
    assert by_counter > HISTORIES / 2
    assert by_lineage > HISTORIES / 20


def test_without_the_lineage_copies_that_boot_past_each_other_are_never_found():
    for forgets, alarms in ((False, [False, False] + 18 * [True]), (True, 20 * [False])):
        service, original = _service(1)
        assert service.check_in(original)
        found = []
        for machine in (original.copied(with_memory=False), original) * 10:
            machine.count = max(machine.count, service.enrolment.last_boot_count)
            machine.boot()
            if forgets:  # the check taken away
                service.lineage = NO_LINEAGE
            found.append(not service.check_in(machine))
        assert found == alarms


def test_an_old_backup_is_held_and_an_operator_lets_it_begin_anew():
    for seed in range(1_000):
        service, machine = _service(seed)
        random = service.random
        assert service.check_in(machine)
        saved = (machine.count, machine.kept)
        for _ in range(random.randrange(2, 5)):
            for _ in range(random.randrange(2)):
                machine.boot()
            assert service.check_in(machine)
        machine.restore(saved)
        assert not service.check_in(machine), seed
        assert not service.check_in(machine), seed
        service.release()
        for _ in range(5):
            assert service.check_in(machine, lost=random.random() < 0.3), (seed, service.fault)
            for _ in range(random.randrange(2)):
                machine.boot()


def test_two_copies_that_were_released_are_found_again():
    for seed in range(1_000):
        service, original = _service(seed)
        random = service.random
        service.check_in(original)
        other = original.copied(with_memory=False)
        for _ in range(2):
            answered = [0, 0]
            while min(answered) < 2:
                who = random.randrange(2)
                service.check_in((original, other)[who])
                answered[who] += 1
            assert service.lineage.held_at is not None, seed
            service.release()


def test_a_device_that_keeps_nothing_is_judged_by_its_counter_alone():
    service, machine = _service(1)
    for count in range(1, 5):
        answered, handed = bytes([count]) * 16, bytes([count + 100]) * 16
        assert lineage_fault(service.lineage, answered, None) == ""
        service.lineage = continued(service.lineage, answered, None, handed)
        assert service.lineage.shown is None
    assert service.check_in(machine)  # newer software: shows that it has none yet
    machine.boot()
    assert service.check_in(machine)
    assert "as this device has always done" in lineage_fault(service.lineage, b"x" * 16, None)

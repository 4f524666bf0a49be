# SPDX-License-Identifier: Apache-2.0
"""Lives that are known already end as if they were lived: what the search leaves out changes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from types import ModuleType
from typing import Any

import pytest
from tests.sim.power.mutation import broken

from armillary import content
from armillary.boot import profile
from armillary.sim.power import asked, geometry
from armillary.sim.power.asked import About, Asked, Question
from armillary.sim.power.case import Board, Case, prepare
from armillary.sim.power.cut import left_by
from armillary.sim.power.flash import Operation, PowerFlash
from armillary.sim.power.lives import Lives
from armillary.sim.power.supply import Supply
from armillary.sim.power.transactions import TRANSACTIONS
from armillary.update.install import record, steps

STEP = 11  # of a transaction's operations, one in so many is cut here


def case_of(transaction: str, flash: str) -> Case:
    board = Board(
        supply=Supply(profile.parse(content.chip_document("mt3620"))),
        geometry=geometry.parse(content.flash_document(flash)),
    )
    return prepare(next(each for each in TRANSACTIONS if each.name == transaction), board)


def endings(case: Case, operations: Sequence[Operation]) -> tuple[list[tuple[str, str]], int]:
    """How each of many lives ends by what is known, and when it is lived; and how many were not known."""
    lives, anew = Lives(case), Lives(case)
    random = Random(1)  # noqa: S311 - reproducible
    found = []
    for number in range(0, len(operations), STEP):
        for durable in left_by(operations[number], case.board.geometry, random, 2):
            told = operations[number].told
            known, lived = lives.ending(durable, told), anew.follow(durable, told)[1]
            found.append((repr(known.broken), repr(lived.broken)))
    return found, lives.followed


@pytest.mark.parametrize(
    ("transaction", "flash", "module", "old", "new"),
    [
        ("hang", "nvme", record, "newest = max(readable", "newest = min(readable"),
        ("revert", "spi-nor", steps, "        active=trial.previous,\n", "        active=record.active,\n"),
    ],
)
def test_a_known_life_ends_as_a_lived_one(transaction: str, flash: str, module: ModuleType, old: str, new: str) -> None:
    """Of the product, where every promise is kept, and of one that is broken, where endings differ."""
    case = case_of(transaction, flash)
    operations = case.live(case.start).operations
    found, followed = endings(case, operations)
    assert all(known == lived == "None" for known, lived in found)
    assert followed < len(found) / 2, "most are known"
    with broken(module, old, new):
        found, followed = endings(case, operations)
    assert all(known == lived for known, lived in found)
    assert len(set(found)) > 1
    assert followed < len(found)


def test_mutation_a_question_that_is_not_noted_ends_the_search() -> None:
    """The control: lives that differ would be taken for one, and the search sees that it cannot be."""
    case = case_of("hang", "nvme")
    operations = case.live(case.start).operations
    with (
        broken(record, "newest = max(readable", "newest = min(readable"),
        broken(
            asked,
            "            self._ask(About.CONTENT, region)\n",
            '            if "install" not in region:\n                self._ask(About.CONTENT, region)\n',
        ),
        pytest.raises(AssertionError, match="a device asked for"),
    ):
        endings(case, operations)


def test_a_device_that_asks_otherwise_after_the_same_answers_ends_the_search() -> None:
    class Restless:
        """Looks somewhere else in every life."""

        name = "restless"
        lives = 0

        def live(self, _durable: Any, _told: Any, *, asked: Asked, **_: Any) -> None:
            self.lives += 1
            asked.content(f"device/{self.lives}")

    lives = Lives(Restless())  # type: ignore[arg-type] - the one device there is that draws lots
    assert lives.ending({"device/1": b"a"}, frozenset()).broken is None
    with pytest.raises(AssertionError, match="a device asked for"):
        lives.ending({"device/1": b"b"}, frozenset())


START: Mapping[str, bytes] = {"device/state": b"old", "device/state.new": b"new", "boot/kernel": b"kernel"}
CONTENT, PRESENCE = Question(About.CONTENT, "device/state"), Question(About.PRESENCE, "device/state")
NAMES = Question(About.NAMES, "boot/")


@pytest.mark.parametrize("medium", ["emmc", "spi-nor"])
@pytest.mark.parametrize(
    ("steps_", "questions"),
    [
        ("read read", [CONTENT]),
        ("write sync read", []),
        ("read write sync read", [CONTENT]),
        ("remove read", [PRESENCE]),
        ("read remove", [CONTENT]),
        ("regions write regions", [NAMES]),
        ("move read", [Question(About.CONTENT, "device/state.new")]),
    ],
)
def test_a_life_depends_on_what_it_reads_before_it_writes(medium: str, steps_: str, questions: list[Question]) -> None:
    noted = Asked(START)
    flash = PowerFlash(geometry.parse(content.flash_document(medium)), START, asked=noted)
    for step in steps_.split():
        match step:
            case "write":
                flash.write("device/state", b"new")
            case "regions":
                flash.regions("boot/")
            case "move":
                flash.rename("device/state.new", "device/state")
            case name:
                getattr(flash, name)("device/state")
    assert [question for question, _ in noted.answers] == questions


def test_what_was_not_synced_is_asked_for_when_the_power_goes() -> None:
    noted = Asked(START)
    flash = PowerFlash(geometry.parse(content.flash_document("emmc")), START, asked=noted)
    flash.write("device/state", b"new")
    assert (flash.read("device/state"), noted.answers) == (b"new", [])
    assert flash.without_power().read("device/state") == b"old"
    assert noted.answers == [(CONTENT, b"old")]

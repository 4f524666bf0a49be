# SPDX-License-Identifier: Apache-2.0
"""The search: every board keeps every promise, equal seeds make equal cuts, and what is broken can be seen again."""

from __future__ import annotations

import pytest
from tests.fixtures.effort import effort, is_long
from tests.sim.power.mutation import broken

from armillary import content
from armillary.boot import profile
from armillary.device.boot import startup
from armillary.engines.flash import port
from armillary.errors import NotFoundError
from armillary.sim.power.boards import board_names, matching, open_board
from armillary.sim.power.campaign import Effort, parts_of, search
from armillary.sim.power.case import prepare
from armillary.sim.power.supply import Supply, security_version
from armillary.sim.power.tally import together
from armillary.sim.power.transactions import TRANSACTIONS
from armillary.sim.power.witness import Breach, BrokenPromiseError, Witness

QUICK = "mt3620/nvme"  # whose sectors are largest: the fewest operations
TYPICAL = ("install", "os-and-applications", "recover")


@pytest.mark.parametrize("name", board_names() if is_long() else [QUICK])
def test_every_board_keeps_every_promise(name: str) -> None:
    """Every single cut, and random ones on top; of all transactions in ``make test-long``."""
    chosen = TRANSACTIONS if is_long() else [each for each in TRANSACTIONS if each.name in TYPICAL]
    found = search(open_board(name), Effort(cuts=effort(150, 10_000)), chosen)
    assert not found.failures
    assert found.cuts > effort(500, 13_000)
    assert found.lives > found.operations


@pytest.mark.parametrize("name", board_names())
def test_every_board_lives_through_every_transaction(name: str) -> None:
    board = open_board(name)
    for transaction in TRANSACTIONS:
        case = prepare(transaction, board)
        case.live(case.start)
        assert (case.cut_twice() is case) is not transaction.booted, "two cuts excuse no other"


def test_a_campaign_is_the_same_with_the_same_seed() -> None:
    def searched(seed: int) -> list[int]:
        chosen = [each for each in TRANSACTIONS if each.name == "roots"]
        tally = search(open_board(QUICK), Effort(cuts=60, seed=seed), chosen)
        return [tally.cuts, tally.lives, tally.operations]

    assert searched(1) == searched(1)


def test_random_cuts_are_shared_out_and_none_is_lost() -> None:
    for cuts in (0, 1, 2, 100, 4_000):
        parts = parts_of(Effort(cuts=cuts))
        assert sum(part.cuts for part in parts) == cuts
        assert [part.transaction for part in parts] == [*TRANSACTIONS, None]


def test_a_broken_promise_says_where_the_power_went() -> None:
    with broken(
        port,
        "    store_region(flash, fresh, data)\n    flash.rename(fresh, region)\n",
        "    store_region(flash, region, data)\n",
    ):
        chosen = [each for each in TRANSACTIONS if each.name == "roots"]
        tally = search(open_board(QUICK), Effort(cuts=0, breaches=3), chosen)
    assert tally.breaches == {Breach.BRICK: 3}
    text = str(tally.failures[0])
    assert text.startswith(
        "mt3620/nvme, roots: brick: the device's record (device/configuration in its flash) is damaged"
    )
    assert "operation 3, write of device/configuration" in text
    assert tally.summary()["bricks"] == 3


def test_a_defect_that_is_no_error_of_ours_is_a_brick() -> None:
    with broken(startup, "    minimums = load_minimums(flash)\n    raised", "    minimums = {1: 1 // 0}\n    raised"):
        tally = search(open_board(QUICK), Effort(cuts=0, breaches=1), TRANSACTIONS[:1])
    assert tally.breaches == {Breach.BRICK: 1}
    assert "ZeroDivisionError" in tally.failures[0].detail


def test_tallies_add_up() -> None:
    one, other = (
        search(open_board(name), Effort(cuts=0), [each for each in TRANSACTIONS if each.name == "roots"])
        for name in (QUICK, "imx8mp/nvme")
    )
    total = together([one, other])
    assert total.boards == [QUICK, "imx8mp/nvme"]
    assert (total.cuts, total.lives) == (one.cuts + other.cuts, one.lives + other.lives)
    assert together([one, one]).boards == [QUICK], "parts of one board"


def test_boards_are_named_by_chip_flash_or_both() -> None:
    assert matching("mt3620")[0] == "mt3620/spi-nor", "a chip's own flash comes first"
    assert len(matching("mt3620")) == len(content.flash_names()), "it does not name its kinds"
    assert matching("gateway-x86-64") == ("gateway-x86-64/nvme", "gateway-x86-64/emmc"), "it names its kinds"
    assert {"imx8mp/nvme", "mt3620/nvme", "gateway-x86-64/nvme"} <= set(matching("nvme"))
    assert matching(QUICK) == (QUICK,)
    with pytest.raises(NotFoundError, match="no board 'mt'"):
        matching("mt")


@pytest.fixture(scope="module")
def supply() -> Supply:
    return Supply(profile.parse(content.chip_document("mt3620")))


def test_the_witness_believes_bytes_only(supply: Supply) -> None:
    current, old = supply.os_components(4), supply.os_components(1)
    both = frozenset((name, 4) for name in current)
    witness = Witness(supply, {both}, floor=security_version(4))
    witness.booted(current)
    witness.started([])
    assert witness.running == both
    name = next(iter(current))
    swapped = {**current, name: current["services"]}
    unsigned = supply.packages[supply.application(0, 1, signed=False).sha256]
    for what, see in (
        ("security version 1", lambda: witness.booted(old)),
        ("not signed as that", lambda: witness.booted(swapped)),
        ("not signed as that", lambda: witness.booted({**current, name: current[name][:-1]})),
        ("not signed as that", lambda: witness.started([unsigned])),
        ("never wanted", lambda: witness.started([supply.packages[supply.application(0, 1).sha256]])),
    ):
        with pytest.raises(BrokenPromiseError, match=what) as caught:
            see()
        assert caught.value.breach is Breach.WRONG_IMAGE

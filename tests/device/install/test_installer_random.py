# SPDX-License-Identifier: Apache-2.0
"""Random histories of offers, health, restarts and power cuts: the device always runs a whole set it was offered."""

from __future__ import annotations

import contextlib
from typing import Any

from hypothesis import given, settings, strategies as st
from tests.device.cut_flash import CutFlash, PowerCutError
from tests.device.install.offers import COMPONENTS, STORE, Booted, boot, made, offer, os_package
from tests.fixtures.effort import examples

from armillary.wire.device.checkin import Offer

# component -> version, and the version of the OS (0: the offer says nothing of it)
SETS = st.tuples(st.dictionaries(st.integers(0, 2), st.integers(1, 3), max_size=3), st.sampled_from([0, 2, 3, 4]))
STEPS = st.lists(
    st.tuples(
        SETS, st.sampled_from(["healthy", "crashes", "restart", "refused"]), st.integers(1, 90), st.integers(0, 10**6)
    ),
    min_size=1,
    max_size=8,
)


def running(booted: Booted) -> dict[int, int]:
    found = {}
    for image in booted.installer.record.applications:
        assert booted.installer.package(image) == STORE[image.image_id]
        found[COMPONENTS.index(image.component_id)] = image.image_id.int % 1000
    return found


def os_of(booted: Booted) -> list[int]:
    """The versions that the booted components make up; none for a mixture."""
    return [v for v in (1, 2, 3, 4) if booted.system == (os_package("kernel", v), os_package("root-fs", v))]


def one_round(flash: Any, wanted: Offer, health: str) -> Booted:
    """Boot, settle what is open, install what is wanted, boot into it and settle that."""
    booted = boot(flash)
    assert booted.dropped == ()
    booted.installer.acknowledge(booted.installer.record.outcomes)
    if booted.installer.record.trial is not None:
        _settle(booted, health)
        booted = boot(flash)  # as the device does when its OS was taken back
    if booted.install(wanted) and health != "restart":
        new = health == "refused" and booted.installer.record.system_on_trial
        booted = boot(flash, refused=frozenset({os_package("kernel", wanted.os_abi)} if new else ()))
        _settle(booted, health)
    return booted


def _settle(booted: Booted, health: str) -> None:
    installer = booted.installer
    if installer.record.trial is not None:
        installer.confirm() if health == "healthy" else installer.revert("crashed", booted.verify)
    installer.acknowledge(installer.record.outcomes)


@settings(max_examples=examples(150), deadline=None)
@given(steps=STEPS)
def test_random_histories(steps: list[Any]) -> None:
    durable = made()
    legal: list[dict[int, int]] = [{}]
    for number, ((wanted, os), health, cut_at, seed) in enumerate(steps, 1):
        legal.append(wanted)
        flash = CutFlash(durable, cut_at=cut_at, seed=seed)
        with contextlib.suppress(PowerCutError):
            one_round(flash, offer(number, *wanted.items(), os=os), health)
        # A device that is switched off in good order has nothing pending either.
        durable = flash.durable
        check = boot(CutFlash(durable))
        assert running(check) in legal
        assert os_of(check), "a whole OS, never a mixture of two"
        assert len(check.installer.record.outcomes) <= 64
    final = {0: 1, 2: 3}
    last = CutFlash(durable)
    for _ in range(3):
        booted = one_round(last, offer(10**5, *final.items(), os=4), "healthy")
    assert running(booted) == final
    assert os_of(boot(last)) == [4]
    in_use = {region for region in booted.installer.record.regions_in_use if not region.startswith("boot/")}
    assert {*last.regions("applications/"), *last.regions("boot.b/")} == in_use

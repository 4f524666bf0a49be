# SPDX-License-Identifier: Apache-2.0
"""Random histories of offers, health, restarts and power cuts: the device always runs a whole set it was offered."""

from __future__ import annotations

import contextlib
from typing import Any

from hypothesis import given, settings, strategies as st
from tests.device.applications.offers import COMPONENTS, NOW, STORE, offer
from tests.device.cut_flash import CutFlash, PowerCutError
from tests.fixtures.effort import examples

from armillary.device.applications.installer import Installer
from armillary.update.plan import plan_install
from armillary.update.transaction import InstallState
from armillary.wire.device.checkin import Offer

# component -> version
SETS = st.dictionaries(st.integers(0, 2), st.integers(1, 3), max_size=3)
STEPS = st.lists(
    st.tuples(SETS, st.sampled_from(["healthy", "crashes", "restart"]), st.integers(1, 60), st.integers(0, 10**6)),
    min_size=1,
    max_size=8,
)


def running(installer: Installer) -> dict[int, int]:
    found = {}
    for image in installer.record.active:
        assert installer.package(image) == STORE[image.image_id]
        found[COMPONENTS.index(image.component_id)] = image.image_id.int % 1000
    return found


def one_round(flash: Any, wanted: Offer, health: str) -> Installer:
    installer = Installer(flash, lambda: NOW)
    assert installer.start() == ()
    if installer.record.trial is not None:
        installer.confirm() if health == "healthy" else installer.revert("crashed")
    installer.acknowledge(installer.record.outcomes)
    if installer.state is InstallState.IDLE:
        plan = plan_install(installer.record, wanted)
        if plan is not None:
            installer.stage(plan, STORE)
            installer.switch(plan)
            if health != "restart" and installer.record.trial is not None:
                installer.confirm() if health == "healthy" else installer.revert("crashed")
    return installer


@settings(max_examples=examples(150), deadline=None)
@given(steps=STEPS)
def test_random_histories(steps: list[Any]) -> None:
    durable: dict[str, bytes] = {}
    legal: list[dict[int, int]] = [{}]
    for number, (wanted, health, cut_at, seed) in enumerate(steps, 1):
        legal.append(wanted)
        flash = CutFlash(durable, cut_at=cut_at, seed=seed)
        with contextlib.suppress(PowerCutError):
            one_round(flash, offer(number, *wanted.items()), health)
        # A device that is switched off in good order has nothing pending either.
        durable = flash.durable
        check = Installer(CutFlash(durable), lambda: NOW)
        assert running(check) in legal
        assert len(check.record.outcomes) <= 64
    final = {0: 1, 2: 3}
    last = CutFlash(durable)
    for _ in range(3):
        installer = one_round(last, offer(10**5, *final.items()), "healthy")
    assert running(installer) == final
    assert set(last.regions("applications/")) == {image.region for image in installer.record.active}

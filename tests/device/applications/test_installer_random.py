# SPDX-License-Identifier: Apache-2.0
"""Random histories of offers, health, restarts and power cuts: the device always runs a whole set it was offered."""

from __future__ import annotations

import contextlib
import hashlib
import uuid
from typing import Any

from hypothesis import given, settings, strategies as st
from tests.fixtures.effort import examples

from armillary.device.applications.installer import Installer
from armillary.update.plan import plan_install
from armillary.update.transaction import InstallState
from armillary.wire.device.checkin import Offer, OfferedImage

NOW = 1_800_000_000
# component -> version (0: not in the set)
SETS = st.dictionaries(st.integers(1, 3), st.integers(1, 3), max_size=3)
STEPS = st.lists(
    st.tuples(SETS, st.sampled_from(["healthy", "crashes", "restart"]), st.integers(1, 60), st.integers(0, 10**6)),
    min_size=1,
    max_size=8,
)


def package(component: int, version: int) -> bytes:
    return f"package {component}.{version} ".encode() * (5 + version)


def offer(number: int, wanted: dict[int, int]) -> Offer:
    return Offer(
        offer_id=uuid.UUID(int=number + 10**6),
        deployment_id=uuid.UUID(int=number),
        images=tuple(
            OfferedImage(
                component_id=uuid.UUID(int=component),
                image_id=uuid.UUID(int=component * 10 + version),
                image_type=10,
                name=f"app{component}",
                size=len(package(component, version)),
                sha256=hashlib.sha256(package(component, version)).digest(),
            )
            for component, version in wanted.items()
        ),
    )


STORE = {uuid.UUID(int=c * 10 + v): package(c, v) for c in (1, 2, 3) for v in (1, 2, 3)}


def running(installer: Installer) -> dict[int, int]:
    found = {}
    for image in installer.record.active:
        assert installer.package(image) == STORE[image.image_id]
        found[image.component_id.int] = image.image_id.int % 10
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
def test_random_histories(steps: list[Any], cut_flash_type: Any, power_cut_type: Any) -> None:
    durable: dict[str, bytes] = {}
    legal: list[dict[int, int]] = [{}]
    for number, (wanted, health, cut_at, seed) in enumerate(steps, 1):
        legal.append(wanted)
        flash = cut_flash_type(durable, cut_at=cut_at, seed=seed)
        with contextlib.suppress(power_cut_type):
            one_round(flash, offer(number, wanted), health)
        # A device that is switched off in good order has nothing pending either.
        durable = flash.durable
        check = Installer(cut_flash_type(durable), lambda: NOW)
        assert running(check) in legal
        assert len(check.record.outcomes) <= 64
    final = {1: 1, 3: 3}
    last = cut_flash_type(durable)
    for _ in range(3):
        installer = one_round(last, offer(10**5, final), "healthy")
    assert running(installer) == final
    assert set(last.regions("applications/")) == {image.region for image in installer.record.active}

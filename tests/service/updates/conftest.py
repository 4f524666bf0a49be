# SPDX-License-Identifier: Apache-2.0
"""Fleets, one of applications and one of OS releases, and a device that says what it trusts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from tests.service.updates.os_fleet import OsFleet
from tests.service.updates.rollout_fleet import HERE, Fleet
from tests.service.updates.signing_steps import says

from armillary.service.updates.trust_stores import TrustStores
from armillary.sim.device.service_host import ServiceHost
from armillary.sim.device.wire_device import WireDevice


@pytest.fixture
def fleet(host: ServiceHost, package: Callable[..., bytes]) -> Iterator[Fleet]:
    made = Fleet(host, package)
    with ExitStack() as stack:
        for device in made.devices:
            stack.enter_context(device)
        host.service.updates.deployments.create(*HERE, [made.old.image_id], actor="t")
        made.check_in_all()
        assert len(made.having(made.old)) == 5
        yield made


@pytest.fixture
def os_fleet(host: ServiceHost) -> Iterator[OsFleet]:
    made = OsFleet(host)
    with ExitStack() as stack:
        for device in (*made.devices, made.old_style):
            stack.enter_context(device)
        made.check_in_all()
        yield made


@pytest.fixture
def device(host: ServiceHost) -> Iterator[WireDevice]:
    with host.claimed(b"k" * 32) as made:
        says(made)
        assert made.check_in().offer is None
        yield made


@pytest.fixture
def stores(host: ServiceHost) -> TrustStores:
    """Whose own loop has just looked, and does not before the clock moves."""
    host.service.updates.trust_stores.look()
    return host.service.updates.trust_stores

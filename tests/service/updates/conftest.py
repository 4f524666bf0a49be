# SPDX-License-Identifier: Apache-2.0
"""Fleets: one of applications, and one of OS releases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from tests.service.updates.os_fleet import OsFleet
from tests.service.updates.rollout_fleet import HERE, Fleet

from armillary.sim.device.service_host import ServiceHost


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

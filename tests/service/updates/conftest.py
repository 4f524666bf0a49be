# SPDX-License-Identifier: Apache-2.0
"""A fleet that runs an older release."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
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

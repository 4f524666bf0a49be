# SPDX-License-Identifier: Apache-2.0
"""Owners of catalogs on one service: each has a device and a token that speaks for its catalog only."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from tests.api.running_service import Reply, RunningService, fresh

from armillary.sim.device.wire_device import WireDevice


@dataclass(frozen=True)
class Owner:
    service: RunningService
    name: str
    catalog_id: str
    token: str
    device: WireDevice

    def call(self, method: str, path: str, body: object = None) -> Reply:
        """One call of the native API; ``path`` starts after ``/api/v1``."""
        return self.service.call(method, "/api/v1" + path, body, token=self.token)

    def give_device(self, taker: Owner) -> None:
        """Hand the device over: this owner offers it, the taker accepts it."""
        offer = {"device_id": self.device.device_id, "to_catalog_id": taker.catalog_id}
        number = self.call("POST", f"/catalogs/{self.name}/transfers", offer).body["transfer_id"]
        assert taker.call("POST", f"/catalogs/{taker.name}/transfers/{number}/accept").status == 200


def owner(service: RunningService) -> Owner:
    """A new owner, with a Contributor's token."""
    name = service.make_catalog(fresh("O"), product="Coffee")
    made = service.call("POST", "/api/v1/tokens", {"name": name, "role": "Contributor", "catalog": name})
    assert made.status == 201, made.body
    return Owner(service, name, made.body["catalog_id"], made.body["secret"], service.claimed(name))


@pytest.fixture
def alice(service: RunningService) -> Owner:
    return owner(service)


@pytest.fixture
def bob(service: RunningService) -> Owner:
    return owner(service)

# SPDX-License-Identifier: Apache-2.0
"""What a deleted catalog let into the hub is let in no more, from its deletion on."""

from __future__ import annotations

from armillary.sim.device.service_host import ServiceHost


def test_a_deleted_catalogs_service_keys_let_nobody_begin_without_a_certificate(host: ServiceHost) -> None:
    service, told = host.service, []
    service.notices.on_hub_trust.append(lambda: told.append(service.hub_access.identities.trust()[0]))
    service.registry.catalogs.create("Passing", actor="test")
    assert service.hub_access.identities.trust()[0] is False
    service.hub_access.service_keys.create("Passing", "erp", "Reader", actor="test")
    assert told == [True]
    service.registry.catalogs.delete("Passing", actor="test")
    assert told == [True, False]  # what the hub's TLS is told, not only what it would read next time

# SPDX-License-Identifier: Apache-2.0
"""That there is no newer root of the repository is what a device in order hears at each look: nobody records it."""

from __future__ import annotations

from tests.fixtures.waiting import wait_until

from armillary.sim.device.service_host import ServiceHost


def test_who_looks_for_a_newer_root_is_not_refused(host: ServiceHost) -> None:
    refusals, root = host.service.registry.history.refusals, host.service.repository.files.newest_root()
    assert root >= 1
    with host.claimed(b"r" * 32) as device:
        device.check_in()
        for number, status in ((root, 200), (root + 1, 404)):
            assert device.exchange("GET", f"/v1/repository/metadata/{number}.root.json").status == status
        # A control, which is recorded after it: nothing leads a client there.
        assert device.exchange("GET", f"/v1/repository/metadata/{root + 2}.root.json").status == 404
        (found,) = wait_until(lambda: refusals(device_id=device.device_id).items, "the control on record")
        assert (found.code, found.count) == ("request.not-found", 1)

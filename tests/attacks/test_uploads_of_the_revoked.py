# SPDX-License-Identifier: Apache-2.0
"""What a device sends beside its check-ins, and is on its way while the device is revoked: none of it is kept.

The endpoint admits the device, then a thread keeps what it has sent: the revocation comes between the two.
"""

from __future__ import annotations

import contextlib
import threading
from typing import Any

import pytest
from tests.fixtures.cellular import SAID
from tests.fixtures.dumps import dump

from armillary.errors import ArmillaryError
from armillary.service.assemble import SecurityService
from armillary.service.endpoint.uploads import Uploads
from armillary.sim.device.service_host import ServiceHost
from armillary.wire.device.cellular_status import encode_status
from armillary.wire.device.crash_dump import encode_dump
from armillary.wire.device.device_log import DeviceLog, encode_log

KINDS = ("crash-dump", "device-log", "cellular-status")


def body_of(service: SecurityService, device_id: str, kind: str) -> bytes:
    """What a device may send now, because somebody has asked for it."""
    if kind == "crash-dump":
        service.crash_dumps.collect("Contoso", "Kettle", "Production", actor="t", is_on=True, stacks="full", days=1)
        return encode_dump(dump())
    if kind == "device-log":
        request = service.device_logs.ask(device_id, actor="t").request
        assert request is not None
        return encode_log(DeviceLog(request_id=request.request_id, at=1, left_out=0, lines=("booted",)))
    return encode_status(SAID)


def kept(service: SecurityService, device_id: str) -> list[Any]:
    log = service.device_logs.standing(device_id).answer
    status = service.cellular.newest(device_id)
    return [*service.crash_dumps.list("Contoso").items, *(one for one in (log, status) if one is not None)]


@pytest.mark.parametrize("revoked", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_what_was_on_its_way_is_not_kept(
    host: ServiceHost, monkeypatch: pytest.MonkeyPatch, kind: str, *, revoked: bool
) -> None:
    service, keep = host.service, Uploads._kept  # between admission and keeping
    is_over = threading.Event()

    async def later(self: Uploads, device_id: str, body: bytes) -> bytes:
        if revoked:
            service.registry.lifecycle.revoke(device_id, reason="stolen", actor="t")
        try:
            return await keep(self, device_id, body)
        finally:
            is_over.set()

    with host.claimed(b"r" * 32) as device:
        device.sends_log = True
        body = body_of(service, device.device_id, kind)
        monkeypatch.setattr(Uploads, "_kept", later)
        with contextlib.suppress(ArmillaryError, OSError):  # its connection is closed, sooner or later
            assert (device.exchange("POST", f"/v1/{kind}", body).status == 200) != revoked
        assert is_over.wait(30)
        assert len(kept(service, device.device_id)) == (0 if revoked else 1)

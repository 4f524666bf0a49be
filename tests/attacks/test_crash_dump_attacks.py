# SPDX-License-Identifier: Apache-2.0
"""Crash dumps under attack: unwanted ones, floods, dumps under another device's name, copies of the database.

Beside each attack stands the control: with the one rule taken out, it works.
"""

from __future__ import annotations

import sqlite3
import threading
from typing import Any

import pytest
from tests.fixtures.dumps import dump

from armillary.engines.records.crashes import dumps as dump_rows
from armillary.errors import ArmillaryError, NotFoundError
from armillary.service.crash_dumps import crash_dumps, intake, sealing
from armillary.service.crash_dumps.ending import delete_ended_keys
from armillary.service.endpoint import uploads
from armillary.service.endpoint.endpoint import CRASH_DUMP
from armillary.sim.device.service_host import ServiceHost
from armillary.sim.device.wire_device import WireDevice
from armillary.wire.device.checkin import FULL_DUMPS
from armillary.wire.device.crash_dump import encode_dump

GROUP = ("Contoso", "Kettle", "Production")
SECRET = b"a secret"


def send(device: WireDevice, number: int = 0) -> int:
    return device.exchange("POST", "/v1/crash-dump", encode_dump(dump(at=1_790_000_000 + number))).status


def collect(host: ServiceHost) -> None:
    host.service.crash_dumps.collect(*GROUP, actor="t", is_on=True, stacks="full")


# -- a device sends what nobody wanted ----------------------------------------------------------------------------------


def unwanted(host: ServiceHost) -> int:
    """How many dumps a group has that collects none."""
    with host.claimed(b"a" * 32) as device:
        send(device)
    return len(host.service.crash_dumps.list("Contoso").items)


def test_a_dump_without_consent_is_kept_nowhere(host: ServiceHost) -> None:
    assert unwanted(host) == 0


def test_mutation_without_consent(host: ServiceHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "consent_of", lambda *_: FULL_DUMPS)
    assert unwanted(host) == 1


# -- a flood ------------------------------------------------------------------------------------------------------------


def flooded(host: ServiceHost) -> int:
    """How many dumps of one device are kept that sends twelve."""
    collect(host)
    with host.claimed(b"a" * 32) as device:
        for number in range(12):
            send(device, number)
    return len(host.service.crash_dumps.list("Contoso").items)


def test_a_flood_of_one_device_fills_little(host: ServiceHost) -> None:
    assert flooded(host) == intake.MAX_PER_DAY


def test_mutation_without_the_allowance_of_a_device(host: ServiceHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "MAX_PER_DAY", 10**6)
    assert flooded(host) == 12


def test_many_that_send_at_once_take_few_threads_and_no_check_in_waits(
    host: ServiceHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All places are taken by dumps that are never finished; others are told to come later, and check-ins go on."""
    collect(host)
    go = threading.Event()
    seal = sealing.seal

    def wait(*arguments: bytes) -> bytes:
        go.wait(20)
        return seal(*arguments)

    monkeypatch.setattr(sealing, "seal", wait)
    devices = [host.claimed(bytes([65 + number]) * 32) for number in range(uploads.MAX_AT_ONCE + 1)]
    threads = [threading.Thread(target=send, args=(one,)) for one in devices[:-1]]
    try:
        for each in threads:
            each.start()
        server = host.service.serving.server
        assert server is not None
        while len(server.endpoint._uploads[CRASH_DUMP]._under_way) < uploads.MAX_AT_ONCE:
            go.wait(0.01)
        assert send(devices[-1]) == 429
        assert devices[-1].check_in().verdict == "attested"
    finally:
        go.set()
        for each in threads:
            each.join()
        for one in devices:
            one.disconnect()
    assert len(host.service.crash_dumps.list("Contoso").items) == uploads.MAX_AT_ONCE


# -- whoever writes to the database --------------------------------------------------------------------------------------


def read_under_another_name(host: ServiceHost) -> bytes:
    """The dump of a device, read after its row was moved to another device."""
    collect(host)
    with host.claimed(b"a" * 32) as device, host.claimed(b"b" * 32) as other:
        assert send(device) == 200
        row = host.service.context.records.read(lambda c: dump_rows.sender(c, other.device_id))
    assert row is not None
    with sqlite3.connect(host.service.context.folder.database) as database:
        database.execute("UPDATE crash_dump SET device_number = ?", (row.number,))
    (found,) = host.service.crash_dumps.list("Contoso").items
    assert found.device_id == other.device_id
    return host.service.crash_dumps.read(found.dump_id, catalog=None, actor="t")[1]


def test_a_dump_does_not_open_under_another_devices_name(host: ServiceHost) -> None:
    with pytest.raises(ArmillaryError, match="does not open"):
        read_under_another_name(host)


def test_mutation_without_the_binding_to_the_device(host: ServiceHost, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (intake, crash_dumps):
        monkeypatch.setattr(module, "context_of", lambda _: b"a crash dump")
    assert SECRET in read_under_another_name(host)


# -- whoever has a copy of the database ----------------------------------------------------------------------------------


def opened_from_a_copy(host: ServiceHost) -> bytes:
    """A dump out of a copy of the database that was taken before all were erased, opened with what the service has."""
    collect(host)
    with host.claimed(b"a" * 32) as device:
        assert send(device) == 200
    (row,) = host.service.crash_dumps.list("Contoso").items
    copied = host.service.context.records.read(lambda c: dump_rows.one(c, row.dump_id))
    assert copied is not None
    host.service.crash_dumps.erase(*GROUP, actor="t")
    return sealing.unseal(host.service.authority.keys, row.key_id, copied[1], intake.context_of(row))


def test_a_copy_of_the_database_opens_no_erased_dump(host: ServiceHost) -> None:
    with pytest.raises(NotFoundError, match="erased"):
        opened_from_a_copy(host)


def test_mutation_without_the_end_of_the_key(host: ServiceHost, monkeypatch: pytest.MonkeyPatch) -> None:
    def kept(*_: Any) -> None:
        """The rows go, the key stays."""

    assert crash_dumps.delete_ended_keys is delete_ended_keys
    monkeypatch.setattr(crash_dumps, "delete_ended_keys", kept)
    assert SECRET in opened_from_a_copy(host)

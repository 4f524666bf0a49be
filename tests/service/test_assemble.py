# SPDX-License-Identifier: Apache-2.0
"""The whole: ports, restarts, health, the audit chain, and a wire that is cut in the middle."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from types import MappingProxyType
from uuid import UUID

import pytest
from sqlalchemy import text

from armillary.errors import DataFolderInUseError, PortInUseError
from armillary.service.assemble import SecurityService
from armillary.settings import Settings
from armillary.sim.device.service_host import ServiceHost


def test_a_taken_port_is_said_and_the_folder_is_free_again(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(PortInUseError, match=str(taken.getsockname()[1])):
            ServiceHost(tmp_path / "data", device_port=taken.getsockname()[1])
    with ServiceHost(tmp_path / "data") as host:
        assert host.service.health()["ok"] is True


def test_a_second_service_on_the_folder_is_refused(tmp_path: Path) -> None:
    with ServiceHost(tmp_path / "data"), pytest.raises(DataFolderInUseError):
        SecurityService.open(Settings(data=tmp_path / "data"))


def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    with ServiceHost(tmp_path / "data") as host:
        token = host.service.first_token
        host.catalog()
        device = host.claimed(b"a" * 32)
        with device:
            device.check_in()
        root, head = host.service.authority.roots.certificate, host.service.audit.verify()
    with ServiceHost(tmp_path / "data") as host:
        assert host.service.first_token is None
        assert token is not None
        assert host.service.tokens.authenticate(token).role == "Administrator"
        assert host.service.authority.roots.certificate == root
        assert host.service.audit.verify() == head
        assert host.service.registry.devices.get(device.device_id).health == "attested"


def test_a_changed_or_missing_audit_line_is_found(host: ServiceHost) -> None:
    records = host.service.context.records
    whole = host.service.audit.verify()
    assert whole.broken_at is None
    line = records.read(lambda c: c.execute(text("SELECT * FROM audit_line WHERE number = 3")).mappings().one())
    others = {"at": line["at"] + 1, "detail": '{"x":1}', "previous_hash": bytes(32), "hash": bytes(32)}
    changes = {
        column: others.get(column, f"not {line[column]}") for column in line if column not in ("number", "entry_id")
    }
    assert set(changes) == {"at", "actor", "operation", "target", "detail", "previous_hash", "hash"}
    for column, value in changes.items():  # each column in turn, and back again
        for given in (value, line[column]):
            sql = text(f"UPDATE audit_line SET {column} = :given WHERE number = 3")  # noqa: S608 - the table's own names
            records.write(lambda c, sql=sql, given=given: c.execute(sql, {"given": given}))
            assert host.service.audit.verify().broken_at == (3 if given is value else None), column
    assert host.service.audit.verify() == whole
    records.write(lambda c: c.execute(text("DELETE FROM audit_line WHERE number = 3")))
    assert host.service.audit.verify().broken_at == 4


def test_an_audit_line_keeps_any_mapping_of_details(host: ServiceHost) -> None:
    context, detail = host.service.context, MappingProxyType({"devices": 3, "group": UUID(int=1)})
    context.records.write(lambda c: context.audit(c, "ann", "test.try", "x", detail))
    (line,) = host.service.audit.list(limit=1).items
    assert (line.actor, line.operation, line.target) == ("ann", "test.try", "x")
    assert line.detail == {"devices": 3, "group": str(UUID(int=1))}
    assert host.service.audit.verify().broken_at is None


def test_what_happened_just_before_the_end_is_recorded(tmp_path: Path) -> None:
    with ServiceHost(tmp_path / "data") as host:
        host.catalog()
        with host.device(b"b" * 32) as device:
            assert device.exchange("GET", "/v1/challenge").status == 403
    service = SecurityService.open(Settings(data=tmp_path / "data"))
    try:
        assert [row.code for row in service.registry.history.refusals().items] == ["device.unclaimed"]
    finally:
        asyncio.run(service.close())


def test_the_hub_address_reaches_devices(tmp_path: Path) -> None:
    with ServiceHost(tmp_path / "data", hub=("hub.example", 12345)) as host:
        host.catalog()
        with host.claimed(b"c" * 32) as device:
            reply = device.check_in()
            assert (reply.hub_host, reply.hub_port) == ("hub.example", 12345)


def test_whoever_asked_learns_of_a_revocation(host: ServiceHost) -> None:
    told: list[str] = []
    host.service.notices.on_cut.append(told.append)
    device = host.claimed(b"d" * 32)
    host.service.registry.lifecycle.revoke(device.device_id, reason="", actor="t")
    assert told == [device.device_id]

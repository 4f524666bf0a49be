# SPDX-License-Identifier: Apache-2.0
"""Dumps that real devices send over TLS: kept where their group wants them, sealed, read with a trace, ended for good."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from tests.fixtures.clocks import Clock
from tests.fixtures.dumps import IMAGE, dump
from tests.fixtures.looks import nobody_wakes
from tests.fixtures.services import copy_of

from armillary.engines.records.crashes import dumps as dump_rows
from armillary.errors import ArmillaryError, ConflictError, InvalidArgumentError, NotFoundError
from armillary.service.crash_dumps import intake, sealing
from armillary.service.crash_dumps.crash_dumps import CrashDumps
from armillary.service.crash_dumps.ending import end_dumps
from armillary.sim.device.service_host import ServiceHost
from armillary.sim.device.wire_device import WireDevice
from armillary.wire.device.checkin import FULL_DUMPS, NO_DUMPS, SCRUBBED_DUMPS
from armillary.wire.device.crash_dump import CrashDump, encode_dump, parse_receipt, scrubbed
from armillary.wire.device.problem import parse_problem
from armillary.wire.device.update_status import UpdateStatus

GROUP = ("Contoso", "Kettle", "Production")
SECRET = b"a secret"
DAY = 86_400


class CutError(Exception):
    """The process ends here."""


@pytest.fixture
def dumps(host: ServiceHost) -> CrashDumps:
    return host.service.crash_dumps


@pytest.fixture
def device(host: ServiceHost) -> Iterator[WireDevice]:
    with host.claimed(b"a" * 32) as claimed:
        claimed.update_status = UpdateStatus()
        claimed.takes_consent = True
        yield claimed


def collect(dumps: CrashDumps, *, stacks: str = "scrubbed", days: int = 29, is_on: bool = True) -> None:
    dumps.collect(*GROUP, actor="t", is_on=is_on, stacks=stacks, days=days)


def without_data(one: CrashDump) -> CrashDump:
    stack = one.state.stack
    assert stack is not None
    return replace(one, state=replace(one.state, stack=scrubbed(stack, one.state.modules)))


def send(device: WireDevice, one: CrashDump | None = None, data: bytes | None = None) -> tuple[int, str]:
    """Status and error code of sending a dump."""
    body = encode_dump(without_data(dump()) if one is None else one) if data is None else data
    answer = device.exchange("POST", "/v1/crash-dump", body)
    return answer.status, "" if answer.status == 200 else parse_problem(answer.body).code


def numbered(number: int) -> CrashDump:
    return without_data(dump(at=1_790_000_000 + number))


def kept(dumps: CrashDumps) -> list[UUID]:
    return [one.dump_id for one in dumps.list("Contoso").items]


def audited(host: ServiceHost, operation: str) -> list[Any]:
    return [line for line in host.service.audit.list(limit=100).items if line.operation == operation]


# -- consent ----------------------------------------------------------------------------------------------------------


def test_a_group_collects_nothing_until_somebody_says_so(host: ServiceHost, device: WireDevice) -> None:
    assert device.check_in().dumps == NO_DUMPS
    assert send(device) == (403, "device.crash-dump-refused")
    assert kept(host.service.crash_dumps) == []


def test_consent_reaches_a_device_with_its_next_check_in_and_is_taken_back_the_same_way(
    dumps: CrashDumps, device: WireDevice
) -> None:
    told = [device.check_in().dumps]
    for stacks, is_on in (("scrubbed", True), ("full", True), ("full", False)):
        collect(dumps, stacks=stacks, is_on=is_on)
        told.append(device.check_in().dumps)
    assert told == [NO_DUMPS, SCRUBBED_DUMPS, FULL_DUMPS, NO_DUMPS]
    assert send(device) == (403, "device.crash-dump-refused")


def test_the_azure_shaped_setting_is_the_same_one(host: ServiceHost, device: WireDevice) -> None:
    host.service.registry.groups.update(*GROUP, actor="t", allow_crash_dumps="Enabled")
    assert device.check_in().dumps == SCRUBBED_DUMPS


def test_a_device_of_before_is_told_nothing(dumps: CrashDumps, device: WireDevice) -> None:
    collect(dumps)
    device.takes_consent = False
    reply = device.check_in()
    assert (reply.protocol_version, reply.dumps) == (2, NO_DUMPS)


def test_a_group_that_takes_scrubbed_stacks_refuses_others(dumps: CrashDumps, device: WireDevice) -> None:
    collect(dumps)
    assert send(device, dump()) == (403, "device.crash-dump-refused")
    collect(dumps, stacks="full")
    assert send(device, dump())[0] == 200
    assert [one.stack for one in dumps.list("Contoso").items] == ["full"]


def test_consent_that_is_taken_back_between_two_steps_keeps_nothing(
    dumps: CrashDumps, device: WireDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    collect(dumps)
    seal = sealing.seal

    def seal_late(*arguments: bytes) -> bytes:
        collect(dumps, is_on=False)
        return seal(*arguments)

    monkeypatch.setattr(sealing, "seal", seal_late)
    assert send(device) == (403, "device.crash-dump-refused")
    assert kept(dumps) == []


@pytest.mark.parametrize(("stacks", "days"), [("raw", 29), ("scrubbed", 0), ("scrubbed", 367)])
def test_other_settings_are_refused(dumps: CrashDumps, stacks: str, days: int) -> None:
    with pytest.raises(InvalidArgumentError):
        collect(dumps, stacks=stacks, days=days)
    assert dumps.collection(*GROUP).is_on is False


# -- keeping ----------------------------------------------------------------------------------------------------------


def test_a_dump_is_kept_once_however_often_it_is_sent(dumps: CrashDumps, device: WireDevice) -> None:
    collect(dumps)
    body = encode_dump(without_data(dump()))
    answers = [device.exchange("POST", "/v1/crash-dump", body) for _ in range(3)]
    assert {parse_receipt(one.body) for one in answers} == set(kept(dumps))
    assert len(kept(dumps)) == 1
    (row,) = dumps.list("Contoso").items
    assert (row.device_id, row.image_id, row.signal, row.size) == (device.device_id, IMAGE, 11, len(body))


def test_a_device_sends_five_a_day(host: ServiceHost, dumps: CrashDumps, device: WireDevice, clock: Clock) -> None:
    collect(dumps)
    answers = [send(device, numbered(number))[0] for number in range(intake.MAX_PER_DAY + 2)]
    assert answers == [200] * intake.MAX_PER_DAY + [429] * 2
    clock.now += DAY + 1
    assert send(device, numbered(99))[0] == 200


def test_a_group_has_so_much_room(dumps: CrashDumps, device: WireDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    collect(dumps)
    monkeypatch.setattr(intake, "MAX_OF_GROUP_BYTES", intake.MAX_DUMP_BYTES)
    assert [send(device, numbered(number))[0] for number in range(2)] == [200, 429]


@pytest.mark.parametrize(
    ("data", "status"), [(b"", 400), (b"\xff" * 100, 400), (bytes(60 * 1024 + 1), 400), (bytes(64 * 1024 + 1), 413)]
)
def test_what_is_no_dump_is_refused(dumps: CrashDumps, device: WireDevice, data: bytes, status: int) -> None:
    collect(dumps)
    assert send(device, data=data)[0] == status
    assert kept(dumps) == []


def test_only_post_is_a_dump(dumps: CrashDumps, device: WireDevice) -> None:
    assert device.exchange("GET", "/v1/crash-dump").status == 405


def test_a_device_in_quarantine_sends_none(host: ServiceHost, dumps: CrashDumps, device: WireDevice) -> None:
    collect(dumps)
    host.service.registry.quarantine.put(device.device_id, reason="t", actor="t")
    assert send(device) == (403, "device.quarantined")


def test_what_is_stored_holds_nothing_of_the_dump(host: ServiceHost, dumps: CrashDumps, device: WireDevice) -> None:
    collect(dumps, stacks="full")
    assert send(device, dump())[0] == 200
    (dump_id,) = kept(dumps)
    sealed = host.service.context.records.read(lambda c: dump_rows.one(c, dump_id))
    assert sealed is not None
    assert SECRET not in sealed[1]
    _, data = dumps.read(dump_id, catalog="Contoso", actor="t")
    assert SECRET in data


# -- reading ----------------------------------------------------------------------------------------------------------


def test_each_reading_is_audited_also_one_that_fails(host: ServiceHost, dumps: CrashDumps, device: WireDevice) -> None:
    collect(dumps)
    send(device)
    (dump_id,) = kept(dumps)
    _, found = dumps.parsed(dump_id, catalog="Contoso", actor="alice")
    assert found == without_data(dump())
    (line,) = audited(host, "crash-dump.read")
    assert (line.actor, line.target) == ("alice", str(dump_id))
    for key in host.service.context.folder.keys.glob("crash-dumps-*"):
        key.unlink()
    host.service.authority.keys.remove(f"crash-dumps-{dumps.list('Contoso').items[0].key_id}")
    with pytest.raises(NotFoundError, match="erased"):
        dumps.read(dump_id, catalog="Contoso", actor="bob")
    assert [one.actor for one in audited(host, "crash-dump.read")] == ["bob", "alice"]


def test_a_dump_of_another_catalog_does_not_exist(host: ServiceHost, dumps: CrashDumps, device: WireDevice) -> None:
    host.catalog("Fabrikam")
    collect(dumps)
    send(device)
    (dump_id,) = kept(dumps)
    for attempt in (dumps.read, dumps.delete):
        with pytest.raises(NotFoundError):
            attempt(dump_id, catalog="Fabrikam", actor="t")
    assert dumps.list("Fabrikam").items == ()
    assert audited(host, "crash-dump.read") == []
    with pytest.raises(NotFoundError):
        dumps.read(uuid4(), catalog=None, actor="t")


def test_a_deleted_dump_is_gone_and_the_others_stay(host: ServiceHost, dumps: CrashDumps, device: WireDevice) -> None:
    collect(dumps)
    for number in range(2):
        send(device, numbered(number))
    first, second = kept(dumps)
    dumps.delete(first, catalog="Contoso", actor="t")
    assert kept(dumps) == [second]
    assert [line.target for line in audited(host, "crash-dump.delete")] == [str(first)]
    with pytest.raises(NotFoundError):
        dumps.delete(first, catalog="Contoso", actor="t")


def test_what_came_before_a_transfer_stays_with_the_owner_of_then(
    host: ServiceHost, dumps: CrashDumps, device: WireDevice
) -> None:
    collect(dumps)
    send(device)
    host.catalog("Fabrikam")
    registry = host.service.registry
    to_catalog = registry.catalogs.get("Fabrikam").catalog_id
    offer = registry.transfers.offer("Contoso", device.device_id, to_catalog, actor="t")
    registry.transfers.accept("Fabrikam", offer.transfer_id, actor="t")
    assert len(dumps.list("Contoso", device_id=device.device_id).items) == 1
    assert dumps.list("Fabrikam", device_id=device.device_id).items == ()


# -- ending -----------------------------------------------------------------------------------------------------------


def test_dumps_are_deleted_when_their_groups_time_is_over(
    host: ServiceHost, dumps: CrashDumps, device: WireDevice, clock: Clock
) -> None:
    nobody_wakes(host.service)  # the service's own loop ends dumps, too
    collect(dumps, days=2)
    send(device, numbered(1))
    clock.now += DAY
    send(device, numbered(2))
    assert end_dumps(host.service.context, host.service.authority.keys) == 0
    clock.now += DAY + 1
    assert end_dumps(host.service.context, host.service.authority.keys) == 1
    assert len(kept(dumps)) == 1
    collect(dumps, days=1)
    assert end_dumps(host.service.context, host.service.authority.keys) == 1


def test_erased_dumps_are_unreadable_also_in_a_copy_of_the_database(
    host: ServiceHost, dumps: CrashDumps, device: WireDevice, tmp_path: Path
) -> None:
    collect(dumps, stacks="full")
    send(device, dump())
    (row,) = dumps.list("Contoso").items
    kept_row = host.service.context.records.read(lambda c: dump_rows.one(c, row.dump_id))
    assert kept_row is not None
    sealed, keys, context = kept_row[1], host.service.authority.keys, intake.context_of(row)
    folder = host.service.context.folder.keys
    assert SECRET in sealing.unseal(keys, row.key_id, sealed, context)  # the control: before, the copy opens
    assert dumps.erase(*GROUP, actor="t") == 1
    assert kept(dumps) == []
    assert not list(folder.glob("crash-dumps-*"))
    with pytest.raises(NotFoundError, match="erased"):
        sealing.unseal(keys, row.key_id, sealed, context)
    (line,) = audited(host, "device-group.erase-crash-dumps")
    assert line.target == "/".join(GROUP)
    assert send(device, numbered(7))[0] == 200, "the next dump has a new key"
    (after,) = dumps.list("Contoso").items
    assert after.key_id != row.key_id
    with pytest.raises(ArmillaryError):
        sealing.unseal(keys, after.key_id, sealed, context)


def test_an_erasure_that_was_cut_off_is_finished_by_the_next_run(
    host: ServiceHost, dumps: CrashDumps, device: WireDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    collect(dumps)
    send(device)
    folder, keys = host.service.context.folder.keys, host.service.authority.keys

    def cut(*_: object) -> None:
        raise CutError

    with monkeypatch.context() as patch:
        patch.setattr(sealing, "delete_key", cut)
        with pytest.raises(CutError):
            dumps.erase(*GROUP, actor="t")
    assert kept(dumps) == []
    assert len(list(folder.glob("crash-dumps-*"))) == 1
    with monkeypatch.context() as patch:
        patch.setattr(dump_rows, "forget_keys", cut)
        with pytest.raises(CutError):
            end_dumps(host.service.context, keys)
    assert not list(folder.glob("crash-dumps-*"))
    end_dumps(host.service.context, keys)
    assert host.service.context.records.read(dump_rows.ended_keys) == ()
    assert send(device)[0] == 200


def test_a_dump_that_was_sealed_to_a_key_that_ended_is_sealed_again(
    dumps: CrashDumps, device: WireDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    collect(dumps)
    send(device, numbered(1))
    seal, erased = sealing.seal, []

    def seal_late(*arguments: bytes) -> bytes:
        if not erased:
            erased.append(dumps.erase(*GROUP, actor="t"))
        return seal(*arguments)

    monkeypatch.setattr(sealing, "seal", seal_late)
    assert send(device, numbered(2))[0] == 200
    (row,) = dumps.list("Contoso").items
    assert dumps.parsed(row.dump_id, catalog="Contoso", actor="t")[1] == numbered(2)


def test_the_key_of_a_group_that_is_gone_goes_with_its_dumps(
    host: ServiceHost, dumps: CrashDumps, device: WireDevice
) -> None:
    registry, keys = host.service.registry, host.service.authority.keys
    registry.groups.create("Contoso", "Kettle", "Short", actor="t", allow_crash_dumps="Enabled")
    registry.devices.move("Contoso", device.device_id, product="Kettle", group="Short", actor="t")
    assert send(device)[0] == 200
    registry.devices.move("Contoso", device.device_id, product="Kettle", group="Production", actor="t")
    registry.groups.delete("Contoso", "Kettle", "Short", actor="t")
    assert end_dumps(host.service.context, keys) == 1
    assert kept(dumps) == []
    assert not list(host.service.context.folder.keys.glob("crash-dumps-*"))


def test_two_that_make_the_key_of_a_group_at_once_have_one(
    host: ServiceHost, dumps: CrashDumps, device: WireDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    collect(dumps)
    make, others = sealing.make_key, []

    def make_late(keys: Any, key_id: UUID) -> bytes:
        if not others:
            others.append(key_id)
            with host.claimed(b"b" * 32) as other:
                assert send(other)[0] == 200
        return make(keys, key_id)

    monkeypatch.setattr(sealing, "make_key", make_late)
    assert send(device)[0] == 200
    assert len({one.key_id for one in dumps.list("Contoso").items}) == 1
    assert len(list(host.service.context.folder.keys.glob("crash-dumps-*"))) == 1
    for dump_id in kept(dumps):
        dumps.read(dump_id, catalog="Contoso", actor="t")


def test_the_services_own_run_deletes_once_an_hour(
    host: ServiceHost, dumps: CrashDumps, device: WireDevice, clock: Clock
) -> None:
    collect(dumps, days=1)
    send(device)
    counts = []
    for step in (DAY - 1800, 1800, 1800):  # the second look is too soon after the first one that found something left
        host.service._look_at_clocks()
        clock.now += step
        counts.append(len(kept(dumps)))
    host.service._look_at_clocks()
    assert (counts, kept(dumps)) == ([1, 1, 1], [])


@pytest.mark.parametrize(
    ("module", "name"),
    [(sealing, "make_key"), (dump_rows, "add_key"), (sealing, "seal"), (dump_rows, "add")],
    ids=["the key file", "its row", "the encryption", "the row of the dump"],
)
def test_cut_after_each_step_a_dump_is_kept_once_when_it_comes_again(
    made_folder: Path, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, module: Any, name: str
) -> None:
    data = copy_of(made_folder, tmp_path / "cut")
    step = getattr(module, name)

    def cut(*arguments: Any) -> None:
        step(*arguments)
        raise CutError

    body = encode_dump(numbered(1))
    with ServiceHost(data, clock=clock, planner_interval_s=3600.0) as host:
        device_id = host.claimed(b"a" * 32).device_id
        collect(host.service.crash_dumps)
        with monkeypatch.context() as patch:
            patch.setattr(module, name, cut)
            with pytest.raises(CutError):
                intake.DumpIntake(host.service.context, host.service.authority.keys).take(device_id, body)
    with ServiceHost(data, clock=clock, planner_interval_s=3600.0) as again:
        taken = intake.DumpIntake(again.service.context, again.service.authority.keys).take(device_id, body)
        assert kept(again.service.crash_dumps) == [taken]
        assert len(list(again.service.context.folder.keys.glob("crash-dumps-*"))) == 1
        assert again.service.crash_dumps.read(taken, catalog="Contoso", actor="t")[1] == body


# -- the data region --------------------------------------------------------------------------------------------------


def test_a_group_that_demands_the_eu_collects_nothing_elsewhere(
    host: ServiceHost, dumps: CrashDumps, device: WireDevice
) -> None:
    update = host.service.registry.groups.update
    update(*GROUP, actor="t", regional_data_boundary="EU")
    with pytest.raises(ConflictError, match="data_region"):
        collect(dumps)
    with pytest.raises(ConflictError, match="data_region"):
        update(*GROUP, actor="t", allow_crash_dumps="Enabled")
    assert dumps.collection(*GROUP).is_on is False
    update(*GROUP, actor="t", regional_data_boundary="None", allow_crash_dumps="Enabled")
    with pytest.raises(ConflictError, match="data_region"):
        update(*GROUP, actor="t", regional_data_boundary="EU")
    assert device.check_in().dumps == SCRUBBED_DUMPS


def test_a_service_that_is_moved_out_of_the_eu_refuses_what_it_took(
    made_folder: Path, tmp_path: Path, clock: Clock
) -> None:
    data = copy_of(made_folder, tmp_path / "eu")
    asked = []
    for region in ("eu", ""):
        with ServiceHost(data, clock=clock, planner_interval_s=3600.0, data_region=region) as host:
            dumps = host.service.crash_dumps
            if region:
                host.service.registry.groups.update(*GROUP, actor="t", regional_data_boundary="EU")
                collect(dumps)
                device = host.claimed(b"a" * 32)
                device.update_status, device.takes_consent = UpdateStatus(), True
            device.port = host.service.device_address.port
            with device:
                asked.append((device.check_in().dumps, send(device, numbered(len(asked)))))
    assert asked == [(SCRUBBED_DUMPS, (200, "")), (NO_DUMPS, (403, "device.crash-dump-refused"))]

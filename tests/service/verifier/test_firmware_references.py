# SPDX-License-Identifier: Apache-2.0
"""Reference values for firmware, from a good device's record to the next check-in of another over TLS."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.attest.test_firmware_reference import GOOD, changed, digest
from tests.fixtures.clocks import Clock
from tests.service.tpm_wire_device import TpmWireDevice

from armillary.attest import firmware_reference as rules
from armillary.attest.firmware_reference import FirmwareValue, measured, statable, to_json
from armillary.engines.records.queries.check_ins import CheckInStatements
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError
from armillary.sim.device.service_host import ServiceHost
from armillary.wire.attestation.firmware_log import FirmwareLog
from armillary.wire.device.checkin import CheckinReply

OPERATOR = "operator"
ANOTHER = changed("boot loader", "another loader")


@pytest.fixture
def machine(host: ServiceHost) -> Iterator[TpmWireDevice]:
    with host.claimed(b"a" * 32) as device:
        yield TpmWireDevice(host, device, GOOD)


def check_in(machine: TpmWireDevice, clock: Clock) -> CheckinReply:
    clock.now += 1
    return machine.check_in()


def failing(reply: CheckinReply) -> dict[int, str]:
    return {step.number: step.detail for step in reply.steps if step.result == "fail"}


def take(host: ServiceHost, machine: TpmWireDevice, *, final: bool = False, **options: Any) -> Any:
    found = host.service.attestation.firmware.of_device(machine.device.device_id)
    values = to_json(statable(found.values, final=final))
    return host.service.attestation.firmware.add("Contoso", found.chip, values, actor=OPERATOR, **options)


@pytest.mark.parametrize("final", [False, True])
def test_a_good_devices_firmware_becomes_the_reference_for_the_others(
    host: ServiceHost, clock: Clock, machine: TpmWireDevice, final: bool
) -> None:
    assert check_in(machine, clock).verdict == "attested"  # positive control: nothing is stated
    take(host, machine, final=final)
    assert check_in(machine, clock).verdict == "attested"
    with host.claimed(b"b" * 32) as other:
        changed_machine = TpmWireDevice(host, other, ANOTHER)
        reply = check_in(changed_machine, clock)
        assert (reply.verdict, reply.purpose) == ("update-only", "update")
        assert list(failing(reply)) == [20]
        assert failing(reply)[20].startswith("PCR 4 (boot loader): ")
        (kept,) = host.service.registry.history.check_ins(other.device_id, limit=1).items
        assert [step.detail for step in kept.steps if step.result == "fail"] == list(failing(reply).values())


def test_new_firmware_is_seen_in_the_records_of_the_device_that_was_refused_for_it(
    host: ServiceHost, clock: Clock, machine: TpmWireDevice
) -> None:
    """Roll-out of a new boot loader: one test machine gets it, its record becomes a second reference."""
    check_in(machine, clock)
    take(host, machine)
    machine.firmware = ANOTHER
    assert check_in(machine, clock).verdict == "update-only"
    assert host.service.attestation.firmware.of_device(machine.device.device_id).values == measured(ANOTHER)
    take(host, machine, note="26.12 of the loader")
    assert check_in(machine, clock).verdict == "attested"
    machine.firmware = GOOD
    assert check_in(machine, clock).verdict == "attested"


def test_a_device_that_stops_sending_its_log_gets_only_updates(
    host: ServiceHost, clock: Clock, machine: TpmWireDevice
) -> None:
    machine.firmware = None
    assert check_in(machine, clock).verdict == "attested"
    machine.firmware = GOOD
    check_in(machine, clock)
    take(host, machine)
    machine.firmware = None
    assert "sent no log of its firmware" in failing(check_in(machine, clock))[20]


def test_what_was_stated_is_listed_ends_and_is_taken_back(
    host: ServiceHost, clock: Clock, machine: TpmWireDevice
) -> None:
    check_in(machine, clock)
    first = take(host, machine, note="model A", expires_at=int(clock.now) + 10)
    assert host.service.attestation.firmware.list("Contoso") == (first,)
    assert check_in(machine, clock).verdict == "attested"
    clock.now += 10
    assert "that is over" in failing(check_in(machine, clock))[20]
    host.service.attestation.firmware.remove("Contoso", first.statement_id, actor=OPERATOR)
    assert host.service.attestation.firmware.list("Contoso") == ()
    assert check_in(machine, clock).verdict == "attested"
    machine.firmware = ANOTHER
    assert check_in(machine, clock).verdict == "attested"
    lines = [line for line in host.service.audit.list(limit=50).items if "firmware" in line.operation]
    assert [line.operation for line in lines] == [
        "attestation-policy.firmware-remove", "attestation-policy.firmware-add",
    ]  # fmt: skip
    assert digest("boot loader").hex() in str(lines[1].detail)


def test_a_statement_is_its_catalogs_alone_and_survives_a_restart_of_the_book(
    host: ServiceHost, clock: Clock, machine: TpmWireDevice
) -> None:
    host.catalog("Fabrikam")
    check_in(machine, clock)
    take(host, machine)
    host.service.attestation.policies.refresh()
    machine.firmware = ANOTHER
    assert check_in(machine, clock).verdict == "update-only"
    with host.claimed(b"c" * 32, catalog="Fabrikam") as theirs:
        assert check_in(TpmWireDevice(host, theirs, ANOTHER), clock).verdict == "attested"
    (mine,) = host.service.attestation.firmware.list("Contoso")
    with pytest.raises(NotFoundError, match="no firmware reference values"):
        host.service.attestation.firmware.remove("Fabrikam", mine.statement_id, actor=OPERATOR)
    host.service.attestation.firmware.add("Fabrikam", "mt3620", to_json(mine.values), actor=OPERATOR)


def test_a_log_is_written_once_and_only_where_the_tpm_vouches_for_it(
    host: ServiceHost, clock: Clock, machine: TpmWireDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Any] = []
    execute = CheckInStatements.execute

    def spied(self: CheckInStatements, connection: Any, writes: Any) -> None:
        written.extend(write.firmware for write in writes if write.firmware is not None)
        execute(self, connection, writes)

    monkeypatch.setattr(CheckInStatements, "execute", spied)
    with pytest.raises(NotFoundError, match="no recorded log"):
        host.service.attestation.firmware.of_device(machine.device.device_id)
    for _ in range(3):
        check_in(machine, clock)
    assert written == [measured(GOOD)]
    host.service.serving.server.states.mark_stale(machine.device.device_id)  # read again, as one that was not cached
    check_in(machine, clock)
    assert written == [measured(GOOD)]
    for forged in (FirmwareLog(GOOD.pcr_values, ANOTHER.log), FirmwareLog(ANOTHER.pcr_values, GOOD.log)):
        machine.firmware = forged
        assert list(failing(check_in(machine, clock))) == [20]
    assert written == [measured(GOOD)]
    assert host.service.attestation.firmware.of_device(machine.device.device_id).values == measured(GOOD)


def test_device_workers_are_told_of_each_statement(host: ServiceHost) -> None:
    told: list[int] = []
    host.service.attestation.policies.on_change.append(lambda: told.append(len(host.service.attestation.policies.book)))
    made = host.service.attestation.firmware.add("Contoso", "mt3620", [{"pcr": 4, "digest": "00" * 32}], actor=OPERATOR)
    host.service.attestation.firmware.remove("Contoso", made.statement_id, actor=OPERATOR)
    assert told == [1, 0]


@pytest.mark.parametrize(
    "options",
    [
        {"values": []},
        {"values": [{"pcr": 1, "digest": "00" * 32}]},
        {"chip": "z80"},
        {"note": "x" * 201},
        {"note": "\x1b[2J"},
        {"expires_at": 1},
        {"expires_at": 1 << 60},
    ],
)
def test_what_is_no_statement_is_refused(host: ServiceHost, options: dict[str, Any]) -> None:
    given: dict[str, Any] = {"chip": "mt3620", "values": [{"pcr": 4, "digest": "00" * 32}], **options}
    with pytest.raises((InvalidArgumentError, NotFoundError)):
        host.service.attestation.firmware.add("Contoso", actor=OPERATOR, **given)
    assert host.service.attestation.firmware.list("Contoso") == ()


def test_there_is_a_limit_of_statements(host: ServiceHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "MAX_LISTS", 1)
    value = [{"pcr": 4, "digest": "00" * 32}]
    made = host.service.attestation.firmware.add("Contoso", "mt3620", value, actor=OPERATOR)
    assert made.values == (FirmwareValue("measurement", 4, bytes(32)),)
    with pytest.raises(ConflictError, match="has 1 lists"):
        host.service.attestation.firmware.add("Contoso", "mt3620", value, actor=OPERATOR)

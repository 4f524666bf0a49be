# SPDX-License-Identifier: Apache-2.0
"""Logs that real devices send over TLS when they are asked: told by a check-in, kept for a while, read with a trace."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from tests.fixtures.clocks import Clock

from armillary.errors import ConflictError, NotFoundError
from armillary.service.device_logs.device_logs import KEPT_S, REQUEST_S, UNANSWERED_S, DeviceLogs
from armillary.sim.device.service_host import ServiceHost
from armillary.sim.device.wire_device import WireDevice
from armillary.wire.device.device_log import DeviceLog, encode_log, parse_log_receipt
from armillary.wire.device.problem import parse_problem
from armillary.wire.device.update_status import UpdateStatus

LINES = ("2026-11-24 00:00:00  booted  boot_count=1", "2026-11-24 00:00:01  output  text=hello")


@pytest.fixture
def logs(host: ServiceHost) -> DeviceLogs:
    return host.service.device_logs


@pytest.fixture
def device(host: ServiceHost) -> Iterator[WireDevice]:
    with host.claimed(b"a" * 32) as claimed:
        claimed.update_status = UpdateStatus(abilities=("log",))
        claimed.sends_log = True
        yield claimed


def asked(device: WireDevice) -> UUID:
    """The request that the reply to a check-in names."""
    request_id = device.check_in().log_request
    assert request_id is not None
    return request_id


def send(device: WireDevice, request_id: UUID, lines: tuple[str, ...] = LINES, left_out: int = 0) -> tuple[int, str]:
    """Status and error code of sending a log."""
    log = DeviceLog(request_id=request_id, at=1_790_000_000, left_out=left_out, lines=lines)
    answer = device.exchange("POST", "/v1/device-log", encode_log(log))
    if answer.status == 200:
        assert parse_log_receipt(answer.body) == request_id
    return answer.status, "" if answer.status == 200 else parse_problem(answer.body).code


def audited(host: ServiceHost) -> list[tuple[str, str, str]]:
    found = [(one.actor, one.operation, one.target) for one in host.service.audit.list(limit=100).items]
    return [one for one in reversed(found) if one[1].endswith("-log")]


def test_a_log_is_asked_for_sent_read_and_audited(host: ServiceHost, logs: DeviceLogs, device: WireDevice) -> None:
    assert device.check_in().log_request is None
    before = logs.standing(device.device_id)
    assert (before.state, before.answers, before.refused, before.answer) == ("never", True, "", None)
    made = logs.ask(device.device_id, actor="ann")
    assert made.state == "waiting"
    assert made.request is not None
    assert (made.request.asked_by, made.request.asked_at) == ("ann", host.service.context.now())
    request_id = asked(device)
    assert asked(device) == request_id, "it is named until it is answered"
    assert send(device, request_id, left_out=7) == (200, "")
    assert device.check_in().log_request is None
    now = logs.standing(device.device_id)
    assert (now.state, now.request) == ("answered", None)
    assert now.answer is not None
    assert (now.answer.asked_by, now.answer.line_count, now.answer.left_out) == ("ann", 2, 7)
    assert audited(host) == [("ann", "device.ask-log", device.device_id)], "looking where it stands reads nothing"
    assert logs.read(device.device_id, actor="bob").lines == LINES
    assert audited(host)[1:] == [("bob", "device.read-log", device.device_id)]


def test_a_device_that_waits_for_a_hint_is_told_at_once(
    host: ServiceHost, logs: DeviceLogs, device: WireDevice
) -> None:
    device.check_in()
    logs.ask(device.device_id, actor="ann")
    found = host.service.registry.devices.get(device.device_id)
    assert found.check_now_at == host.service.context.now()


def test_one_request_waits_at_a_time(logs: DeviceLogs, device: WireDevice) -> None:
    device.check_in()
    logs.ask(device.device_id, actor="ann")
    with pytest.raises(ConflictError, match="was asked by ann and has not answered yet"):
        logs.ask(device.device_id, actor="bob")
    assert logs.standing(device.device_id).refused.startswith("was asked by ann")
    send(device, asked(device))
    assert logs.ask(device.device_id, actor="bob").state == "waiting"


def test_the_answer_before_stays_until_the_next_one_came(logs: DeviceLogs, device: WireDevice) -> None:
    device.check_in()
    for number in range(3):
        logs.ask(device.device_id, actor="ann")
        if number:
            assert logs.read(device.device_id, actor="ann").lines == (f"line {number - 1}",)
        assert send(device, asked(device), (f"line {number}",)) == (200, "")
    assert logs.read(device.device_id, actor="ann").lines == ("line 2",)


def test_an_empty_log_has_no_line_and_one_empty_line_is_one(logs: DeviceLogs, device: WireDevice) -> None:
    device.check_in()
    for lines in ((), ("",), ("", "")):
        logs.ask(device.device_id, actor="ann")
        send(device, asked(device), lines)
        assert logs.read(device.device_id, actor="ann").lines == lines


def test_a_request_ends_and_is_shown_as_unanswered(logs: DeviceLogs, device: WireDevice, clock: Clock) -> None:
    device.check_in()
    logs.ask(device.device_id, actor="ann")
    request_id = asked(device)
    clock.now += REQUEST_S
    device.challenge = b""  # it ended too
    assert device.check_in().log_request is None
    assert send(device, request_id) == (404, "request.not-found")
    assert logs.standing(device.device_id).state == "unanswered"
    logs.remove_ended()
    assert logs.standing(device.device_id).state == "unanswered"
    assert logs.ask(device.device_id, actor="bob").state == "waiting"
    clock.now += REQUEST_S + UNANSWERED_S
    logs.remove_ended()
    assert logs.standing(device.device_id).state == "never"


def test_an_answer_is_kept_for_its_time(host: ServiceHost, logs: DeviceLogs, device: WireDevice, clock: Clock) -> None:
    device.check_in()
    logs.ask(device.device_id, actor="ann")
    send(device, asked(device))
    clock.now += KEPT_S - 1
    assert logs.read(device.device_id, actor="ann").lines == LINES
    clock.now += 1
    with pytest.raises(NotFoundError, match="nothing of the log"):
        logs.read(device.device_id, actor="ann")
    host.service._look_at_clocks()
    with host.service.context.records._readers.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM device_log").scalar_one() == 0


@pytest.mark.parametrize("abilities", [(), ("delta", "os")])
def test_a_device_of_before_says_that_it_does_not_answer(
    logs: DeviceLogs, device: WireDevice, abilities: tuple[str, ...]
) -> None:
    device.sends_log, device.update_status = False, UpdateStatus(abilities=abilities)
    device.check_in()
    assert logs.standing(device.device_id).answers is False
    with pytest.raises(ConflictError, match="does not answer such requests"):
        logs.ask(device.device_id, actor="ann")


def test_a_device_that_has_not_come_yet_is_asked_when_it_comes(logs: DeviceLogs, device: WireDevice) -> None:
    assert logs.ask(device.device_id, actor="ann").answers is None
    assert send(device, asked(device)) == (200, "")


def test_one_that_is_updated_answers_from_then_on(logs: DeviceLogs, device: WireDevice) -> None:
    logs.ask(device.device_id, actor="ann")
    device.sends_log, device.update_status = False, UpdateStatus()
    assert device.check_in().log_request is None
    assert logs.standing(device.device_id).refused.startswith("does not answer")
    device.sends_log, device.update_status = True, UpdateStatus(abilities=("log",))
    assert send(device, asked(device)) == (200, "")


def test_a_device_in_quarantine_tells_what_it_did(host: ServiceHost, logs: DeviceLogs, device: WireDevice) -> None:
    device.check_in()
    host.service.registry.quarantine.put(device.device_id, reason="odd", actor="t")
    logs.ask(device.device_id, actor="ann")
    assert send(device, asked(device)) == (200, "")


def test_who_is_let_in_for_nothing_is_not_asked(host: ServiceHost, logs: DeviceLogs, device: WireDevice) -> None:
    device.check_in()
    host.service.registry.lifecycle.revoke(device.device_id, reason="lost", actor="t")
    with pytest.raises(ConflictError, match="was revoked"):
        logs.ask(device.device_id, actor="ann")
    with pytest.raises(ConflictError, match="belongs to no catalog"):
        logs.ask(host.device(b"u" * 32).device_id, actor="ann")
    with pytest.raises(NotFoundError):
        logs.ask("0" * 128, actor="ann")
    with pytest.raises(NotFoundError):
        logs.read("0" * 128, actor="ann")


def test_a_refused_request_leaves_no_trace(host: ServiceHost, logs: DeviceLogs, device: WireDevice) -> None:
    device.sends_log, device.update_status = False, UpdateStatus()
    device.check_in()
    with pytest.raises(ConflictError):
        logs.ask(device.device_id, actor="ann")
    found: Any = host.service.registry.devices.get(device.device_id)
    assert (found.check_now_at, audited(host)) == (None, [])

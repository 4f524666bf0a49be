# SPDX-License-Identifier: Apache-2.0
"""A device's log under attack: unasked ones, replays, another device's answer, another owner, text that acts.

Beside each attack stands the control: with the one rule taken out, it works.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from armillary.engines.records.queries.security import device_logs as log_rows
from armillary.errors import NotFoundError
from armillary.service.device_logs import intake
from armillary.service.endpoint.connection import MAX_BODY_BYTES
from armillary.service.endpoint.endpoint import DEVICE_LOG
from armillary.sim.device.service_host import ServiceHost
from armillary.sim.device.wire_device import WireDevice
from armillary.wire.device.device_log import MAX_LINE_BYTES, DeviceLog, encode_log
from armillary.wire.device.update_status import UpdateStatus
from armillary.wire.encoding import cbor


@pytest.fixture
def device(host: ServiceHost) -> Iterator[WireDevice]:
    with telling(host, b"a" * 32) as made:
        yield made


def telling(host: ServiceHost, secret: bytes) -> WireDevice:
    """A device that sends its log where somebody asks."""
    made = host.claimed(secret)
    made.update_status, made.sends_log = UpdateStatus(abilities=("log",)), True
    return made


def asked(host: ServiceHost, device: WireDevice) -> UUID:
    """Ask a device for its log; the request that its next check-in is told of."""
    host.service.device_logs.ask(device.device_id, actor="t")
    request_id = device.check_in().log_request
    assert request_id is not None
    return request_id


def send(device: WireDevice, request_id: UUID, *lines: str) -> int:
    log = DeviceLog(request_id=request_id, at=1_790_000_000, left_out=0, lines=lines or ("a line",))
    return device.exchange("POST", "/v1/device-log", encode_log(log)).status


def kept(host: ServiceHost, device: WireDevice) -> tuple[str, ...]:
    """The lines that are kept of a device."""
    try:
        return host.service.device_logs.read(device.device_id, actor="t").lines
    except NotFoundError:
        return ()


# -- what nobody asked for ----------------------------------------------------------------------------------------------


def test_a_log_that_nobody_asked_for_is_kept_nowhere(host: ServiceHost, device: WireDevice) -> None:
    device.check_in()
    assert send(device, uuid4()) == 404
    assert kept(host, device) == ()


def test_and_the_records_alone_refuse_it_too(
    host: ServiceHost, device: WireDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = host.service.serving.server
    assert server is not None
    logs = server.endpoint._uploads[DEVICE_LOG]
    monkeypatch.setattr(logs, "_kind", replace(logs._kind, check=lambda _: None))  # the look before a disk is read
    device.check_in()
    assert send(device, uuid4()) == 404
    assert kept(host, device) == ()


# -- an answer that is sent again ---------------------------------------------------------------------------------------


def replayed(host: ServiceHost, device: WireDevice) -> tuple[str, ...]:
    """What is kept after an answer was followed by another one to the same request."""
    request_id = asked(host, device)
    assert send(device, request_id, "the first") == 200
    send(device, request_id, "the second")
    host.service.device_logs.ask(device.device_id, actor="t")
    device.check_in()
    send(device, request_id, "the third")
    return kept(host, device)


def test_an_answer_counts_once(host: ServiceHost, device: WireDevice) -> None:
    assert replayed(host, device) == ("the first",)


def test_mutation_without_the_requests_id(
    host: ServiceHost, device: WireDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    parse = intake.parse_log

    def any_request(data: bytes) -> DeviceLog:
        found = host.service.context.records.read(
            lambda c: log_rows.request_of(c, log_rows.owned(c, device.device_id) or pytest.fail("no device"))
        )
        return parse(data) if found is None else replace(parse(data), request_id=found.request_id)

    monkeypatch.setattr(intake, "parse_log", any_request)
    assert replayed(host, device) == ("the third",)


# -- another device's answer ---------------------------------------------------------------------------------------------


def test_a_device_answers_for_no_other(host: ServiceHost, device: WireDevice) -> None:
    with telling(host, b"b" * 32) as other:
        of_one, of_other = asked(host, device), asked(host, other)
        assert send(other, of_one, "forged") == 404
        assert send(device, of_other, "forged") == 404
        assert (kept(host, device), kept(host, other)) == ((), ())
        assert (send(device, of_one), send(other, of_other)) == (200, 200)


# -- another owner -------------------------------------------------------------------------------------------------------


def move(host: ServiceHost, device: WireDevice, name: str) -> None:
    """Give a device to another catalog."""
    other = host.service.registry.catalogs.create(name, actor="t")
    transfers = host.service.registry.transfers
    offer = transfers.offer("Contoso", device.device_id, other.catalog_id, actor="t")
    transfers.accept(name, offer.transfer_id, actor="t")


def test_a_new_owner_reads_nothing_and_is_sent_nothing_that_the_former_one_asked_for(
    host: ServiceHost, device: WireDevice
) -> None:
    assert send(device, asked(host, device), "of Contoso") == 200
    waiting = asked(host, device)
    move(host, device, "Fabrikam")
    device.disconnect()
    device.challenge = b""
    assert device.check_in().log_request is None
    assert send(device, waiting) == 404
    standing = host.service.device_logs.standing(device.device_id)
    assert (standing.state, standing.request, standing.answer) == ("never", None, None)
    assert kept(host, device) == ()
    assert send(device, asked(host, device), "of Fabrikam") == 200
    assert kept(host, device) == ("of Fabrikam",)


# -- what does not fit, and what acts ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff" * 100,
        b"x" * 70_000,
        cbor.encode([1, bytes(16), 0, 0, ["x" * (MAX_LINE_BYTES + 1)]]),
        cbor.encode([1, bytes(16), 0, 0, ["x" * MAX_LINE_BYTES] * 30]),
        cbor.encode([1, bytes(16), 0, 0, [""] * 1025]),
    ],
)
def test_other_bytes_are_refused_and_the_request_still_waits(
    host: ServiceHost, device: WireDevice, body: bytes
) -> None:
    request_id = asked(host, device)
    filled = body.replace(bytes(16), request_id.bytes, 1)
    try:
        assert device.exchange("POST", "/v1/device-log", filled).status in (400, 413)
    except ConnectionError:  # refused by its length alone, the connection may end before all of it was written
        assert len(filled) > MAX_BODY_BYTES
    device.disconnect()
    assert kept(host, device) == ()
    assert send(device, request_id) == 200


def test_what_a_terminal_or_a_page_would_act_on_is_taken_out(host: ServiceHost, device: WireDevice) -> None:
    line = "a\x1b[2Jb\u202ec\r\n\u2028d\x07\u200be <script>ü</script> \U0001f600"
    assert send(device, asked(host, device), line, "next") == 200
    assert kept(host, device) == ("a[2Jbcde <script>ü</script> \U0001f600", "next")


def test_mutation_without_the_cleaning_of_lines(
    host: ServiceHost, device: WireDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "shown_line", lambda line: line)
    assert send(device, asked(host, device), "a\x1b[2J\nb") == 200
    assert kept(host, device) == ("a\x1b[2J", "b")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_nobody_reads_or_deletes_a_log_at_the_device_endpoint(
    host: ServiceHost, device: WireDevice, method: str
) -> None:
    request_id = asked(host, device)
    assert send(device, request_id) == 200
    assert device.exchange(method, "/v1/device-log").status == 405
    assert kept(host, device) == ("a line",)

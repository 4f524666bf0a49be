# SPDX-License-Identifier: Apache-2.0
"""What goes to a collector is an ``ExportLogsServiceRequest`` to OpenTelemetry's own classes."""

from __future__ import annotations

import json

import pytest
from google.protobuf import json_format
from hypothesis import given, settings
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.logs.v1.logs_pb2 import SeverityNumber
from tests.wire.notification.events import NOW, event, events

from armillary.errors import WireError
from armillary.wire.notification import event as notification, otlp_logs
from armillary.wire.notification.event import Event
from armillary.wire.notification.otlp_logs import Record


def parsed(*records: Record) -> ExportLogsServiceRequest:
    body = otlp_logs.request(records, host="h.example", version="1.2.3")
    return json_format.Parse(body, ExportLogsServiceRequest())


def test_a_record_says_what_happened() -> None:
    one = event("finding.opened", title="Odd", text="why")
    request = parsed(Record(one, 7, "Contoso"), Record(event(), 8, None))
    (resource,) = request.resource_logs
    assert {each.key: each.value.string_value for each in resource.resource.attributes} == {
        "service.name": "armillary", "service.version": "1.2.3", "service.instance.id": "h.example",
    }  # fmt: skip
    first, second = resource.scope_logs[0].log_records
    assert (first.time_unix_nano, first.severity_number) == (NOW * 10**9, SeverityNumber.SEVERITY_NUMBER_ERROR)
    assert (first.severity_text, first.body.string_value) == ("HIGH", "Odd\n\nwhy")
    assert first.event_name == "armillary.finding.opened"
    told = {each.key: each.value for each in first.attributes}
    assert (told["armillary.event.sequence"].int_value, told["armillary.catalog"].string_value) == (7, "Contoso")
    assert told["armillary.finding.kind"].string_value == "hub-anomaly"
    assert json.loads(told["armillary.event"].string_value) == notification.to_json(one)
    assert "armillary.catalog" not in {each.key for each in second.attributes}


@settings(max_examples=150)
@given(events)
def test_whatever_a_device_says_a_collector_reads_it(one: Event) -> None:
    (record,) = parsed(Record(one, 1, one.title)).resource_logs[0].scope_logs[0].log_records
    assert SeverityNumber.Name(record.severity_number).startswith("SEVERITY_NUMBER_")
    assert record.body.string_value == notification.legible(f"{one.title}\n\n{one.text}")


def test_half_a_character_and_an_escape_sequence_are_spaces() -> None:
    (record,) = (
        parsed(Record(event(title="a\ud800b\x1bc", text="", subject="\ud800"), 1, "\ud800"))
        .resource_logs[0]
        .scope_logs[0]
        .log_records
    )
    assert record.body.string_value == "a b c\n\n"


def test_what_a_collector_does_not_take_is_read_from_its_answer() -> None:
    answer = ExportLogsServiceResponse()
    assert otlp_logs.rejected_of(json_format.MessageToJson(answer).encode()) == 0
    answer.partial_success.rejected_log_records = 3
    assert otlp_logs.rejected_of(json_format.MessageToJson(answer).encode()) == 3
    assert otlp_logs.rejected_of(b"") == 0
    for body in (
        b"<html>",
        b"[]",
        b'{"partialSuccess": 1}',
        b'{"partialSuccess": {"rejectedLogRecords": "x"}}',
        b"\xff",
    ):
        with pytest.raises(WireError):
            otlp_logs.rejected_of(body)

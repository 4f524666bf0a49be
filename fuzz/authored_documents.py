# SPDX-License-Identifier: Apache-2.0
"""Groups, jobs, exports, organisations: any JSON is one or an explained error; what is one can be asked anything."""

from __future__ import annotations

import contextlib
import json
import random
from typing import Any

from armillary.errors import InvalidArgumentError, WireError
from armillary.twin.author.data_export import (
    DataExport,
    ExportRecord,
    document_of,
    is_wanted,
    needs_of_export,
    parse_export,
    split_secret,
)
from armillary.twin.author.group import DeviceFacts, Group, is_member, needs_of_group, parse_group
from armillary.twin.author.job import DeviceState, Job, RunProgress, RunState, next_due, parse_job, plan_run
from armillary.twin.author.organisation import parse_organisation
from fuzz.harness import edited

FILTERS = [
    {"field": "telemetry:temperature", "operator": "gt", "value": 4},
    {"field": "property:a.b", "operator": "exists", "value": False},
    {"field": "device:health", "operator": "ne", "value": "attested"},
]
GROUP = {"name": "g", "catalog": "C", "template": "t", "match": "any", "filters": FILTERS}
JOB = {
    "name": "j", "group": "g", "action": {"kind": "set-property", "properties": {"a": {"b": 1}}}, "start": 5,
    "repeat": {"every_s": 60, "until": 900}, "batch": {"percent": 10, "pause_s": 4}, "abort": {"count": 2},
}  # fmt: skip
EXPORT = {
    "name": "e", "source": "telemetry", "group": "g", "filters": FILTERS, "enrichments": {"s": "cloud:site"},
    "transform": ".a", "destination": {"kind": "webhook", "url": "https://example.com/", "secret": "x" * 20},
}  # fmt: skip
ORGANISATION = {"name": "o", "catalog": "C", "parent": "p"}
ODD: tuple[Any, ...] = (
    None, True, 0, -1, 1e300, 2**70, float("nan"), "", "x", "\ud800", "cloud:", "device:colour", [], {}, [[]], ["x"],
    {"x": 1}, {"kind": "command"}, {"percent": 3, "count": 3}, "x" * 5000,
)  # fmt: skip
FACTS = DeviceFacts(
    device_id="d", reported={"a": {"b": {"value": 1, "ac": 2}}}, cloud={"site": "n"}, fields={"catalog": "C"}
)


def seeds() -> list[bytes]:
    return [json.dumps(each).encode() for each in (GROUP, JOB, EXPORT, ORGANISATION)] + [b"[]", b"3"]


def fuzz(data: bytes) -> None:
    source = random.Random(data)
    with contextlib.suppress(ValueError, RecursionError):
        judge(json.loads(data))
    judge(edited(source.choice([GROUP, JOB, EXPORT, ORGANISATION]), ODD, source, edits=1))


def judge(body: Any) -> None:
    for parse in (parse_group, parse_job, parse_organisation, parse_whole_export):
        try:
            found = parse(body)
        except (InvalidArgumentError, WireError):
            continue
        if isinstance(found, Group):
            needs_of_group(found)
            assert is_member(found, FACTS) in (True, False)
        elif isinstance(found, Job):
            counts = {DeviceState.PENDING: 3, DeviceState.FAILED: 1}
            plan_run(found, RunProgress(state=RunState.RUNNING, counts=counts, batch=0, due_ms=1), 10)
            next_due(found, None, 10)
        elif isinstance(found, DataExport):
            needs_of_export(found)
            record = ExportRecord(
                id="r", source=found.source, device_id="d", at_ms=1, accepted_ms=1, content={}, values={"a": 1}
            )
            assert is_wanted(found, record, FACTS) in (True, False)
            document_of(found, record, FACTS, {"names": {"a": {"name": "A", "unit": "bar"}}})


def parse_whole_export(body: Any) -> DataExport:
    document, _ = split_secret(body)
    return parse_export(document)

# SPDX-License-Identifier: Apache-2.0
"""Every event that goes out in OCSF's form is one by OCSF's own schema, as ``ocsf-json-schema`` has it."""

from __future__ import annotations

import functools
import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema
from tests.wire.notification.events import CATALOG, event, events, finding, findings

from armillary.wire.device import finding as wire_finding
from armillary.wire.device.finding import KINDS, SEVERITIES, STATUSES
from armillary.wire.notification import event as notification, ocsf
from armillary.wire.notification.event import Event

VERSION = "1.2.3"


@functools.cache
def schemas() -> OcsfJsonSchemaEmbedded:
    return OcsfJsonSchemaEmbedded(get_ocsf_schema(ocsf.VERSION))


@functools.cache
def validator(class_uid: int) -> Any:
    name = schemas().lookup_class_name_from_uid(class_uid)
    return jsonschema.Draft202012Validator(schemas().get_class_schema(name))


def check(document: dict[str, Any]) -> None:
    """Fail unless OCSF's schema has nothing to say, and the names say what the numbers say."""
    document = json.loads(json.dumps(document))
    faults = [
        f"{'/'.join(map(str, each.path))}: {each.message[:200]}"
        for each in validator(document["class_uid"]).iter_errors(document)
    ]
    assert faults == []
    schema = schemas().schema.schema if hasattr(schemas().schema, "schema") else get_ocsf_schema(ocsf.VERSION)
    name = schemas().lookup_class_name_from_uid(document["class_uid"])
    attributes = schema["classes"][name]["attributes"]
    for number, word in (
        ("class_uid", "class_name"),
        ("category_uid", "category_name"),
        ("type_uid", "type_name"),
        ("severity_id", "severity"),
    ):
        assert attributes[number]["enum"][str(document[number])]["caption"] == document[word]


def told(one: Event) -> dict[str, Any]:
    return ocsf.of_event(one, catalog=CATALOG, product_version=VERSION, sequence=1)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_findings_of_every_kind_are_valid(kind: str) -> None:
    for severity in SEVERITIES:
        for status in STATUSES:
            check(
                ocsf.of_finding(
                    wire_finding.to_json(finding(kind, severity=severity, status=status)),
                    catalog=CATALOG,
                    product_version=VERSION,
                )
            )
    check(ocsf.of_finding(wire_finding.to_json(finding(kind)), catalog=None, product_version=VERSION, is_new=True))


@pytest.mark.parametrize("kind", sorted(notification.KINDS))
def test_events_of_every_kind_are_valid(kind: str) -> None:
    check(told(event(kind)))


@settings(max_examples=150)
@given(events)
def test_whatever_a_device_says_the_event_is_valid(one: Event) -> None:
    check(told(one))


@settings(max_examples=150)
@given(findings)
def test_whatever_a_finding_says_it_is_valid(one: wire_finding.Finding) -> None:
    check(ocsf.of_finding(wire_finding.to_json(one), catalog=None, product_version=VERSION))


def test_what_is_missing_or_unknown_is_found() -> None:
    """The check itself finds what it is for."""
    good = told(event("finding.opened"))
    check(good)
    for broken in (
        {**good, "severity_id": 42},
        {**good, "made_up": 1},
        {name: value for name, value in good.items() if name != "finding_info"},
        {**good, "time": "yesterday"},
        {**good, "type_name": "Detection Finding: Update"},
    ):
        with pytest.raises(AssertionError):
            check(broken)


def test_a_vulnerability_is_named_by_its_cve_or_its_advisory() -> None:
    for advisory, place in (("CVE-2026-12345", "cve"), ("GHSA-aaaa-bbbb-cccc", "advisory")):
        one = wire_finding.to_json(finding("vulnerability-in-field", advisory_id=advisory))
        made = ocsf.of_finding(one, catalog=None, product_version=VERSION)
        assert (made["class_uid"], made["vulnerabilities"][0][place]) == (2002, {"uid": advisory})


def test_an_event_says_whose_it_is_and_where_it_stands() -> None:
    made = told(event("finding.opened"))
    assert made["metadata"]["tenant_uid"] == str(CATALOG[0])
    assert (made["metadata"]["sequence"], made["metadata"]["event_code"]) == (1, "finding.opened")
    assert (made["activity_name"], made["resources"][0]["uid"]) == ("Create", "ab" * 64)

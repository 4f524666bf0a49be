# SPDX-License-Identifier: Apache-2.0
"""Forms of jobs and exports: what is shown and sent back says the same, and a mistake is named by its field."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

from armillary.console.authored import pages_authored_forms as forms
from armillary.console.authored.pages_authored import SOURCES
from armillary.console.frame.form import Form
from armillary.errors import InvalidArgumentError
from armillary.twin.author.data_export import ExportSource, parse_export, split_secret
from armillary.twin.author.job import parse_job

GROUPS = (("pumps", "All pumps"), ("north", "north"))
PARSERS = {"job": parse_job, "export": parse_export}

DOCUMENTS: list[tuple[str, dict[str, Any]]] = [
    (
        "job",
        {
            "name": "Slower",
            "group": "pumps",
            "action": {"kind": "set-property", "properties": {"interval_s": 60, "mode": "eco", "old": None, "a": {"b": 1}}},
            "start": 1_795_564_860,
            "repeat": {"every_s": 86_400, "until": 1_895_564_800},
            "concurrency": 7,
            "batch": {"percent": 10, "pause_s": 600},
            "abort": {"count": 3},
            "retries": 2,
        },
    ),
    ("job", {"name": "Site", "group": "gone", "action": {"kind": "set-cloud-property", "properties": {"site": "12"}}}),
    ("job", {"name": "Flush", "group": "pumps", "action": {"kind": "command", "command": "p*flush", "payload": {"s": 3}}}),
    ("job", {"name": "Move", "group": "pumps", "action": {"kind": "update", "device_group": "Coffee/Production"}}),
    (
        "job",
        {
            "name": "2.1",
            "group": "pumps",
            "action": {
                "kind": "update",
                "package": {"url": "https://a.example/x", "version": "2.1", "sha256": "0" * 64},
                "timeout_s": 3600,
            },
            "batch": {"size": 5},
        },
    ),
    ("export", {"name": "Hook", "source": "alerts", "destination": {"kind": "webhook", "url": "https://a.example/x"}}),
    (
        "export",
        {
            "name": "Files",
            "source": "telemetry",
            "enabled": False,
            "from": "beginning",
            "group": "north",
            "filters": [{"field": "telemetry:t", "operator": "gt", "value": 8}],
            "enrichments": {"site": "cloud:site"},
            "names": True,
            "transform": "{id,\n t: .values.t}",
            "destination": {"kind": "file", "rotate_bytes": 4096, "keep_files": 3},
        },
    ),
    (
        "export",
        {
            "name": "Broker",
            "source": "properties",
            "destination": {"kind": "mqtt", "host": "b.example", "topic": "a/b", "tls": False, "username": "u"},
        },
    ),
    (
        "export",
        {
            "name": "Kafka",
            "source": "connectivity",
            "destination": {
                "kind": "kafka", "servers": ["a.example:9092", "[::1]:9093"], "topic": "t", "sasl": "SCRAM-SHA-256",
                "username": "u", "signed": True, "ca": "-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----",
            },
        },
    ),
    (
        "export",
        {
            "name": "Lake",
            "source": "lifecycle",
            "destination": {
                "kind": "s3", "endpoint": "https://s3.example", "bucket": "lake", "prefix": "a/b", "access_key": "AK",
                "signed": True,
            },
        },
    ),
]  # fmt: skip


def shown(kind: str, body: dict[str, Any], etag: str = "e") -> Form:
    made = forms.form(kind, body, post="/x", etag=etag, groups=GROUPS)
    assert made is not None
    return made


def typed(form: Form) -> dict[str, str]:
    return {each.name: each.value for each in form.fields if each.kind != "check" or each.value}


def test_every_source_of_an_export_has_words() -> None:
    assert set(SOURCES) == set(ExportSource)
    assert all(words for words in SOURCES.values())


@pytest.mark.parametrize(("kind", "body"), DOCUMENTS, ids=[f"{kind}-{body['name']}" for kind, body in DOCUMENTS])
def test_a_form_that_is_sent_back_changes_nothing(kind: str, body: dict[str, Any]) -> None:
    again = forms.document_of(kind, body, typed(shown(kind, body)))
    assert PARSERS[kind](again) == PARSERS[kind](body)
    assert forms.variant_of(kind, again) == forms.variant_of(kind, body)


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=6),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
            lambda inner: st.dictionaries(st.text(max_size=3), inner, max_size=2),
            max_leaves=3,
        ),
        min_size=1,
        max_size=3,
    )
)
def test_properties_come_back_as_they_were_or_have_no_form(properties: dict[str, Any]) -> None:
    body = {"name": "x", "group": "pumps", "action": {"kind": "set-property", "properties": properties}}
    made = forms.form("job", body, post="/x", etag="e", groups=GROUPS)
    if made is None:
        return
    assert forms.document_of("job", body, typed(made))["action"]["properties"] == properties


def test_an_ordinary_property_has_a_form() -> None:
    body = {"name": "x", "group": "pumps", "action": {"kind": "set-property", "properties": {"a": "on", "b": 2.5}}}
    assert {each.name: each.value for each in shown("job", body).fields}["action.properties"] == "a = on\nb = 2.5"


@pytest.mark.parametrize(("properties", "start"), [({"a=b": 1}, None), ({"a": 1}, 2**40)])
def test_what_a_form_cannot_say_has_none(properties: dict[str, Any], start: int | None) -> None:
    body = {"name": "x", "group": "pumps", "action": {"kind": "set-property", "properties": properties}, "start": start}
    assert parse_job(body)
    assert forms.form("job", body, post="/x", etag="e", groups=GROUPS) is None


def test_a_new_one_is_made_of_every_form() -> None:
    sent = {"name": " Hook ", "source": "telemetry", "enabled": "on", "destination.url": "https://a.example/x"}
    body = forms.document_of(
        "export", forms.begin("export", "webhook"), {**sent, "destination.secret": " s3cret, long enough "}
    )
    document, secret = split_secret(body)
    assert secret == " s3cret, long enough "  # not a character of it is changed
    assert parse_export(document).name == "Hook"
    for kind, variants in forms.VARIANTS.items():
        for variant in variants or {"": ""}:
            begun = forms.begin(kind, variant)
            assert forms.variant_of(kind, begun) == variant
            assert shown(kind, begun, etag="").fields
    sent = {
        "name": "x", "group": "pumps", "action.package.url": "https://a/x", "action.package.version": "1",
        "action.package.sha256": "0" * 64,
    }  # fmt: skip
    made = forms.document_of("job", forms.begin("job", "package"), sent)
    assert parse_job(made).action.package["version"] == "1"


@pytest.mark.parametrize(
    ("kind", "variant", "field", "value", "message"),
    [
        ("job", "set-property", "action.properties", "interval", "Properties: expected NAME = VALUE on each line"),
        ("job", "set-property", "action.properties", "a = 1\na = 2", "Properties: expected each name once, got 'a'"),
        ("job", "command", "action.payload", "{", "Parameters: expected JSON, got '{'"),
        ("job", "command", "action.payload", "NaN", "Parameters: expected JSON"),
        ("job", "command", "action.timeout_s", "-1", "Timeout: expected a whole number, got '-1'"),
        ("job", "command", "action.timeout_s", "9" * 5000, "Timeout: expected a whole number"),
        ("job", "command", "start", "tomorrow", "First run: expected a time as 2027-01-31 06:00, UTC, got 'tomorrow'"),
        ("job", "command", "batch", "many%", "In batches of: expected a whole number, got 'many'"),
        ("export", "file", "enrichments", "site", "Added to each: expected NAME = SOURCE:PATH on each line"),
    ],
)
def test_a_mistake_names_its_field(kind: str, variant: str, field: str, value: str, message: str) -> None:
    with pytest.raises(InvalidArgumentError) as refused:
        forms.document_of(kind, forms.begin(kind, variant), {"name": "x", field: value})
    assert message in refused.value.message


def test_a_secret_is_never_sent_back() -> None:
    begun = forms.begin("export", "webhook")
    made = forms.form(
        "export", begun, post="/x", etag="", groups=(), sent={"destination.secret": "s3cret"},
        error=InvalidArgumentError("no"),
    )  # fmt: skip
    assert made is not None
    assert "s3cret" not in repr(made)

# SPDX-License-Identifier: Apache-2.0
"""Data exports: what a body may say, what goes out and whose it is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

from armillary.errors import InvalidArgumentError
from armillary.twin.author.data_export import (
    ExportRecord,
    ExportSource,
    batches,
    document_of,
    is_wanted,
    needs_of_export,
    parse_export,
    split_secret,
)
from armillary.twin.author.group import DeviceFacts, Needs

WEBHOOK = {"kind": "webhook", "url": "https://example.com/in"}
FACTS = DeviceFacts(
    device_id="0a" * 64,
    fields={"catalog": "North", "template": "sensor", "claimed_at": 1000},
    cloud={"site": "n1"},
    telemetry={"temperature": 99},
)
RECORD = ExportRecord(
    id="t-1-0",
    source=ExportSource.TELEMETRY,
    device_id="0a" * 64,
    at_ms=5,
    accepted_ms=2_000_000,
    content={"values": {"temperature": 4}},
    values={"temperature": 4},
)


def body(**more: Any) -> dict[str, Any]:
    return {"name": "e", "source": "telemetry", "destination": WEBHOOK, **more}


def kafka(**more: Any) -> dict[str, Any]:
    return body(destination={"kind": "kafka", "servers": ["broker:9093"], "topic": "t", **more})


def test_a_cluster_has_servers_with_ports_and_is_secured_unless_said_otherwise() -> None:
    given = kafka(
        servers=["Broker-1.example:9093", "[2001:DB8::1]:9094"], sasl="SCRAM-SHA-512", username="u", signed=True
    )
    assert dict(parse_export(given).destination.options) == {
        "servers": ["broker-1.example:9093", "[2001:db8::1]:9094"],
        "topic": "t",
        "tls": True,
        "ca": None,
        "sasl": "SCRAM-SHA-512",
        "username": "u",
        "signed": True,
    }


def warmer(than: float) -> dict[str, Any]:
    return body(filters=[{"field": "telemetry:temperature", "operator": "gt", "value": than}])


def test_a_filter_looks_at_the_message_and_not_at_the_last_value() -> None:
    assert is_wanted(parse_export(warmer(3)), RECORD, FACTS)
    assert not is_wanted(parse_export(warmer(5)), RECORD, FACTS)
    assert needs_of_export(parse_export(warmer(3))) == Needs(template=True)


def test_whose_a_record_is() -> None:
    assert is_wanted(parse_export(body(catalog="north")), RECORD, FACTS)
    assert not is_wanted(parse_export(body(catalog="south")), RECORD, FACTS)
    assert not is_wanted(parse_export(body(catalog="north")), RECORD, DeviceFacts(device_id="x"))
    earlier = ExportRecord(**{**{name: getattr(RECORD, name) for name in RECORD.__slots__}, "accepted_ms": 999_999})
    assert not is_wanted(parse_export(body(catalog="north")), earlier, FACTS)  # of the owner before
    assert is_wanted(parse_export(body()), earlier, FACTS)


def test_a_record_as_it_is_sent() -> None:
    export = parse_export(body(enrichments={"site": "cloud:site", "none": "tag:x", "t": "telemetry:temperature"}))
    assert document_of(export, RECORD, FACTS, {}) == {
        "id": "t-1-0",
        "source": "telemetry",
        "device_id": "0a" * 64,
        "catalog": "North",
        "template": "sensor",
        "at_ms": 5,
        "values": {"temperature": 4},
        "enrichments": {"site": "n1", "none": None, "t": 99},
    }


def test_names_are_added_only_where_they_are_asked_for() -> None:
    assert parse_export(body()).names is False  # records of exports that are there stay as they are
    export = parse_export(body(names=True))
    named = {"names": {"temperature": {"display_name": "Heat", "symbol": "\u00b0C"}}}
    assert document_of(export, RECORD, FACTS, named) == document_of(export, RECORD, FACTS, {}) | named


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (body(source="everything"), "telemetry, properties, lifecycle, alerts, connectivity"),
        (body(names="yes"), "names"),
        (body(destination=None), "destination"),
        (body(destination={"kind": "ftp"}), "webhook, file, mqtt, s3, kafka"),
        (body(destination={"kind": "webhook", "url": "ftp://x/"}), "http or https"),
        (body(destination={"kind": "webhook", "url": "https://user@x/"}), "without user"),
        (body(destination={**WEBHOOK, "secret": "x" * 20}), "no other fields"),
        (body(destination={"kind": "file", "folder": "/etc"}), "no other fields"),
        (body(destination={"kind": "file", "rotate_bytes": 1}), "rotate_bytes"),
        (body(destination={"kind": "mqtt", "host": "x", "topic": "a/#"}), "without"),
        (body(destination={"kind": "mqtt", "host": "x/y", "topic": "a"}), "host"),
        (body(destination={"kind": "s3", "endpoint": "https://x/y", "bucket": "abc", "access_key": "k"}), "endpoint"),
        (body(destination={"kind": "s3", "endpoint": "https://x", "bucket": "a/b", "access_key": "k"}), "bucket"),
        (
            body(
                destination={
                    "kind": "s3",
                    "endpoint": "https://x",
                    "bucket": "abc",
                    "prefix": "../x",
                    "access_key": "k",
                }
            ),
            "prefix",
        ),
        (
            body(destination={"kind": "s3", "endpoint": "https://x", "bucket": "abc", "access_key": "k\r\nX: y"}),
            "access_key",
        ),
        (kafka(servers=[]), "list of 1 to 16"),
        (kafka(servers=["broker"]), "HOST:PORT"),
        (kafka(servers=["user@broker:9093"]), "HOST:PORT"),
        (kafka(servers=["broker:70000"]), "HOST:PORT"),
        (kafka(topic=".."), "letters"),
        (kafka(topic="a/b"), "letters"),
        (kafka(sasl="GSSAPI"), "none, PLAIN, SCRAM-SHA-256, SCRAM-SHA-512"),
        (kafka(sasl="PLAIN", signed=True), "username"),
        (kafka(username="u"), "username"),
        (kafka(sasl="PLAIN", username="u"), "secret"),
        (kafka(signed=True), "secret"),
        (kafka(sasl="PLAIN", username="u", signed=True, tls=False), "tls with PLAIN"),
        (kafka(ca="no certificate"), "PEM"),
        (kafka(ca="-----BEGIN CERTIFICATE-----", tls=False), "none without tls"),
        (body(enrichments={"a": "nothing:b"}), "enrichments.a"),
        (body(enrichments=[]), "an object"),
        (body(transform=""), "jq program"),
        (body(transform='import "a" as a; .'), "import"),
        (body(transform="env.SECRET"), "env"),
        (body(transform="$ENV"), "ENV"),
        (body(**{"from": "yesterday"}), "now, beginning"),
        (body(colour=1), "no other fields"),
    ],
)
def test_a_body_is_refused_with_its_place(given: Any, words: str) -> None:
    with pytest.raises(InvalidArgumentError, match=words):
        parse_export(given)


def test_a_secret_is_taken_out() -> None:
    document, secret = split_secret(body(destination={**WEBHOOK, "secret": "a" * 16}))
    assert secret == "a" * 16
    assert document == body(destination={**WEBHOOK, "signed": True})
    assert split_secret([]) == ([], None)
    for bad in ("short", "a" * 129, "ä" * 20, 5):
        with pytest.raises(InvalidArgumentError, match="secret") as caught:
            split_secret(body(destination={**WEBHOOK, "secret": bad}))
        assert str(bad) not in caught.value.message.partition("got")[0] or bad == 5


@given(sizes=st.lists(st.integers(0, 50), max_size=40), most=st.integers(1, 10), room=st.integers(1, 100))
def test_batches_hold_everything_in_order_within_the_limits(sizes: list[int], most: int, room: int) -> None:
    found = batches(sizes, most, room)
    assert sum(found) == len(sizes)
    at = 0
    for count in found:
        part = sizes[at : at + count]
        assert 1 <= count <= most
        assert sum(part) <= room or count == 1
        at += count

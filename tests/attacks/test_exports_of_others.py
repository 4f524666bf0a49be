# SPDX-License-Identifier: Apache-2.0
"""A token of one catalog and data exports: nothing of another owner leaves by it, and no file is written by it."""

from __future__ import annotations

import asyncio
import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from tests.api.native.platform.test_native_rules import say
from tests.api.running_service import RunningService, fresh, wait_until
from tests.attacks.owners import Owner
from tests.platform.exports.kafka_cluster import Cluster

from armillary.engines.exports import transform
from armillary.engines.exports.store import ExportCursor
from armillary.engines.outbound.attempts import NotNowError
from armillary.engines.outbound.webhook import AllowedHosts
from armillary.errors import ConflictError, InvalidArgumentError
from armillary.platform.exports import (
    destinations as export_destinations,
    kafka as export_kafka,
    kafka_loop as export_kafka_loop,
    limits as export_limits,
)
from armillary.platform.exports.port import Outgoing
from armillary.twin.author.data_export import ExportRecord, ExportSource, is_wanted, parse_export
from armillary.twin.author.group import DeviceFacts
from armillary.wire.export.application_archive import KIND_VERSION, make_manifest

HOOK = {"kind": "webhook", "url": "https://example.com/in"}


def body(**more: object) -> dict[str, object]:
    return {"name": "x", "source": "telemetry", "destination": HOOK, "enabled": False, **more}


def test_an_export_is_of_the_tokens_catalog_or_is_not_made(service: RunningService, alice: Owner, bob: Owner) -> None:
    name, own = fresh("e"), f"catalog={bob.name}"
    assert bob.call("PUT", f"/exports/{name}", body()).status == 403
    for given in (body(catalog=alice.name), body(catalog=None)):
        assert bob.call("PUT", f"/exports/{name}?{own}", given).status == 400
    file = bob.call("PUT", f"/exports/{name}?{own}", body(destination={"kind": "file"}))
    assert (file.status, file.body["code"]) == (403, "request.forbidden")
    made = bob.call("PUT", f"/exports/{name}?{own}", body())  # the control
    assert (made.status, made.body["body"]["catalog"]) == (200, bob.name)
    for method, path in (
        ("GET", f"/exports/{name}"), ("PUT", f"/exports/{name}"), ("DELETE", f"/exports/{name}"),
        ("GET", f"/exports/{name}/dead-letters"), ("POST", f"/exports/{name}/dead-letters/replay"),
    ):  # fmt: skip
        sent = body() if method == "PUT" else None
        expected = 409 if method == "PUT" else 404  # the id is taken; by whom and for what is not said
        assert alice.call(method, f"{path}?catalog={alice.name}", sent).status == expected, (method, path)
    assert service.platform.exports.store.secret(name) is None
    stolen = body(destination={**HOOK, "secret": "a secret of the attacker"})
    assert alice.call("PUT", f"/exports/{name}?catalog={alice.name}", stolen).status == 409
    assert service.platform.exports.store.secret(name) is None
    assert bob.call("DELETE", f"/exports/{name}?{own}").status == 200


def test_a_new_owner_gets_nothing_of_the_time_before() -> None:
    facts = DeviceFacts(device_id="x", fields={"catalog": "Bob", "claimed_at": 2000})
    export = parse_export(body(catalog="Bob"))

    def record(accepted_ms: int) -> ExportRecord:
        return ExportRecord(
            id="t",
            source=ExportSource.TELEMETRY,
            device_id="x",
            at_ms=0,
            accepted_ms=accepted_ms,
            content={},
            values={},
        )

    assert not is_wanted(export, record(1_999_999), facts)  # Alice's
    assert is_wanted(export, record(2_000_000), facts)
    unknown = DeviceFacts(device_id="x", fields={"catalog": "Bob"})
    assert not is_wanted(export, record(2_000_000), unknown)  # nobody says since when it is Bob's
    # Without the catalog to look at the attack gets through.
    assert is_wanted(parse_export(body()), record(1_999_999), facts)


def test_the_service_tells_the_hub_since_when_a_device_is_its_owners(service: RunningService, bob: Owner) -> None:
    """What a device of either kind sent before it was Bob's is not among what his export chooses; what it sends is."""
    device = bob.device.device_id
    made = {"device_id": fresh("probe"), "authentication": "sas"}
    probe = service.call("POST", f"/api/v1/catalogs/{bob.name}/hub-devices", made)
    assert probe.status == 200, probe.body
    owned = service.service.registry.devices.get(device).claimed_at
    known = service.platform.directory.of([made["device_id"]])[made["device_id"]]["claimed_at"]
    assert isinstance(known, int)
    assert owned is not None
    for device_id, since in ((device, owned), (made["device_id"], known)):
        records = [
            ExportRecord(
                id=word,
                source=ExportSource.TELEMETRY,
                device_id=device_id,
                at_ms=0,
                accepted_ms=at_ms,
                content={"t": 1},
                values={"t": 1},
            )
            for word, at_ms in (("before", since * 1000 - 1), ("his", since * 1000))
        ]
        export = parse_export(body(catalog=bob.name))
        chosen, of_owner = service.platform.exports._chosen(export, None, records)
        assert [each.record_id for each in chosen] == ["his"]
        assert of_owner == 1, "the record before is not counted as his that were passed over"


def test_a_transform_reads_no_file_of_this_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """jq programs can import data files and modules from any folder: keys and settings would leave with the records."""
    (tmp_path / "kept.json").write_text('{"key": "of this host"}')
    (tmp_path / "code.jq").write_text("def of_a_file: 1;")
    for program in (
        f'import "kept" as $found {{search: "{tmp_path}"}}; $found',
        f'include "code" {{search: "{tmp_path}"}}; of_a_file',
    ):
        with pytest.raises(InvalidArgumentError):
            transform.Transform(program)
    running = transform.Transform("{n: .n}")  # the control
    assert running.apply([b'{"n": 1}', b'{"n": 2}']) == [([b'{"n":1}'], ""), ([b'{"n":2}'], "")]
    running.close()
    # Mutation: with files to open, it would be read.
    free = transform._WORKER.replace("(3, 3)", "(16, 16)")
    assert free != transform._WORKER
    monkeypatch.setattr(transform, "_WORKER", free)
    stolen = transform.Transform(f'import "kept" as $found {{search: "{tmp_path}"}}; $found')
    assert b"of this host" in stolen.apply([b"{}"])[0][0][0]
    stolen.close()


BROKER = {"kind": "mqtt", "host": "broker.example", "port": 8883, "tls": True, "topic": "out", "username": "u"}


def password_for(service: RunningService, name: str) -> str | None:
    """What the broker of an export would be told."""
    found = parse_export(service.platform.documents.get("export", name).content)
    opened = service.platform.exports.open_destination(name, found)
    assert isinstance(opened, export_destinations._Mqtt)
    return opened._secret


def test_a_password_goes_to_no_other_broker_than_it_was_given_for(
    service: RunningService, bob: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = fresh("e")
    place, evil = f"/exports/{name}?catalog={bob.name}", {**BROKER, "host": "evil.example"}
    assert bob.call("PUT", place, body(destination={**BROKER, "secret": "a password of the broker"})).status == 200
    assert bob.call("PUT", place, body(destination={**BROKER, "signed": True})).status == 200  # the control: it stays
    assert password_for(service, name) == "a password of the broker"
    assert bob.call("PUT", place, body(destination={**evil, "signed": True})).status == 400
    # A file of the whole application takes it there neither.
    given = body(catalog=bob.name, destination={**evil, "signed": True})
    files = {f"export/{name}.json": json.dumps(given)}
    whole = {"manifest": make_manifest({"export": KIND_VERSION}, made_by="x"), "files": files}
    refused = service.call("POST", "/api/v1/application/import", whole)
    assert (refused.status, refused.body["code"]) == (400, "request.invalid"), refused.raw
    files[f"export/{name}.json"] = json.dumps({**given, "destination": {**BROKER, "signed": True}})
    assert service.call("POST", "/api/v1/application/import", whole).status == 200  # the control
    # Nor does saying nothing of it.
    assert bob.call("PUT", place, body(destination=evil)).status == 200
    assert password_for(service, name) is None
    # Mutation: when it is not asked whether the destination has one, it leaves.
    opened = service.platform.exports.store.secret(name)
    assert opened == "a password of the broker"
    monkeypatch.setattr(service.platform.export_operations, "_check_same_target", lambda *_: None)
    files[f"export/{name}.json"] = json.dumps(given)
    assert service.call("POST", "/api/v1/application/import", whole).status == 200
    assert password_for(service, name) == "a password of the broker"


def test_a_cluster_leads_to_no_address_that_is_not_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster names the addresses of its brokers itself: here one that only this host reaches."""
    cluster = Cluster(2)
    try:
        cluster.make("out", leader=2)
        front, inside = cluster.servers
        options = {
            "servers": [front], "topic": "out", "tls": False, "ca": None, "sasl": "none", "username": "",
        }  # fmt: skip
        monkeypatch.setattr(export_kafka, "WHOLE_S", 4.0)
        record = [Outgoing(b"{}", "d", "r")]
        only_front = AllowedHosts(public=True, named=frozenset({front}))
        kafka = export_kafka.Kafka(options, None, only_front)
        with pytest.raises(NotNowError, match=f"leads to '{inside}', which is not allowed"):
            kafka.deliver(record, "b")
        kafka.close()
        assert cluster.read("out", 0) == []
        kafka = export_kafka.Kafka(options, None, AllowedHosts(public=True, named=frozenset({front, inside})))
        kafka.deliver(record, "b")  # the control: both are allowed
        kafka.close()
        assert len(cluster.read("out", 1)) == 1
        # Mutation: with an event loop that connects to whatever it is told, it gets there.
        monkeypatch.delattr(export_kafka_loop.GuardedLoop, "create_connection")
        kafka = export_kafka.Kafka(options, None, only_front)
        kafka.deliver(record, "b")
        kafka.close()
        assert len(cluster.read("out", 2)) == 2
    finally:
        cluster.close()


@pytest.mark.parametrize(
    "host", ["169.254.169.254", "10.0.0.1", "::1", "::ffff:127.0.0.1", "localhost", "a@127.0.0.1", "x/", ""]
)
def test_a_loop_of_a_cluster_connects_to_no_inside_address(host: str) -> None:
    loop = export_kafka_loop.GuardedLoop(AllowedHosts.parse("public"), tls=True)
    try:
        with pytest.raises(ConnectionRefusedError):
            loop.run_until_complete(loop.create_connection(asyncio.Protocol, host, 9093))
        loop.run_until_complete(loop.shutdown_default_executor())
    finally:
        loop.close()


KAFKA = {"kind": "kafka", "servers": ["k1.example:9093"], "topic": "out", "sasl": "PLAIN", "username": "u"}


@pytest.mark.parametrize(
    "change",
    [
        {"servers": ["evil.example:9093"]}, {"servers": ["k1.example:9093", "evil.example:9093"]},
        {"sasl": "SCRAM-SHA-256"}, {"ca": "-----BEGIN CERTIFICATE-----\nof the attacker"},
    ],
)  # fmt: skip
def test_a_password_of_a_cluster_goes_to_no_other(service: RunningService, bob: Owner, change: dict[str, Any]) -> None:
    name = fresh("e")
    place = f"/exports/{name}?catalog={bob.name}"
    assert bob.call("PUT", place, body(destination={**KAFKA, "secret": "a password of a cluster"})).status == 200
    assert bob.call("PUT", place, body(destination={**KAFKA, "signed": True})).status == 200  # the control: it stays
    refused = bob.call("PUT", place, body(destination={**KAFKA, **change, "signed": True}))
    assert (refused.status, "secret" in refused.body["detail"]) == (400, True), refused.raw
    assert bob.call("DELETE", place).status == 200


def states(service: RunningService, *names: str) -> list[str]:
    exports, found = service.platform.exports, service.platform.documents
    return [exports.status(found.get("export", each)).state for each in names]


def begun(service: RunningService, *names: str) -> bool:
    return all(service.platform.exports.store.cursor(each) is not None for each in names)


def test_a_catalog_that_enables_many_exports_stops_no_other_and_has_so_many(
    service: RunningService, alice: Owner, bob: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_limits, "MAX_EXPORTS_OF_CATALOG", 2)
    monkeypatch.setattr(export_limits, "MAX_EXPORTS_OF_CATALOGS", 3)
    monkeypatch.setattr(export_limits, "MAX_EXPORTS", 5)
    word = uuid.uuid4().hex[:8]
    hers, his, ours = f"z-{word}", [f"a-{word}-{each}" for each in range(4)], f"zz-{word}"
    on = body(enabled=True)
    assert alice.call("PUT", f"/exports/{hers}?catalog={alice.name}", on).status == 200
    assert service.call("PUT", f"/api/v1/exports/{ours}", on).status == 200
    wait_until(lambda: begun(service, hers, ours), "both to begin")
    own = f"?catalog={bob.name}"
    assert [bob.call("PUT", f"/exports/{each}{own}", on).status for each in his[:2]] == [200, 200]
    refused = bob.call("PUT", f"/exports/{his[2]}{own}", on)
    assert (refused.status, refused.body["detail"]) == (
        409, "2 exports of the catalog are enabled, which is all that one may have",
    )  # fmt: skip
    assert service.platform.documents.find("export", his[2]) is None, "nothing was kept"
    assert bob.call("PUT", f"/exports/{his[2]}{own}", body()).status == 200  # the control: one that is disabled
    assert bob.call("PUT", f"/exports/{his[2]}{own}", on).status == 409, "nor by a change"
    assert bob.call("PUT", f"/exports/{his[0]}{own}", {**on, "name": "new"}).status == 200, "what has a place keeps it"
    files = {f"export/{his[3]}.json": json.dumps({**on, "catalog": bob.name})}
    whole = {"manifest": make_manifest({"export": KIND_VERSION}, made_by="x"), "files": files}
    assert service.call("POST", "/api/v1/application/import", whole).status == 409, "nor by a file"
    more = alice.call("PUT", f"/exports/{hers}-2?catalog={alice.name}", on)
    assert (more.status, "3 exports of catalogs are enabled" in more.body["detail"]) == (409, True)
    assert service.call("PUT", f"/api/v1/exports/{ours}-2", on).status == 200, "the operator's places are its own"
    wait_until(lambda: begun(service, *his[:2], f"{ours}-2"), "all to begin")
    # Of documents from before there was a limit too many are enabled: those that run, and after a restart the oldest.
    exports = service.platform.exports
    monkeypatch.setattr(export_limits, "check_limits", lambda *_: None)
    first = f"0-{word}"
    service.platform.documents.put("export", first, {**on, "catalog": alice.name}, by="test")
    wait_until(lambda: states(service, first) == ["stopped"], "the one too many to be stopped")
    assert states(service, hers, ours) == ["running"] * 2
    assert "which is all" in exports.status(service.platform.documents.get("export", first)).why
    made = [each.id for each in service.platform.documents.oldest_first("export")]
    assert made.index(hers) < made.index(his[0]) < made.index(first)
    # The control: by their ids, the one that came last would run and one that runs would be stopped.
    places, stopped = export_limits.EnabledExports(), list[str]()
    for each in sorted([hers, ours, *his[:2], f"{ours}-2", first]):
        try:
            places.take(service.platform.documents.get("export", each).content.get("catalog"))
        except ConflictError:
            stopped.append(each)
    assert hers in stopped
    for each in (hers, ours, *his[:3], f"{ours}-2", first):
        assert service.call("DELETE", f"/api/v1/exports/{each}").status == 200


def test_the_status_of_an_export_is_no_meter_of_what_others_send(
    service: RunningService, alice: Owner, bob: Owner
) -> None:
    name, all_of_us = fresh("e"), fresh("e")
    assert bob.call("PUT", f"/exports/{name}?catalog={bob.name}", body(enabled=True)).status == 200
    assert service.call("PUT", f"/api/v1/exports/{all_of_us}", body()).status == 200
    wait_until(lambda: begun(service, name), "it to begin")
    device = alice.device
    service.platform.exports.store.keep(all_of_us, ExportCursor(seq=7, exported=5, error="of the operator's host"))
    before = service.platform.exports._sources.newest(ExportSource.TELEMETRY)
    say(service, device.device_id, {"temperature": 1.0})
    wait_until(lambda: service.platform.exports._sources.newest(ExportSource.TELEMETRY) > before, "Alice's message")
    status = lambda each, query="": service.call("GET", f"/api/v1/exports/{each}{query}").body["status"]  # noqa: E731
    wait_until(lambda: status(name)["behind"] == 0 and status(name)["newest"] > before, "it to be passed over")
    assert status(name)["cursor"]["filtered"] == 0, "it was never his"
    his = bob.call("GET", f"/exports/{name}?catalog={bob.name}").body["status"]
    assert (his["newest"], his["behind"], his["cursor"]["seq"], his["cursor"]["place"]) == (None,) * 4
    assert (his["state"], his["cursor"]["exported"]) == ("running", 0)
    listed = bob.call("GET", f"/exports?catalog={bob.name}").body["items"]
    assert next(each["status"] for each in listed if each["id"] == name) == his
    ours = bob.call("GET", f"/exports/{all_of_us}?catalog={bob.name}").body["status"]
    assert ours == {"cursor": None, "newest": None, "behind": None, "state": "disabled", "why": ""}
    assert status(all_of_us)["cursor"]["exported"] == 5  # the control: the operator sees it
    for each in (name, all_of_us):
        assert service.call("DELETE", f"/api/v1/exports/{each}").status == 200

# SPDX-License-Identifier: Apache-2.0
"""Data exports in a hub: webhooks that fail and come back, files, an MQTT broker, every source, kill -9."""

from __future__ import annotations

import contextlib
import json
import random
import socket
import subprocess
import sys
import threading
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.fixtures.effort import effort
from tests.fixtures.processes import killed_process
from tests.hub.running_hub import DEVICE, Client, RunningHub, wait_until
from tests.platform.rules.test_rule_actions import Hook, hook

from armillary.engines.database.outbox import AuditEntry
from armillary.engines.exports.store import ExportStore
from armillary.engines.outbound import attempts
from armillary.engines.outbound.webhook import AllowedHosts, verify
from armillary.engines.rules import rows
from armillary.errors import ConflictError
from armillary.identity.operator import Operator
from armillary.platform.exports import exports
from armillary.wire.export.sigv4 import signed_headers
from armillary.wire.mqtt.packet import Connect, Publish
from armillary.wire.mqtt.stream import PacketDecoder

__all__ = ["hook"]
RUNNER = Path(__file__).with_name("export_runner.py")
SECRET = "correct horse battery staple"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "FIRST_RETRY_S", 0.05)
    monkeypatch.setattr(exports, "POLL_S", 0.02)


class Acceptor:
    """A server on loopback that serves each connection in a thread of its own."""

    def __init__(self) -> None:
        self.port = 0
        self.open: list[socket.socket] = []
        self.start()

    def start(self) -> None:
        server = socket.create_server(("127.0.0.1", self.port))
        self.port = server.getsockname()[1]
        self.open.append(server)
        threading.Thread(target=self._accept, args=(server,), daemon=True).start()

    def close(self) -> None:
        for each in self.open:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        self.open.clear()

    def serve(self, connection: socket.socket) -> None:
        raise NotImplementedError

    def _accept(self, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = server.accept()
                self.open.append(connection)
                threading.Thread(target=self.serve, args=(connection,), daemon=True).start()


class Broker(Acceptor):
    """The smallest broker that acknowledges: CONNACK, PUBACK, and what was published."""

    def __init__(self) -> None:
        self.got: list[bytes] = []
        super().__init__()

    def serve(self, connection: socket.socket) -> None:
        decoder = PacketDecoder()
        with contextlib.suppress(OSError, Exception):
            while data := connection.recv(65536):
                decoder.feed(data)
                while (packet := decoder.next()) is not None:
                    if isinstance(packet, Connect):
                        connection.sendall(b"\x20\x02\x00\x00")
                    elif isinstance(packet, Publish):
                        self.got.append(packet.payload)
                        connection.sendall(b"\x40\x02" + (packet.packet_id or 0).to_bytes(2, "big"))


def put(running: RunningHub, destination: dict[str, Any], *, secret: str | None = None, **more: Any) -> str:
    running.platform.exports.hosts = AllowedHosts.parse("127.0.0.1")
    name = f"e-{uuid.uuid4().hex[:8]}"
    if secret is not None:
        running.platform.exports.store.keep_secret(name, secret)
    body = {"name": name, "source": "telemetry", "destination": destination, **more}
    running.platform.documents.put("export", name, body, by="t")
    wait_until(lambda: running.platform.exports.store.cursor(name) is not None, "the export to begin")
    return name


def replay(running: RunningHub, name: str) -> Any:
    """What becomes of a replay: the records that were delivered."""
    operations, ann = running.platform.export_operations, Operator("ann", "Contributor", None, None)
    return operations.replay(ann, name, None, caller="t", caller_catalog="").outcome.result(20)


def got(hook: Hook) -> list[dict[str, Any]]:
    return [json.loads(line) for _, body in hook.got for line in body.splitlines()]


def settled(running: RunningHub, name: str, **counts: int) -> Any:
    def reached() -> Any:
        cursor = running.platform.exports.store.cursor(name)
        return cursor if cursor and all(getattr(cursor, each) >= count for each, count in counts.items()) else None

    return wait_until(reached, f"{counts}", 20)


def test_messages_reach_a_webhook_signed_filtered_and_enriched(running: RunningHub, hook: Hook) -> None:
    platform = running.platform
    hub = running.hub
    client = running.client(DEVICE).ready()
    client.telemetry({"temperature": 1})  # before the export: not its business
    platform.documents.put("device", DEVICE, {"cloud": {"site": "north"}}, by="t")
    hub.twins.change(DEVICE, tags={"floor": 3})
    name = put(
        running,
        {"kind": "webhook", "url": hook.url, "signed": True},
        secret=SECRET,
        filters=[{"field": "telemetry:temperature", "operator": "gt", "value": 20}],
        enrichments={"site": "cloud:site", "floor": "tag:floor"},
    )
    for temperature in (19, 21, 22):
        client.telemetry({"temperature": temperature, "inner": {"on": True}}, "kind=hot")
    client.telemetry(b"\x00\x01", "$.ct=application%2Foctet-stream")
    cursor = settled(running, name, exported=2, filtered=2)
    records = got(hook)
    assert [each["values"]["temperature"] for each in records] == [21, 22]
    assert {each["device_id"] for each in records} == {DEVICE}
    assert records[0]["values"]["inner.on"] is True
    assert records[0]["properties"] == {"kind": "hot"}
    assert records[0]["enrichments"] == {"site": "north", "floor": 3}
    assert len({each["id"] for each in records}) == 2
    headers, body = hook.got[0]
    assert verify(SECRET, body, headers["Armillary-Signature"], int(time.time())) == body
    assert headers["Content-Type"] == "application/x-ndjson"
    assert (cursor.dead, cursor.missed, cursor.failures) == (0, 0, 0)
    status = platform.exports.status(platform.documents.get("export", name))
    assert (status.state, status.behind) == ("running", 0)


def test_a_destination_that_is_down_loses_nothing(running: RunningHub, hook: Hook, client: Client) -> None:
    hook.answers = [503, 401, 500, 404]
    name = put(running, {"kind": "webhook", "url": hook.url})
    for number in range(5):
        client.telemetry({"n": number})
    cursor = settled(running, name, exported=5)
    assert (cursor.dead, cursor.error, cursor.failures) == (0, "", 0)
    seen = [each["values"]["n"] for each in got(hook)]
    assert sorted(set(seen)) == [0, 1, 2, 3, 4]
    assert running.platform.exports.counts()["export_failures"] >= 4


def test_a_destination_that_is_down_is_not_asked_again_before_its_time(
    running: RunningHub, hook: Hook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "FIRST_RETRY_S", 600.0)
    client = running.client(DEVICE).ready()
    hook.answers = [503]  # and then it would take everything
    name = put(running, {"kind": "webhook", "url": hook.url})
    before_ms = running.hub.now_ms()
    client.telemetry({"n": 1})
    found = settled(running, name, failures=1)
    assert 300_000 <= found.due_ms - before_ms <= 660_000  # kept with the cursor, so that a restart does not forget it
    settled(running, put(running, {"kind": "file"}), seq=found.seq)
    client.telemetry({"n": 2})
    other = put(running, {"kind": "webhook", "url": hook.url})  # the control: the same place takes another's
    client.telemetry({"n": 3})
    settled(running, other, exported=1)
    now = running.platform.exports.store.cursor(name)
    assert now is not None
    assert (now.failures, now.exported, now.seq) == (1, 0, found.seq)


def test_a_batch_that_is_refused_for_good_is_a_dead_letter_and_can_be_replayed(running: RunningHub, hook: Hook) -> None:
    client = running.client(DEVICE).ready()
    hook.answers = [400]
    name = put(running, {"kind": "webhook", "url": hook.url})
    client.telemetry({"n": 1})
    settled(running, name, dead=1)
    client.telemetry({"n": 2})
    settled(running, name, exported=1)
    (letter,) = running.platform.exports.store.dead_letters(name)
    assert (letter.count, letter.error, letter.records[0]["values"]) == (1, "answered 400", {"n": 1.0})
    hook.answers = [500]
    with pytest.raises(ConflictError, match="answered 500"):
        replay(running, name)
    assert replay(running, name) == 1
    assert replay(running, name) == 0
    assert running.audited == [("ann", "export.replay", name, {"records": count}) for count in (1, 0)]
    assert running.platform.exports.store.dead_letters(name) == []
    assert got(hook)[-1] == letter.records[0]


def test_what_a_replay_had_delivered_when_it_was_cut_off_is_audited_at_the_next_start(running: RunningHub) -> None:
    outbox = running.platform.exports.store.outbox
    with outbox.held() as entry_id:
        outbox.note(AuditEntry("ann", "export.replay", "e", {"records": 1}, entry_id=entry_id))
        assert running.audited == []
        running.restart()
    assert running.audited == [("ann", "export.replay", "e", {"records": 1})]


def test_a_destination_that_hangs_holds_up_no_other_export(
    running: RunningHub, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, gate, begun = running.client(DEVICE).ready(), threading.Event(), threading.Event()

    class Hanging:
        def deliver(self, _records: object, _batch_id: str) -> None:
            begun.set()
            assert gate.wait(30)

        def close(self) -> None:
            pass

    open_destination = exports.open_destination
    monkeypatch.setattr(exports, "open_destination", lambda *_, **__: Hanging())
    slow = put(running, {"kind": "webhook", "url": hook.url})
    client.telemetry({"n": 1})
    assert begun.wait(20)
    monkeypatch.setattr(exports, "open_destination", open_destination)
    body = running.platform.documents.get("export", slow).content
    try:
        running.platform.documents.put("export", slow, {**body, "enabled": False}, by="t")  # has to end, and cannot yet
        other = put(running, {"kind": "webhook", "url": hook.url})
        client.telemetry({"n": 2})
        settled(running, other, exported=1)
        running.platform.documents.put("export", slow, body, by="t")
    finally:
        gate.set()
    settled(running, slow, exported=2)  # again, from where it was: each has a thread of its own, and one at a time
    assert sorted(each["values"]["n"] for each in got(hook)) == [1, 2, 2]
    client.close()


def test_files_groups_and_a_change_of_the_export(running: RunningHub) -> None:
    platform, client = running.platform, running.client(DEVICE).ready()
    tagged = {"name": "g", "filters": [{"field": "tag:chosen", "operator": "eq", "value": True}]}
    platform.documents.put("group", "chosen", tagged, by="t")
    name = put(running, {"kind": "file", "rotate_bytes": 4096}, group="chosen")
    client.telemetry({"n": 1})
    settled(running, name, filtered=1)
    running.hub.twins.change(DEVICE, tags={"chosen": True})
    client.telemetry({"n": 2})
    settled(running, name, exported=1)
    body = platform.documents.get("export", name).content
    platform.documents.put("export", name, {**body, "enabled": False}, by="t")
    wait_until(lambda: platform.exports.counts()["exports_now"] == 0, "the export to stop")
    client.telemetry({"n": 3})
    status = platform.exports.status(platform.documents.get("export", name))
    assert (status.state, status.behind) == ("disabled", 1)
    platform.documents.put("export", name, {**body, "enabled": True}, by="t")
    settled(running, name, exported=2)
    (file,) = platform.exports.folder_of(name).iterdir()
    assert [json.loads(line)["values"]["n"] for line in file.read_bytes().splitlines()] == [2, 3]
    client.close()


def test_changes_of_twins_go_out_from_the_first_export_on(running: RunningHub, hook: Hook) -> None:
    hub = running.hub
    hub.twins.change(DEVICE, desired={"before": 1})
    name = put(running, {"kind": "webhook", "url": hook.url}, source="properties")
    hub.series.commits.submit(hub.series.restoring.devices([DEVICE])).result(10)
    hub.twins.change(DEVICE, desired={"limit": 5, "before": None})
    hub.twins.change(DEVICE, tags={"floor": 1})
    settled(running, name, exported=2)
    assert [(each["section"], each["properties"]) for each in got(hook)] == [
        ("desired", {"before": None, "limit": 5}), ("tags", {"floor": 1}),
    ]  # fmt: skip


def test_what_retention_took_before_its_turn_is_counted(running: RunningHub, hook: Hook, client: Client) -> None:
    hook.answers = [503] * 3
    name = put(running, {"kind": "webhook", "url": hook.url})
    for number in range(3):
        client.telemetry({"n": number})
    running.hub.series.commits.submit(
        lambda c: c.execute("DELETE FROM block WHERE seq < (SELECT max(seq) FROM block)") and None
    ).result(10)
    cursor = settled(running, name, exported=1)
    assert cursor.missed >= 1


def test_a_forbidden_host_is_not_called_and_said_so(running: RunningHub, hook: Hook, client: Client) -> None:
    name = put(running, {"kind": "webhook", "url": hook.url})
    running.platform.exports.hosts = AllowedHosts.parse("public")
    body = running.platform.documents.get("export", name).content
    running.platform.documents.put("export", name, {**body, "description": "again"}, by="t")
    time.sleep(0.1)
    client.telemetry({"n": 1})
    wait_until(lambda: running.platform.exports.store.cursor(name).error, "the refusal")
    assert "not allowed" in running.platform.exports.store.cursor(name).error
    assert hook.got == []
    running.platform.exports.hosts = AllowedHosts.parse("127.0.0.1")  # the control
    running.platform.documents.put("export", name, body, by="t")
    settled(running, name, exported=1)


def test_a_transform_makes_other_records_and_its_failures_are_dead_letters(running: RunningHub, hook: Hook) -> None:
    pytest.importorskip("jq")
    client = running.client(DEVICE).ready()
    program = 'select(.values.n != 2) | if .values.n == 3 then error("three") else {n: .values.n} end'
    name = put(running, {"kind": "webhook", "url": hook.url}, transform=program)
    for number in range(1, 5):
        client.telemetry({"n": number})
    cursor = settled(running, name, exported=2, dead=1)
    assert got(hook) == [{"n": 1}, {"n": 4}]
    (letter,) = running.platform.exports.store.dead_letters(name)
    assert "three" in letter.error
    assert cursor.dead == 1
    broken = put(running, {"kind": "webhook", "url": hook.url})
    body = running.platform.documents.get("export", broken).content
    running.platform.documents.put("export", broken, {**body, "transform": "{"}, by="t")
    document = running.platform.documents.get("export", broken)
    wait_until(lambda: running.platform.exports.status(document).state == "stopped", "the program to be refused")
    assert "does not compile" in running.platform.exports.status(document).why


def test_firings_of_rules_go_out(running: RunningHub, hook: Hook) -> None:
    alert = rows.Alert(
        id="abc", catalog="North", rule_id="r", rule_name="Warm", severity="high", device_id=DEVICE, fired_ms=7,
        at_ms=5, trace={"why": "40 > 8"},
    )  # fmt: skip
    name = put(running, {"kind": "webhook", "url": hook.url}, source="alerts")
    running.hub.series.commits.submit(running.hub.series.restoring.devices([DEVICE])).result(10)
    running.platform.rules.store().commits.submit(rows.keep([], [rows.Fired(alert, [])], None)).result(10)
    settled(running, name, exported=1)
    (record,) = got(hook)
    assert (record["rule_id"], record["severity"], record["trace"]) == ("r", "high", {"why": "40 > 8"})


def test_an_mqtt_broker_gets_records_and_a_lost_one_is_found_again(running: RunningHub) -> None:
    broker = Broker()
    try:
        options = {"kind": "mqtt", "host": "127.0.0.1", "port": broker.port, "tls": False, "topic": "out/all"}
        client = running.client(DEVICE).ready()
        name = put(running, options)
        client.telemetry({"n": 1})
        settled(running, name, exported=1)
        broker.close()
        client.telemetry({"n": 2})
        wait_until(lambda: running.platform.exports.store.cursor(name).failures, "the broker to be missed")
        broker.start()
        settled(running, name, exported=2)
        assert [json.loads(each)["values"]["n"] for each in broker.got][-1] == 2
        assert {json.loads(each)["values"]["n"] for each in broker.got} == {1, 2}
        client.close()
    finally:
        broker.close()


def test_storage_that_speaks_like_s3_gets_signed_objects_and_one_that_is_sent_again_replaces_itself(
    running: RunningHub, hook: Hook, client: Client
) -> None:
    options = {
        "kind": "s3", "endpoint": f"http://127.0.0.1:{hook.port}", "bucket": "lake", "prefix": "raw/north",
        "region": "eu-1", "access_key": "AK", "signed": True,
    }  # fmt: skip
    name = put(running, options, secret=SECRET)
    hook.answers = [503, 403]  # the first attempt was taken, and its answer lost
    client.telemetry({"n": 1})
    settled(running, name, exported=1)
    client.telemetry({"n": 2})
    settled(running, name, exported=2)
    objects = dict(zip(hook.paths, hook.got, strict=True))
    assert len(objects) == 2  # the one that was sent three times is one object
    for path, (headers, body) in objects.items():
        assert path.startswith(f"/lake/raw/north/{name}-")
        assert path.endswith(".jsonl")
        moment = datetime.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        host = headers["Host"]
        again = signed_headers(
            "PUT", host, path, body, {}, access_key="AK", secret_key=SECRET, region="eu-1",
            now_s=int(moment.timestamp()),
        )  # fmt: skip
        assert headers["Authorization"] == again["Authorization"]
        assert abs(moment.timestamp() - time.time()) < 60
    values = [json.loads(body)["values"]["n"] for _, (_, body) in sorted(objects.items())]
    assert values == [1, 2]


def test_one_that_hangs_holds_up_no_other_and_a_fault_is_tried_again(
    running: RunningHub, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "TROUBLE_S", 0.05)
    monkeypatch.setattr("armillary.engines.outbound.webhook.TIMEOUT_S", 300.0)  # they hang longer than the test waits
    client = running.client(DEVICE).ready()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        hanging = [
            put(running, {"kind": "webhook", "url": f"http://127.0.0.1:{silent.getsockname()[1]}/"}) for _ in range(8)
        ]
        good = put(running, {"kind": "webhook", "url": hook.url})
        chosen, faults = exports.Exports._chosen, [RuntimeError("a fault")] * 2

        def faulty(self: Any, export: Any, group: Any, records: Any) -> Any:
            if export.name == good and faults:
                raise faults.pop()
            return chosen(self, export, group, records)

        monkeypatch.setattr(exports.Exports, "_chosen", faulty)
        client.telemetry({"n": 1})
        settled(running, good, exported=1)
        assert not faults
        assert all(running.platform.exports.store.cursor(each).exported == 0 for each in hanging)
        for each in hanging:
            running.platform.documents.delete("export", each, by="t")


def test_from_the_beginning_misses_nothing_that_was_deleted_before(
    running: RunningHub, hook: Hook, client: Client
) -> None:
    for number in range(3):
        client.telemetry({"n": number})
    commits = running.hub.series.commits
    commits.submit(lambda c: c.execute("DELETE FROM block WHERE seq < (SELECT max(seq) FROM block)") and None).result(
        10
    )
    name = put(running, {"kind": "webhook", "url": hook.url}, **{"from": "beginning"})
    cursor = settled(running, name, exported=1)
    assert cursor.missed == 0


def exported_over_kills(command: list[str], chance: random.Random, span_s: tuple[float, float]) -> int:
    """Run an export to its end, killed at a moment of its span in each of the first lives; how often it was."""
    kills, killed = 0, effort(3, 6)
    for life in range(40):
        with killed_process(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.readline().strip() == "began"
            try:
                process.wait(chance.uniform(*span_s) if life < killed else 60)
            except subprocess.TimeoutExpired:
                process.kill()
                kills += 1
            if "over" in process.stdout.read():
                return kills
    raise AssertionError("it never ended")


def assert_all_exported(folder: Path, messages: int) -> None:
    store = ExportStore(folder)
    cursor = store.cursor("files")
    store.close()
    assert cursor is not None
    assert (cursor.exported, cursor.missed, cursor.dead) == (messages, 0, 0)


@pytest.mark.e2e
def test_an_export_goes_on_after_kill_9_without_a_gap(tmp_path: Path) -> None:
    messages = 400
    command = [sys.executable, str(RUNNER), str(tmp_path / "hub"), str(messages)]
    exported_over_kills(command, random.Random(5), (0.01, 0.25))  # noqa: S311 - the same moments in every run
    lines = [
        line
        for each in sorted((tmp_path / "hub" / "exports" / "files").iterdir())
        for line in each.read_bytes().splitlines()
    ]
    records = [json.loads(line) for line in lines]  # every line is whole
    ids = [each["id"] for each in records]
    assert [int(each["values"]["n"]) for each in {each["id"]: each for each in records}.values()] == list(
        range(messages)
    )
    assert len(ids) >= len(set(ids)) == messages
    assert_all_exported(tmp_path / "hub", messages)

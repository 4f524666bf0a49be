# SPDX-License-Identifier: Apache-2.0
"""The general broker over time: restarts, the end of sessions, a full disk; and who may reach which session."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.hub.broker.broker_talk import KEPT, arrived, publish, subscribe
from tests.hub.broker.running_broker import RunningBroker
from tests.hub.running_hub import DEVICE, OTHER, Authority, RunningHub, wait_until
from tests.hub.wire_client import WireClient, device_context

from armillary.errors import UnknownDeviceError
from armillary.hub.broker import broker as broker_module
from armillary.hub.link.tls import hub_context
from armillary.wire.hub.credentials import HubCredentials, HubPeer
from armillary.wire.mqtt.fields import Property
from armillary.wire.mqtt.packet import LEVEL_3_1_1, Acknowledgement, Disconnect, PacketType, Publish


def test_sessions_messages_and_retained_survive_a_restart(tmp_path: Path) -> None:
    first = RunningBroker(tmp_path)
    receiver = WireClient(first.port, client_id="receiver")
    receiver.connect(KEPT)
    subscribe(receiver, "a/#", properties=((Property.SUBSCRIPTION_IDENTIFIER, 5),))
    receiver.close()
    sender = WireClient(first.port, client_id="sender", level=LEVEL_3_1_1)
    sender.connect(clean_start=False)
    user = ((Property.USER_PROPERTY, ("k", "v")), (Property.MESSAGE_EXPIRY_INTERVAL, 900))
    modern = WireClient(first.port, client_id="modern")
    modern.connect()
    publish(modern, "a/1", b"one", retain=True, properties=user)
    modern.close()
    sender.send(Publish(topic="a/2", payload=b"two", qos=2, packet_id=4))
    assert isinstance(sender.receive(), Acknowledgement)
    sender.close()
    first.close()

    second = RunningBroker(tmp_path)
    sender = WireClient(second.port, client_id="sender", level=LEVEL_3_1_1)
    assert sender.connect(clean_start=False).session_present
    sender.send(Publish(topic="a/2", payload=b"two", qos=2, packet_id=4, duplicate=True))
    assert isinstance(sender.receive(), Acknowledgement)
    sender.send(Acknowledgement(type=PacketType.PUBREL, packet_id=4))
    assert isinstance(sender.receive(), Acknowledgement)
    receiver = WireClient(second.port, client_id="receiver")
    assert receiver.connect(KEPT, clean_start=False).session_present
    got = [arrived(receiver), arrived(receiver)]
    assert [(each.payload, each.qos, each.duplicate) for each in got] == [(b"one", 1, False), (b"two", 2, False)]
    found = dict(got[0].properties)
    assert found[Property.USER_PROPERTY] == ("k", "v")
    assert found[Property.SUBSCRIPTION_IDENTIFIER] == 5
    assert 0 < int(str(found[Property.MESSAGE_EXPIRY_INTERVAL])) <= 900
    assert receiver.silent()  # and not a third time
    watcher = WireClient(second.port, client_id="watcher")
    watcher.connect()
    subscribe(watcher, "+/1", qos=0)
    assert arrived(watcher).retain
    for each in (sender, receiver, watcher):
        each.close()
    second.close()


def test_what_was_sent_before_a_restart_is_marked_as_sent_again(tmp_path: Path) -> None:
    with contextlib.closing(RunningBroker(tmp_path)) as first:
        receiver, sender = WireClient(first.port, client_id="receiver"), WireClient(first.port, client_id="sender")
        receiver.connect(KEPT)
        sender.connect()
        subscribe(receiver, "a", qos=1)
        publish(sender, "a", b"while there")
        assert not arrived(receiver).duplicate  # and not acknowledged
        receiver.send(Disconnect())
        assert receiver.receive() is None
        publish(sender, "a", b"while away")
        receiver.close()
        sender.close()
    for expected in ([True, False], [True, True]):  # at the second restart both have been sent
        with contextlib.closing(RunningBroker(tmp_path)) as running:
            receiver = WireClient(running.port, client_id="receiver")
            receiver.connect(KEPT, clean_start=False)
            got = [arrived(receiver), arrived(receiver)]
            receiver.close()
        assert [each.payload for each in got] == [b"while there", b"while away"]
        assert [each.duplicate for each in got] == expected


def test_a_session_ends_when_its_time_is_over_and_leaves_nothing(tmp_path: Path) -> None:
    ahead = [0.0]
    running = RunningBroker(tmp_path, clock=lambda: 1e9 + ahead[0])
    receiver = WireClient(running.port, client_id="receiver")
    receiver.connect(KEPT)
    subscribe(receiver, "a")
    receiver.close()
    sender = WireClient(running.port, client_id="sender")
    sender.connect()
    wait_until(lambda: running.broker.gauges()["broker_connections_now"] == 1, "the receiver is gone")
    assert publish(sender, "a") == 0
    ahead[0] = 599
    running.call(running.broker.tick)
    assert publish(sender, "a") == 0
    ahead[0] = 601
    running.call(running.broker.tick)
    assert publish(sender, "a") == 0x10
    sender.close()
    running.close()
    after = RunningBroker(tmp_path)
    assert after.broker.gauges()["broker_sessions_now"] == 0
    assert after.broker._store is not None
    kept = after.broker._store.load()
    assert (kept.messages, kept.deliveries, kept.subscriptions) == ([], [], [])
    after.close()


def test_a_full_disk_acknowledges_nothing_and_memory_begins_anew(tmp_path: Path) -> None:
    running = RunningBroker(tmp_path)
    receiver = WireClient(running.port, client_id="receiver")
    receiver.connect(KEPT)
    subscribe(receiver, "a")
    sender = WireClient(running.port, client_id="sender")
    sender.connect()
    store = running.broker._store
    assert store is not None
    wait_until(lambda: running.call(lambda: running.broker.journal.is_idle), "all is written")
    store._database.write(lambda connection: connection.execute("PRAGMA max_page_count=1"))
    sender.send(Publish(topic="a", payload=bytes(200_000), qos=1, packet_id=1))
    assert sender.ended_with() == 0x83
    assert receiver.ended_with() == 0x83
    assert running.counters.broker_commits_failed == 1
    store._database.write(lambda connection: connection.execute("PRAGMA max_page_count=1000000"))
    wait_until(lambda: not running.broker._recovering, "the disk is read again")
    again = WireClient(running.port, client_id="receiver")
    assert again.connect(KEPT, clean_start=False).session_present
    sender = WireClient(running.port, client_id="sender")
    sender.connect()
    assert publish(sender, "a", b"kept") == 0
    assert arrived(again).payload == b"kept"
    for each in (again, sender):
        each.close()
    running.close()


class TestIdentity:
    """With TLS the certificate says who a client is; nobody reaches another's session."""

    @pytest.fixture
    def tls(self, authority: Authority) -> Iterator[RunningBroker]:
        context = hub_context(authority.folder / "server.pem", authority.folder / "server.pem", authority.trusted)

        def identify(shown: HubCredentials) -> HubPeer:
            assert shown.certificate is not None
            for device_id in (DEVICE, OTHER):
                if device_id.encode() in shown.certificate:
                    return HubPeer(device_id)
            raise UnknownDeviceError("never made here")

        made = RunningBroker(context=context, identify=identify)
        yield made
        made.close()

    def test_the_same_client_id_of_another_device_is_another_session(
        self, tls: RunningBroker, authority: Authority
    ) -> None:
        first = WireClient(tls.port, context=device_context(authority))
        first.connect(KEPT, client_id="app")
        subscribe(first, "a")
        second = WireClient(tls.port, context=device_context(authority, OTHER))
        assert not second.connect(KEPT, client_id="app", clean_start=False).session_present
        assert tls.counters.connections_taken_over == 0
        third = WireClient(tls.port, context=device_context(authority))  # control: the same device does take over
        assert third.connect(KEPT, client_id="app", clean_start=False).session_present
        assert first.ended_with() == 0x8E
        for each in (second, third):
            each.close()

    def test_who_is_not_known_is_not_let_in_and_who_is_revoked_is_put_out(
        self, tls: RunningBroker, authority: Authority
    ) -> None:
        unknown = WireClient(tls.port, context=device_context(authority, "00" * 64))
        assert unknown.connect(client_id="app").reason == 0x87
        device = WireClient(tls.port, context=device_context(authority))
        device.connect(client_id="app")
        tls.call(tls.broker.disconnect, DEVICE)
        assert device.ended_with() == 0x98


def test_catalogs_are_apart(tmp_path: Path) -> None:
    """Same topics, same retained messages, same client ids: nothing of one catalog is seen in another."""

    def identify(shown: HubCredentials) -> HubPeer:  # here the password says it
        return HubPeer("device", catalog=str(shown.password))

    def client(running: RunningBroker, catalog: str, **options: Any) -> WireClient:
        made = WireClient(running.port, client_id="app")
        made.connack = made.connect(KEPT, username="u", password=catalog.encode(), **options)  # type: ignore[attr-defined]
        return made

    running = RunningBroker(tmp_path, identify=identify)
    first, second = client(running, "one"), client(running, "two", clean_start=False)
    assert not second.connack.session_present  # type: ignore[attr-defined]
    for each in (first, second):
        subscribe(each, "#", qos=0)
    sender = WireClient(running.port, client_id="sender")
    sender.connect(username="u", password=b"one")
    assert publish(sender, "state", b"ours", retain=True) == 0
    assert arrived(first).payload == b"ours"
    assert second.silent()
    sender.close()
    running.close()
    running = RunningBroker(tmp_path, identify=identify)
    first, second = client(running, "one"), client(running, "two")
    for each in (second, first):
        subscribe(each, "#", qos=0)
    assert arrived(first).payload == b"ours"
    assert second.silent()
    second.close()
    first.close()
    running.close()


def test_sessions_of_one_device_are_limited(monkeypatch: Any) -> None:
    monkeypatch.setattr(broker_module, "MAX_SESSIONS_OF_ONE", 2)
    running = RunningBroker(identify=lambda shown: HubPeer(shown.client_id[0]))
    clients = [WireClient(running.port) for _ in range(5)]
    reasons = [
        each.connect(client_id=name).reason for each, name in zip(clients, ("a1", "a2", "a3", "b1"), strict=False)
    ]
    assert reasons == [0, 0, 0x97, 0]
    clients[0].send(Disconnect())
    assert clients[0].receive() is None
    assert clients[4].connect(client_id="a3").reason == 0
    for each in clients:
        each.close()
    running.close()


def test_the_hub_listens_as_a_broker_beside_its_front(running: RunningHub, authority: Authority) -> None:
    server = authority.folder / "server.pem"
    port = running.run(running.hub.start_broker(hub_context(server, server, authority.trusted), "127.0.0.1", 0))
    first = WireClient(port, context=device_context(authority))
    first.connect(KEPT, client_id="application")
    assert subscribe(first, "room/+/temperature") == (2,)
    second = WireClient(port, context=device_context(authority, OTHER))
    second.connect(client_id="sensor")
    assert publish(second, "room/1/temperature", b"21") == 0
    assert arrived(first).payload == b"21"
    counters = running.hub.counters()
    assert (counters["broker_sessions_now"], counters["broker_connections_now"]) == (2, 2)
    assert counters["messages_received"] == 0  # the front knows nothing of it
    assert running.hub.connected() == frozenset()
    running.hub.disconnect(DEVICE)
    assert first.ended_with() == 0x98
    refused = WireClient(port, context=device_context(authority, "ff" * 64))
    assert refused.connect(client_id="x").reason == 0x87
    for each in (first, second, refused):
        each.close()

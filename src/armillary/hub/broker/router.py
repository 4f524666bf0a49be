# SPDX-License-Identifier: Apache-2.0
"""Who gets a message: subscriptions of all sessions, retained messages, and what waits for each session.

Sources: MQTT 5.0 (OASIS 2019) §3.3.1.3 (retain), §3.3.4 and §4.8.2 (who gets what), §4.1 (what a session keeps). A
client whose subscriptions overlap gets a message once, with the highest QoS of them and all their identifiers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from armillary.errors import RateLimitedError
from armillary.hub.broker.journal import Journal
from armillary.hub.broker.limits import (
    MAX_BROKER_QUEUED_BYTES,
    MAX_RETAINED_BYTES,
    MAX_RETAINED_MESSAGES,
    MAX_SUBSCRIPTIONS,
)
from armillary.hub.broker.session import Message, OutgoingMessage, Session, Subscribed
from armillary.hub.broker.topics import FilterTree, check_extent, matches, split_share
from armillary.hub.link.counters import Counters
from armillary.wire.mqtt.fields import encode_properties
from armillary.wire.mqtt.packet import Subscription


@dataclass(slots=True)
class _Realm:
    """What the clients of one catalog share."""

    tree: FilterTree[Subscribed] = field(default_factory=FilterTree)
    retained: dict[str, Message] = field(default_factory=dict)
    retained_bytes: int = 0


class Router:
    """All subscriptions and retained messages of one broker, by catalog; ``clock`` is Unix time in seconds."""

    def __init__(self, journal: Journal, counters: Counters, clock: Callable[[], float]) -> None:
        self._journal = journal
        self._counters = counters
        self._clock = clock
        self._realms: dict[str, _Realm] = {}
        self._queued_bytes = 0
        self._last_number = 0
        self._last_place = 0

    # Numbers of rows --------------------------------------------------------------------------------------------

    def begin_after(self, number: int, place: int) -> None:
        """Continue the numbers of rows that are on disk already."""
        self._last_number, self._last_place = number, place

    def next_number(self) -> int:
        """A number for a row of a session or a message."""
        self._last_number += 1
        return self._last_number

    @property
    def retained_count(self) -> int:
        """Retained messages."""
        return sum(len(realm.retained) for realm in self._realms.values())

    def _realm(self, catalog: str) -> _Realm:
        realm = self._realms.get(catalog)
        if realm is None:
            realm = self._realms[catalog] = _Realm()
        return realm

    # Subscriptions ----------------------------------------------------------------------------------------------

    def subscribe(self, session: Session, subscription: Subscription, identifier: int) -> list[Message]:
        """Add or replace a subscription (§3.8.4); the retained messages that are to be sent now.

        Raises:
            WireError: the filter is no filter of this broker.
            RateLimitedError: the session has as many as it may have.
        """
        share, plain = split_share(check_extent(subscription.filter))
        before = session.subscriptions.get(subscription.filter)
        if before is None and len(session.subscriptions) >= MAX_SUBSCRIPTIONS:
            raise RateLimitedError(f"a session has at most {MAX_SUBSCRIPTIONS} subscriptions", retry_after_s=60)
        made = self.restore_subscription(session, subscription, identifier)
        if session.number:
            self._journal.note("subscription", session.number, subscription.filter, subscription.options, identifier)
        if share or made.retain_handling == 2 or (made.retain_handling == 1 and before is not None):
            return []
        now = self._clock()
        retained = self._realm(session.catalog).retained
        return [
            message
            for message in _matching(retained, plain)
            if not (message.is_over(now) and self._replace_retained(session.catalog, message.topic, None))
        ]

    def restore_subscription(self, session: Session, subscription: Subscription, identifier: int) -> Subscribed:
        """Put a subscription in, in the place of one with the same filter."""
        tree = self._realm(session.catalog).tree
        before = session.subscriptions.get(subscription.filter)
        if before is not None:
            tree.remove(subscription.filter, before)
        made = Subscribed(session, subscription, identifier)
        session.subscriptions[subscription.filter] = made
        tree.add(subscription.filter, made)
        return made

    def unsubscribe(self, session: Session, topic_filter: str) -> bool:
        """Take a subscription out; False when there was none."""
        found = session.subscriptions.pop(topic_filter, None)
        if found is None:
            return False
        self._realm(session.catalog).tree.remove(topic_filter, found)
        if session.number:
            self._journal.note("subscription-over", session.number, topic_filter)
        return True

    def forget(self, session: Session) -> None:
        """A session is over: its subscriptions and what waits for it go."""
        tree = self._realm(session.catalog).tree
        for topic_filter, found in session.subscriptions.items():
            tree.remove(topic_filter, found)
        session.subscriptions.clear()
        for item in list(session.outgoing.values()):
            self._queued_bytes -= item.message.size
            session.drop(item)
            self._let_go(item.message, held=bool(session.number))
        if session.number:
            self._journal.note("session-over", session.number)

    # Messages ---------------------------------------------------------------------------------------------------

    def publish(self, message: Message, origin: Session) -> int:
        """Retain a message if it asks for that, and hand it to every matching subscription.

        Returns how many sessions it was for; only sessions of the catalog of ``origin`` get it.

        Raises:
            RateLimitedError: it is to be retained and there is no room; no session got it.
        """
        realm = self._realm(origin.catalog)
        if message.retain:
            self._retain(origin.catalog, realm, message)
        chosen: dict[Session, tuple[int, bool, tuple[int, ...]]] = {}
        for share, subscribers in list(realm.tree.find(message.topic)):
            for each in (self._of_share(subscribers),) if share else list(subscribers):
                if each.no_local and each.session is origin:
                    continue
                qos, retain, identifiers = chosen.get(each.session, (0, False, ()))
                chosen[each.session] = (
                    max(qos, min(message.qos, each.subscription.qos)),
                    retain or (message.retain and each.retain_as_published),
                    (*identifiers, each.identifier) if each.identifier else identifiers,
                )
        for session, (qos, retain, identifiers) in chosen.items():
            self.deliver(session, message, qos, retain=retain, identifiers=identifiers)
        return len(chosen)

    def deliver(
        self, session: Session, message: Message, qos: int, *, retain: bool, identifiers: tuple[int, ...] = ()
    ) -> None:
        """Send a message to a session, or queue it there."""
        connection = session.connection
        if not qos:
            if connection is not None and not connection.send_at_once(message, retain=retain, identifiers=identifiers):
                self._counters.broker_messages_dropped += 1
            return
        item = None
        if self._queued_bytes + message.size <= MAX_BROKER_QUEUED_BYTES:
            item = session.enqueue(message, qos, retain=retain, identifiers=identifiers)
        if item is None:
            self._counters.broker_messages_dropped += 1
            return
        self._queued_bytes += message.size
        if not session.number:
            if connection is not None:
                connection.offer(item)
            return
        self._hold(message)
        self._last_place += 1
        self._journal.note(
            "delivery",
            session.number,
            item.packet_id,
            self._last_place,
            message.number,
            qos,
            int(retain),
            ",".join(map(str, identifiers)),
            # Offered right after the commit: whether it went out is unknown after a restart, so it counts as sent.
            int(item.state if connection is None else item.state_when_sent),
        )
        if connection is not None:
            self._journal.after(lambda: connection.offer(item))

    def restore_delivery(self, session: Session, item: OutgoingMessage) -> None:
        """Put back a message on its way that was read from disk."""
        session.restore(item)
        item.message.holders += 1
        self._queued_bytes += item.message.size

    def over(self, session: Session, item: OutgoingMessage) -> None:
        """A message was acknowledged for good, or is not to be sent any more; the session has dropped it."""
        self._queued_bytes -= item.message.size
        if session.number:
            self._journal.note("delivery-over", session.number, item.packet_id)
        self._let_go(item.message, held=bool(session.number))

    def restore_retained(self, catalog: str, message: Message) -> None:
        """Put back a retained message that was read from disk."""
        realm = self._realm(catalog)
        realm.retained[message.topic] = message
        realm.retained_bytes += message.size
        message.holders += 1

    @staticmethod
    def _of_share(subscribers: list[Subscribed]) -> Subscribed:
        """The next subscriber of a share, in turn; connected ones first (§4.8.2)."""
        place = next((at for at, each in enumerate(subscribers) if each.session.connection is not None), 0)
        found = subscribers.pop(place)
        subscribers.append(found)
        return found

    def _retain(self, catalog: str, realm: _Realm, message: Message) -> None:
        if not message.payload:
            self._replace_retained(catalog, message.topic, None)
            return
        before = realm.retained.get(message.topic)
        size = realm.retained_bytes + message.size - (before.size if before else 0)
        if size > MAX_RETAINED_BYTES or (before is None and len(realm.retained) >= MAX_RETAINED_MESSAGES):
            raise RateLimitedError(
                f"retained: expected at most {MAX_RETAINED_MESSAGES} messages of {MAX_RETAINED_BYTES} bytes, got more",
                retry_after_s=60,
            )
        self._replace_retained(catalog, message.topic, message)

    def _replace_retained(self, catalog: str, topic: str, message: Message | None) -> bool:
        realm = self._realm(catalog)
        before = realm.retained.pop(topic, None)
        if message is not None:
            realm.retained[topic] = message
            realm.retained_bytes += message.size
            self._hold(message)
            self._journal.note("retained", catalog, topic, message.number)
        if before is not None:
            realm.retained_bytes -= before.size
            if message is None:
                self._journal.note("retained-over", catalog, topic)
            self._let_go(before, held=True)
        return True

    def _hold(self, message: Message) -> None:
        message.holders += 1
        if message.holders == 1:
            message.number = self.next_number()
            properties: tuple[Any, ...] = message.properties
            self._journal.note(
                "message",
                message.number,
                message.topic,
                message.payload,
                message.qos,
                int(message.retain),
                encode_properties(properties),
                message.expires_at,
            )

    def _let_go(self, message: Message, *, held: bool) -> None:
        if not held:
            return
        message.holders -= 1
        if not message.holders:
            self._journal.note("message-over", message.number)


def _matching(retained: dict[str, Message], topic_filter: str) -> list[Message]:
    if "+" not in topic_filter and "#" not in topic_filter:
        exact = retained.get(topic_filter)
        return [] if exact is None else [exact]
    return [message for topic, message in retained.items() if matches(topic_filter, topic)]

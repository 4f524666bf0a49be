# SPDX-License-Identifier: Apache-2.0
"""Whatever happens to a channel, its counts are exact and nothing is lost without a number that says so."""

from __future__ import annotations

from unittest.mock import patch
from uuid import UUID

from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from hypothesis.strategies import booleans, integers
from sqlalchemy import Connection, create_engine, func, select
from tests.engines.records.notification_play import NOW, channel, event

from armillary.engines.records.notifications import channels, deliveries, outbox
from armillary.engines.records.schema import schema
from armillary.engines.records.schema.security import notification_tables as tables
from armillary.engines.records.schema.security.notification_rows import ChannelStatus

MOST, KEPT, ATTEMPTS = 5, 3, 3


class Outbox(RuleBasedStateMachine):
    """Two channels hear the same events; what is done to one is not done to the other."""

    connection: Connection

    @initialize()
    def begin(self) -> None:
        self._patches = (patch.object(outbox, "MAX_WAITING", MOST), patch.object(deliveries, "MAX_GIVEN_UP", KEPT))
        for each in self._patches:
            each.start()
        self._engine = create_engine("sqlite://")
        self.connection = self._engine.connect()
        schema.metadata.create_all(self.connection)
        for number in (1, 2):
            channels.add(self.connection, channel(number, None), None)
        self.happened = 0
        self.told: list[int] = []  # of the first channel, since the last retry

    def status(self, number: int = 1) -> ChannelStatus:
        found = channels.one(self.connection, UUID(int=number))
        assert found is not None
        return found.status

    @rule()
    def happens(self) -> None:
        self.happened += 1
        assert outbox.enqueue(self.connection, event(self.happened), None) == 2

    @rule(limit=integers(1, 4))
    def tell(self, limit: int) -> None:
        batch = deliveries.oldest(self.connection, 1, limit)
        if batch:
            deliveries.told(self.connection, 1, batch, now_ms=NOW * 1000)
            self.told += [each.sequence for each in batch]

    @rule(limit=integers(1, 4), counts=booleans(), final=booleans())
    def fail(self, limit: int, *, counts: bool, final: bool) -> None:
        batch = deliveries.oldest(self.connection, 1, limit)
        if batch:
            after = 1 if final else ATTEMPTS
            deliveries.failed(
                self.connection, 1, batch, give_up_after=after, counts=counts, due_ms=0, now_ms=NOW * 1000, error="x"
            )

    @rule()
    def retry(self) -> None:
        deliveries.retry(self.connection, 1, now_ms=NOW * 1000)
        self.told = []

    @invariant()
    def every_event_is_somewhere(self) -> None:
        if not hasattr(self, "connection"):
            return
        for number in (1, 2):
            found = self.status(number)
            assert found.waiting + found.delivered + found.given_up + found.dropped == self.happened
            rows = dict(self.connection.execute(
                select(tables.notification_delivery.c.state, func.count())
                .where(tables.notification_delivery.c.channel_number == number)
                .group_by(tables.notification_delivery.c.state)
            ).all())  # fmt: skip
            assert rows.get("waiting", 0) == found.waiting
            assert rows.get("given-up", 0) == min(found.given_up, rows.get("given-up", 0)) <= KEPT
        assert self.status(2).dropped == max(0, self.happened - MOST)

    @invariant()
    def order_is_kept_and_no_event_stays_that_nobody_is_to_be_told(self) -> None:
        if not hasattr(self, "connection"):
            return
        assert self.told == sorted(set(self.told))
        events, here = tables.notification_event, tables.notification_delivery
        left = select(func.count()).where(events.c.number.not_in(select(here.c.event_number)))
        assert self.connection.execute(left).scalar_one() == 0

    def teardown(self) -> None:
        if hasattr(self, "connection"):
            self.connection.close()
            self._engine.dispose()
            for each in self._patches:
                each.stop()


TestOutbox = Outbox.TestCase
TestOutbox.settings = settings(max_examples=20, stateful_step_count=25, deadline=None)

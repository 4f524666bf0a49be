# SPDX-License-Identifier: Apache-2.0
"""What is kept of an event, and for whom: in the commit of what it tells of, or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection, func, insert, select
from tests.wire.notification import test_ocsf
from tests.wire.notification.events import finding

from armillary.engines.records.notifications import outbox
from armillary.engines.records.queries import catalogs as catalog_rows
from armillary.engines.records.schema.rows import Catalog
from armillary.engines.records.schema.security import notification_tables as tables
from armillary.engines.records.store import Records
from armillary.errors import WireError
from armillary.wire.notification import event as notification, ocsf
from armillary.wire.notification.event import Event

NOW = 1_800_000_000
MINE, THEIRS = UUID(int=1), UUID(int=2)


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    opened = Records.open(tmp_path / "records.db", fresh=True)
    for number, catalog_id in enumerate((MINE, THEIRS)):
        made = Catalog(catalog_id=catalog_id, name=f"C{number}", resource_group="rg", tags={}, created_at=NOW)
        opened.write(lambda c, made=made: catalog_rows.add_catalog(c, made))
    yield opened
    opened.close()


def add(records: Records, name: str, catalog_id: UUID | None = None, **values: Any) -> None:
    row = {
        "channel_id": uuid4(),
        "catalog_id": catalog_id,
        "owner": "" if catalog_id is None else str(catalog_id),
        "name": name,
        "name_key": name.lower(),
        "kind": "webhook",
        "options": "{}",
        "topics": "[]",
        "finding_kinds": "[]",
        "min_severity": "info",
        "created_at": NOW,
        "created_by": "t",
        "error": "",
        **dict.fromkeys(("sequence", "waiting", "delivered", "given_up", "dropped", "failures", "due_ms"), 0),
    }
    records.write(lambda c: c.execute(insert(tables.notification_channel).values({**row, **values})))


def event(kind: str = "finding.opened", severity: str = "high", **data: Any) -> Event:
    return Event(event_id=uuid4(), kind=kind, severity=severity, at=NOW, title="t", text="x", subject="s", data=data)


def waiting(records: Records) -> dict[str, list[int]]:
    """Channel name -> sequence numbers of what waits for it."""
    channel, delivery = tables.notification_channel, tables.notification_delivery
    query = select(channel.c.name, delivery.c.sequence).join(delivery, delivery.c.channel_number == channel.c.number)
    found: dict[str, list[int]] = {}
    for name, sequence in records.read(lambda c: c.execute(query.order_by(delivery.c.number)).all()):
        found.setdefault(name, []).append(sequence)
    return found


def count(records: Records, table: Any) -> int:
    return int(records.read(lambda c: c.execute(select(func.count()).select_from(table)).scalar_one()))


def test_an_event_is_kept_for_channels_of_its_catalog_and_of_the_service_and_no_others(records: Records) -> None:
    assert records.write(lambda c: outbox.enqueue(c, event(), MINE)) == 0
    assert count(records, tables.notification_event) == 0  # nobody wants it: nothing is written
    add(records, "mine", MINE)
    add(records, "theirs", THEIRS)
    add(records, "all")
    assert records.write(lambda c: outbox.enqueue(c, event(), MINE)) == 2
    assert records.write(lambda c: outbox.enqueue(c, event(), None)) == 1
    assert waiting(records) == {"mine": [1], "all": [1, 2]}
    assert count(records, tables.notification_event) == 2  # once, however many are told


def test_a_channel_hears_what_it_has_asked_for_unless_it_is_named(records: Records) -> None:
    add(records, "grave", min_severity="high")
    add(records, "actions", topics=json.dumps(["action"]))
    add(records, "crashes", finding_kinds=json.dumps(["application-crashed"]))
    for each in (
        event(severity="medium", kind="finding.opened"),
        event(severity="critical", kind="action.done"),
        event(severity="low", kind_of="x"),
    ):
        records.write(lambda c, each=each: outbox.enqueue(c, each, MINE))
    crash = Event(
        event_id=uuid4(), kind="finding.opened", severity="low", at=NOW, title="t", text="x", subject="s",
        data={"kind": "application-crashed"},
    )  # fmt: skip
    assert records.write(lambda c: outbox.enqueue(c, crash, MINE)) == 1
    assert waiting(records) == {"grave": [1], "actions": [1], "crashes": [1, 2]}
    assert records.write(lambda c: outbox.enqueue(c, event(severity="info"), MINE, "GRAVE")) == 1
    assert records.write(lambda c: outbox.enqueue(c, event(severity="info"), MINE, "nobody")) == 0


def test_beyond_its_share_of_waiting_events_a_channel_counts_what_it_does_not_keep(
    records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "MAX_WAITING", 2)
    add(records, "full")
    for _ in range(5):
        records.write(lambda c: outbox.enqueue(c, event(), MINE))
    assert waiting(records) == {"full": [1, 2]}
    channel = tables.notification_channel.c
    row = records.read(lambda c: c.execute(select(channel.sequence, channel.waiting, channel.dropped)).one())
    assert tuple(row) == (5, 2, 3)  # the gap shows in the numbers


def test_what_is_taken_back_is_not_told(records: Records) -> None:
    add(records, "all")

    def change(connection: Connection) -> None:
        outbox.enqueue(connection, event(), MINE)
        raise LookupError

    with pytest.raises(LookupError):
        records.write(change)
    assert waiting(records) == {}


def test_events_survive_being_kept_and_others_are_refused() -> None:
    made = event(kind="action.done", count=3, device_ids=["a"])
    assert notification.decode(notification.encode(made)) == made
    good = notification.encode(made)
    for text in (
        "", "[]", "{}", '{"event_id": 1}', good.replace("action.done", "made-up"), good.replace('"at":18', '"at":-18'),
        good.replace('"at":18', '"at":1e18'), good.replace('"title":"t"', '"title":1'),
    ):  # fmt: skip
        with pytest.raises(WireError):
            notification.decode(text)


@pytest.mark.parametrize(
    "data",
    [
        {"kind": "x", "devices": ["ab" * 64] * 5000},
        {"target": {"devices": ["ab" * 64] * 5000}, "much": "\U0001f600" * 100_000},
        {"kind": "x", **{f"name {number}": "x" * 1000 for number in range(1000)}},
        {"deep": [[["y" * 1000] * 100] * 100] * 100},
    ],
)
def test_what_is_too_large_loses_its_ends_and_never_the_transaction(records: Records, data: dict[str, Any]) -> None:
    add(records, "all")
    huge = Event(
        event_id=uuid4(), kind="action.done", severity="high", at=NOW, title="\U0001f600" * 50_000,
        text="\U0001f600" * 50_000, subject="s", data=data,
    )  # fmt: skip
    assert records.write(lambda c: outbox.enqueue(c, huge, None)) == 1
    text = records.read(lambda c: c.execute(select(tables.notification_event.c.document)).scalar_one())
    assert len(text) <= notification.MAX_BYTES
    kept = notification.decode(text)
    assert (kept.event_id, kept.data["truncated"]) == (huge.event_id, True)
    assert huge.title.startswith(kept.title)


def test_a_huge_finding_keeps_what_its_forms_need(records: Records) -> None:
    words = dict.fromkeys(("title", "cause", "proposed_action"), "\U0001f600" * 20_000)
    made = notification.of_finding(finding(device_ids=("ab" * 64,) * 100, last_seen=10**15, **words), graver=False)
    kept = notification.decode(notification.encode(made))
    assert len(kept.data["device_ids"]) == notification.MAX_CUT_ITEMS
    test_ocsf.check(ocsf.of_event(kept, catalog=None, product_version="1", sequence=1))

# SPDX-License-Identifier: Apache-2.0
"""What data exports read: five sequences of events, each with rising numbers that are never used again.

| source | order | kept |
|---|---|---|
| telemetry | blocks of the hub's log, then messages in a block | as messages: ``messages_retention_days`` |
| properties | the journal of twins (``engines/hub/twins.py``), from the first such export on | the newest 100,000 |
| alerts | firings of rules | as the rules keep them |
| connectivity | the journal of connections (``engines/hub/connectivity.py``), begun likewise | the newest 100,000 |
| lifecycle | lines of the audit log about devices | for ever |

Methods block: call them from threads.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from armillary.engines.database.on_demand import OnDemand
from armillary.engines.hub.connectivity import ConnectivityEvent, read_events
from armillary.engines.hub.devices import read_ids_of_numbers
from armillary.engines.hub.journals import Journal, newest_number, number_before_oldest, read_blocks
from armillary.engines.hub.twins import TwinChange, journal_wanted, read_changes
from armillary.engines.rules.rows import Alert
from armillary.engines.rules.store import RuleStore
from armillary.engines.series.log.blocks import Message, iterate_block
from armillary.engines.series.store import SeriesStore
from armillary.errors import WireError
from armillary.platform.ports import Directory
from armillary.twin.author.data_export import ExportRecord, ExportSource
from armillary.wire.hub import telemetry
from armillary.wire.hub.topics import parse_bag

# Blocks read at a time: a batch of the log is 30,000 messages at most.
BLOCKS: Final = 16
# Sources that are journals of the hub's own database.
JOURNALS: Final = {
    ExportSource.TELEMETRY: Journal.MESSAGES,
    ExportSource.PROPERTIES: Journal.TWINS,
    ExportSource.CONNECTIVITY: Journal.CONNECTIONS,
}
# Fields of an alert that go out.
ALERT_FIELDS: Final = ("rule_id", "rule_name", "severity", "fired_ms", "trace")


@dataclass(frozen=True, slots=True)
class Portion:
    """Some records of a source."""

    records: Sequence[ExportRecord]  # In order
    seq: int  # Where the source is after them; ``place`` likewise
    place: int
    read: int  # How many entries were looked at; records of messages that cannot be read are left out
    missed: int = 0  # Entries that were deleted before their turn


class Sources:
    """Reads the sources."""

    def __init__(
        self,
        series: SeriesStore,
        rule_store: OnDemand[RuleStore],
        directory: Directory,
        begin_connectivity: Callable[[], None],
    ) -> None:
        self._series = series
        self._rule_store = rule_store
        self._directory = directory
        self._begin_connectivity = begin_connectivity
        self._readers: Mapping[ExportSource, Callable[[int, int, int], Portion]] = {
            ExportSource.TELEMETRY: self._telemetry,
            ExportSource.PROPERTIES: self._properties,
            ExportSource.ALERTS: self._alerts,
            ExportSource.LIFECYCLE: self._lifecycle,
            ExportSource.CONNECTIVITY: self._connectivity,
        }

    def read(self, source: ExportSource, seq: int, place: int, limit: int) -> Portion:
        """What comes after ``place`` entries behind ``seq``, at most ``limit`` entries."""
        return self._readers[source](seq, place, limit)

    def newest(self, source: ExportSource) -> int:
        """The last number of a source; 0 when there is none."""
        if source is ExportSource.LIFECYCLE:
            return self._directory.last_event()
        if source is ExportSource.ALERTS:
            return self._rule_store.get().alerts.newest_number()
        return self._series.read(lambda connection: newest_number(connection, JOURNALS[source]))

    def beginning(self, source: ExportSource) -> int:
        """The number before the first that is still kept."""
        if source is ExportSource.LIFECYCLE:
            return 0
        if source is ExportSource.ALERTS:
            first = self._rule_store.get().alerts.after(0, 1)
            return first[0].number - 1 if first else self.newest(source)
        return self._series.read(lambda connection: number_before_oldest(connection, JOURNALS[source]))

    def begin(self, source: ExportSource) -> None:
        """An export of this source begins: what has to be written for it is written from now on."""
        if source is ExportSource.PROPERTIES:
            self._series.commits.commit(journal_wanted)
        elif source is ExportSource.CONNECTIVITY:
            self._begin_connectivity()

    # Sources ------------------------------------------------------------------------------------------------

    def _telemetry(self, seq: int, place: int, limit: int) -> Portion:
        blocks = self._series.read(lambda connection: read_blocks(connection, seq, BLOCKS))
        missed = max(0, blocks[0][0] - seq - 1) if blocks else 0
        found: list[tuple[str, Message]] = []
        at, done = seq, 0 if missed else place
        read = 0
        for number, data in blocks:
            messages = self._messages(data)
            taken = messages[done : done + limit - read]
            found += [(f"t-{number}-{done + index}", each) for index, each in enumerate(taken)]
            read += len(taken)
            if done + len(taken) < len(messages):
                done += len(taken)
                break
            at, done = number, 0
            if read >= limit:
                break
        numbers = {message.device for _, message in found}
        names = self._series.read(lambda connection: read_ids_of_numbers(connection, numbers))
        records = [_message_record(record_id, message, names) for record_id, message in found]
        return Portion([each for each in records if each is not None], at, done, read, missed)

    def _messages(self, data: bytes) -> list[Message]:
        try:
            return list(iterate_block(data))
        except WireError:  # the disk changed what was checked when it came
            return []

    def _properties(self, seq: int, _place: int, limit: int) -> Portion:
        rows = self._series.read(lambda connection: read_changes(connection, seq, limit))
        records = [
            _journal_record("p", ExportSource.PROPERTIES, row, {"section": row.section, "properties": row.properties})
            for row in rows
        ]
        return _portion_of(seq, rows, records)

    def _connectivity(self, seq: int, _place: int, limit: int) -> Portion:
        rows = self._series.read(lambda connection: read_events(connection, seq, limit))
        records = []
        for row in rows:
            reason = {"reason": row.reason} if row.reason else {}
            content = {"event": row.event, "sequence": row.number, **reason}
            records.append(_journal_record("c", ExportSource.CONNECTIVITY, row, content))
        return _portion_of(seq, rows, records)

    def _alerts(self, seq: int, _place: int, limit: int) -> Portion:
        alerts = self._rule_store.get().alerts.after(seq, limit)
        records = [
            ExportRecord(
                id=f"a-{alert.id}",
                source=ExportSource.ALERTS,
                device_id=alert.device_id,
                at_ms=alert.at_ms,
                accepted_ms=alert.fired_ms,
                content={name: getattr(alert, name) for name in ALERT_FIELDS},
                values={},
            )
            for alert in alerts
        ]
        return _portion_of(seq, alerts, records)

    def _lifecycle(self, seq: int, _place: int, limit: int) -> Portion:
        newest = self._directory.last_event()
        events = self._directory.events(seq, limit)
        records = [
            ExportRecord(
                id=f"l-{event.number}",
                source=ExportSource.LIFECYCLE,
                device_id=event.device_id,
                at_ms=event.at_ms,
                accepted_ms=event.at_ms,
                content={"event": event.name},
                values={},
            )
            for event in events
        ]
        done = events[-1].number if len(events) == limit else max(newest, seq)  # lines about something else
        return Portion(records, max(done, events[-1].number) if events else done, 0, len(events))


def _portion_of(
    seq: int, rows: Sequence[TwinChange | ConnectivityEvent | Alert], records: Sequence[ExportRecord]
) -> Portion:
    """The portion that begins behind ``seq``, of a source whose entries are rows with rising numbers."""
    if not rows:
        return Portion(records, seq, 0, 0)
    return Portion(records, rows[-1].number, 0, len(rows), max(0, rows[0].number - seq - 1))


def _journal_record(
    letter: str, source: ExportSource, row: TwinChange | ConnectivityEvent, content: Mapping[str, Any]
) -> ExportRecord:
    return ExportRecord(
        id=f"{letter}-{row.number}",
        source=source,
        device_id=row.device_id.partition("/")[0],
        at_ms=row.at_ms,
        accepted_ms=row.at_ms,
        content={**content, **_module(row.device_id)},
        values={},
    )


def _message_record(record_id: str, message: Message, names: Mapping[int, str]) -> ExportRecord | None:
    name = names.get(message.device)
    if name is None:
        return None
    properties = {**dict(message.user_properties), **_bag(message.topic)}
    content: dict[str, Any] = {"properties": properties, "received_ms": message.received_ms, **_module(name)}
    at_ms, values = message.received_ms, dict[str, Any]()
    measured = _decoded(message, properties)
    if measured is not None:
        at_ms, values = measured.at_ms, dict(measured.values)
        content["values"] = values
    else:
        content["body_base64"] = base64.b64encode(message.payload).decode()
    return ExportRecord(
        id=record_id,
        source=ExportSource.TELEMETRY,
        device_id=name.partition("/")[0],
        at_ms=at_ms,
        accepted_ms=message.received_ms,
        content=content,
        values=values,
    )


def _decoded(message: Message, properties: Mapping[str, str]) -> telemetry.Telemetry | None:
    """What a message measured; None for one that is no JSON or cannot be read."""
    if not telemetry.is_json(properties):
        return None
    try:
        return telemetry.decode(message.payload, properties, message.received_ms)
    except WireError:
        return None


def _bag(topic: str) -> Mapping[str, str]:
    try:
        return dict(parse_bag(topic.partition("/messages/events/")[2]))
    except WireError:
        return {}


def _module(name: str) -> Mapping[str, str]:
    module = name.partition("/")[2]
    return {"module": module} if module else {}


def encode(document: object) -> bytes:
    """A record as it goes out: compact JSON in UTF-8; no characters that cannot be sent."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")

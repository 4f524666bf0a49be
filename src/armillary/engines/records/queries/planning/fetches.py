# SPDX-License-Identifier: Apache-2.0
"""What devices have fetched from here since their last check-ins: one row a device, changed a few times per update."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, delete, insert, select

from armillary.engines.records.schema import schema

_fetch = schema.device_fetch


@dataclass(frozen=True, slots=True, kw_only=True)
class SentPart:
    """A part of an offer that the service has sent to its end; ``sent_at`` in Unix seconds UTC."""

    name: str
    sent_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchProgress:
    """How far a device is with fetching what it was offered, as far as it fetches it from the service.

    Attributes:
        begun_at: When it began, Unix seconds UTC.
        parts: How many parts it lacks.
        sent: Those of them that were sent to their end, the earliest first.
    """

    begun_at: int
    parts: int
    sent: tuple[SentPart, ...]


@dataclass(slots=True)
class Fetch:
    """What a device has fetched since a check-in.

    Attributes:
        check_in: Serial number of that check-in's certificate, upper-case hex.
        begun_at: When the first artifact was asked for, Unix seconds UTC.
        sent: SHA-256 of each artifact that was sent to its end, and when that was.
    """

    check_in: str
    begun_at: int
    sent: dict[bytes, int] = field(default_factory=dict)

    def progress(self, lacking: Sequence[tuple[bytes, str]]) -> FetchProgress:
        """How far a device is that lacks these parts, each with its SHA-256 and its name."""
        sent = [SentPart(name=name, sent_at=self.sent[digest]) for digest, name in lacking if digest in self.sent]
        sent.sort(key=lambda part: part.sent_at)
        return FetchProgress(begun_at=self.begun_at, parts=len(lacking), sent=tuple(sent))


def of_device(connection: Connection, number: int, check_in: str) -> Fetch | None:
    """What a device has fetched since the check-in of this serial number; None for nothing."""
    row = connection.execute(select(_fetch).where(_fetch.c.device_number == number)).first()
    if row is None or row.check_in != check_in:
        return None
    return Fetch(row.check_in, row.begun_at, {bytes.fromhex(one): at for one, at in json.loads(row.sent).items()})


def keep(connection: Connection, fetches: Mapping[int, Fetch]) -> None:
    """Keep what devices have fetched, by their numbers; with what another process has seen since the same check-in."""
    for number, found in fetches.items():
        before = of_device(connection, number, found.check_in)
        begun_at, sent = found.begun_at, found.sent
        if before is not None:
            begun_at, sent = min(before.begun_at, begun_at), {**sent, **before.sent}
        connection.execute(delete(_fetch).where(_fetch.c.device_number == number))
        values = {
            "device_number": number,
            "check_in": found.check_in,
            "begun_at": begun_at,
            "sent": json.dumps({one.hex(): at for one, at in sent.items()}),
        }
        connection.execute(insert(_fetch).values(values))

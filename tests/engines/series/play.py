# SPDX-License-Identifier: Apache-2.0
"""A series store with short ways to put messages in, for the tests of this folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.postgresql import database_of

from armillary.engines.hub.devices import enrolled
from armillary.engines.series.log.blocks import Block, PacketRun
from armillary.engines.series.retention import Retention
from armillary.engines.series.store import SeriesStore
from armillary.engines.series.values.chunks import HOUR_MS
from armillary.wire.mqtt.codec import encode_packet
from armillary.wire.mqtt.packet import Publish

DEVICE = "ab" * 64
START = 1_795_532_400_000  # a full hour


def packet(values: Any, bag: str = "", **options: Any) -> bytes:
    body = values if isinstance(values, bytes) else json.dumps(values).encode()
    return encode_packet(
        Publish(topic=f"devices/{DEVICE}/messages/events/{bag}", payload=body, qos=1, packet_id=1, **options)
    )


class Play:
    """A store with one device, and short ways to put messages in."""

    def __init__(self, folder: Path, **retention: int) -> None:
        self.folder = folder
        self.heard: list[tuple[int, Any]] = []
        self.store = SeriesStore(
            folder,
            retention=Retention(**retention),
            database=database_of(folder),
            listener=lambda device, telemetry, *_: self.heard.append((device, telemetry)),
        )
        self.number = self.store.commits.submit(enrolled(DEVICE, now_ms=START, clean=False)).result().number

    def keep(self, *messages: tuple[int, Any]) -> Block:
        """Commit messages of ``(time, values)`` as one batch and hand them to the decoder."""
        block = self.commit(*messages)
        self.store.decoder.add(block)
        return block

    def commit(self, *messages: tuple[int, Any]) -> Block:
        runs = [
            PacketRun(
                4,
                self.number,
                at_ms,
                values if isinstance(values, bytes) and values[:1] == b"\x32" else packet(values),
                1,
            )
            for at_ms, values in messages
        ]
        return [self.store.commits.submit(run) for run in runs][-1].result() if len(runs) == 1 else self._batch(runs)

    def _batch(self, runs: list[PacketRun]) -> Block:
        data = b"".join(run.data for run in runs if run.received_ms == runs[0].received_ms)
        if all(run.received_ms == runs[0].received_ms for run in runs):
            return self.store.commits.submit(PacketRun(4, self.number, runs[0].received_ms, data, len(runs))).result()  # type: ignore[no-any-return]
        for run in runs[:-1]:
            self.store.decoder.add(self.store.commits.submit(run).result())
        return self.store.commits.submit(runs[-1]).result()  # type: ignore[no-any-return]

    def decode(self) -> None:
        while self.store.decoder.work(1.0):
            pass

    def flush(self, now_ms: int = START) -> None:
        self.decode()
        self.store.commits.submit(self.store.begin_flush(now_ms)).result()
        self.store.end_flush(kept=True)

    def maintain(self, now_ms: int) -> None:
        """Seal what is over at this time, and delete what is too old."""
        self.store.maintenance._begun_at = float("-inf")
        more = True
        while more:
            change = self.store.maintenance.begin(now_ms)
            assert change is not None
            more = self.store.commits.submit(change).result()
            self.store.maintenance.end(more=more)

    def seal(self, now_ms: int = START) -> None:
        self.flush(now_ms)
        self.maintain(now_ms)

    def means(
        self, metric: str, start: int = START, end: int = START + HOUR_MS, points: int = 1000
    ) -> list[tuple[int, float]]:
        return [(each.start_ms, each.mean) for each in self.store.query(DEVICE, metric, start, end, points).buckets]

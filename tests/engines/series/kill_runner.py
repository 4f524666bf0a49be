# SPDX-License-Identifier: Apache-2.0
"""Takes messages, flushes and seals without a pause until it is killed: ``python -m ...kill_runner FOLDER FIRST``.

Message n is measured n seconds after the start of play, every 50th three hours before that; hours go by in a second.
Prints each batch's last n once it is committed, which is when it would be acknowledged.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import structlog
from tests.engines.series.play import START, Play, packet

BATCH = 40
LATE_MS = 3 * 3_600_000


def measured_at(number: int) -> int:
    """When message ``number`` was measured, Unix milliseconds."""
    return START + LATE_MS + number * 1000 - (LATE_MS if number % 50 == 0 else 0)


def main(folder: Path, first: int) -> None:
    play = Play(folder)
    number = first
    while True:
        now_ms = START + LATE_MS + (number + BATCH) * 1000
        data = b""
        for each in range(number, number + BATCH):
            stamp = datetime.fromtimestamp(measured_at(each) / 1000, UTC).isoformat().replace("+", "%2B")
            data += packet({"n": each}, f"iothub-creation-time-utc={stamp}")
        play.store.decoder.add(play.commit((now_ms, data)))
        number += BATCH
        print(number - 1, flush=True)
        play.decode()
        if number % 400 == 0:
            play.flush(now_ms)
        if number % 2000 == 0:
            play.maintain(now_ms)


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    main(Path(sys.argv[1]), int(sys.argv[2]))

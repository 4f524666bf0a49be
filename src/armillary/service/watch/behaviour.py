# SPDX-License-Identifier: Apache-2.0
"""What devices do, counted by windows of five minutes and judged when a window is over (``armillary.detect.baseline``).

A cohort is the devices of a group with one OS version and one deployment. What was learned is in a file of the data
folder, written hourly: after a restart at most an hour of it is missing. Without the file it is learned anew, and
nothing is judged for a day. What is learned from is devices' own word; it makes findings, and no more.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import structlog
from sqlalchemy import Connection

from armillary.detect.baseline import METRICS, Baseline, Past
from armillary.engines.durable import write_file
from armillary.engines.records.crashes import cohorts as cohort_rows
from armillary.engines.records.crashes.cohorts import Place
from armillary.service.context.context import Context
from armillary.service.watch import detections
from armillary.service.watch.detections import Observation

WINDOW_S: Final = 300
# Windows of learning before anything is judged: a day.
LEARNING: Final = 288
# How many devices a cohort has, and what was learned, are looked at and kept this often.
HOURLY: Final = 12
# Devices whose own past is kept: those that had events last. 3 MB as a file.
MAX_DEVICES: Final = 20_000
# Windows that are made up for after a pause; in a longer one the past of cohorts stays as it was.
MOST_PASSED: Final = 288
FILE: Final = "behaviour.json"
FILE_VERSION: Final = 1
MAX_FILE_BYTES: Final = 32 * 1024 * 1024

_log = structlog.get_logger("armillary.service.watch")


class Behaviour:
    """Counts the present window and judges those that are over. For the watch's thread alone."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._file = context.folder.path / FILE
        self._baseline, self._learned = self._load()
        self._window = self._now()
        self._counts: dict[str, list[int]] = {}
        self.dropped = 0  # events of more devices than have a past
        self._sizes: Mapping[str, int] = {}

    def count(self, device_id: str, metric: str, count: int) -> None:
        """Count events of a device in the present window; of more devices than have a past they are not counted."""
        if device_id not in self._counts:
            if len(self._counts) >= MAX_DEVICES:
                self.dropped += count
                return
            self._counts[device_id] = [0] * len(METRICS)
        self._counts[device_id][METRICS.index(metric)] += count

    def look(self) -> list[Observation]:
        """Judge the windows that are over; the devices that are unusual now."""
        window, found = self._now(), list[Observation]()
        self._window = min(self._window, window)  # the clock may have been set back
        while self._window < window:
            if not self._sizes or self._window % HOURLY == 0:
                self._sizes = self._context.records.read(cohort_rows.sizes)
            found += self._judge(self._window)
            self._baseline.close(self._window, self._sizes)
            self._learned += 1
            if self._window % HOURLY == 0:
                self._keep()
            self._window = max(self._window + 1, window - MOST_PASSED)
        return found

    def _judge(self, window: int) -> list[Observation]:
        counted, self._counts = self._counts, {}
        if not counted:
            return []
        places: Mapping[str, Place] = self._context.records.read(lambda c: _places(c, counted))
        found = []
        for device_id, counts in counted.items():
            place = places.get(device_id)
            if place is None:
                continue
            unusual = self._baseline.observe(window, device_id, place.cohort, tuple(counts))
            if unusual is not None and self._learned >= LEARNING:
                found.append(detections.of_behaviour(unusual, device_id, place.catalog_id, self._context.now()))
        return found

    def _now(self) -> int:
        return self._context.now() // WINDOW_S

    def _keep(self) -> None:
        document = {
            "version": FILE_VERSION,
            "learned": self._learned,
            "devices": [_fields(name, past) for name, past in self._baseline.devices.items()],
            "cohorts": [_fields(name, past) for name, past in self._baseline.cohorts.items()],
        }
        write_file(self._file, json.dumps(document).encode(), mode=0o600)

    def _load(self) -> tuple[Baseline, int]:
        """What was learned; nothing where there is no file, or none that can be read: it is learned anew then."""
        baseline = Baseline(METRICS, most=MAX_DEVICES)
        try:
            document = _read(self._file)
            devices, cohorts = (dict(map(_past, document[each])) for each in ("devices", "cohorts"))
            learned = int(document["learned"])
        except FileNotFoundError:
            return baseline, 0
        except (OSError, ValueError, KeyError, TypeError) as error:
            _log.warning("what was learned of devices' behaviour is learned anew", file=FILE, reason=str(error))
            return baseline, 0
        baseline.devices.update(devices)
        baseline.cohorts.update(cohorts)
        return baseline, learned


def _read(file: Path) -> Any:
    """The document of a file; ValueError, KeyError, TypeError or OSError where it is none of ours."""
    if file.stat().st_size > MAX_FILE_BYTES:
        raise ValueError("larger than this service writes it")
    document = json.loads(file.read_bytes())
    if document["version"] != FILE_VERSION:
        raise ValueError(f"version {document['version']}")
    return document


def _places(connection: Connection, counted: Mapping[str, object]) -> Mapping[str, Place]:
    return cohort_rows.places(connection, list(counted))


def _fields(name: object, past: Past) -> list[Any]:
    return [name, past.window, past.cohort, past.means, past.squares, past.sums, past.seen, past.said]


def _past(fields: list[Any]) -> tuple[str, Past]:
    name, window, cohort, *moments, seen, said = fields
    means, squares, sums = ([float(value) for value in each] for each in moments)
    if any(len(each) != len(METRICS) for each in (means, squares, sums)):
        raise ValueError(f"{len(METRICS)} metrics expected")
    return str(name), Past(int(window), str(cohort), means, squares, sums, seen=int(seen), said=bool(said))

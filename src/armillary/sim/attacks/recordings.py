# SPDX-License-Identifier: Apache-2.0
"""Recordings that others have published and labelled, as windows of counts: what the shipped detector finds of them.

Two forms are read. *NAB* (Numenta Anomaly Benchmark): a folder of series, each a CSV file of time and value, and
``labels/combined_windows.json``. *IoT-23* (Stratosphere Laboratory): connections of one device as Zeek writes them
(``conn.log.labeled``), each with its label.

What would flatter is kept out. The split is by time: the first :data:`LEARNED` of a recording is learned from, and only
the rest is judged. A label is used for judging alone, as a number: how it is spelled never comes near the detector.
Connections that are there twice count once. And :func:`moved` moves the labels in time: a score that stays then says
nothing.

The detector looks for more than is usual, of counts. A series of other values is brought to the scale of counts, by the
part that is learned from: variance and mean become equal.
"""

from __future__ import annotations

import csv
import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from armillary.detect.baseline import LIMIT, Baseline
from armillary.detect.quality import average_precision, recall_at_rate
from armillary.errors import WireError

LEARNED: Final = 0.2
DAY_S: Final = 86_400
WINDOW_S: Final = 300
# Alarms of a series within an hour are one incident.
INCIDENT_S: Final = 3600
# False incidents in a day of one series that are allowed.
BUDGETS: Final = (0.001, 0.01, 0.1, 1.0)
# Columns of a connection, by Zeek's names.
_COLUMNS: Final = ("ts", "id.orig_h", "id.resp_h", "id.resp_p", "proto")


@dataclass(frozen=True, slots=True)
class Window:
    """A moment of a series: begin in Unix seconds, what was counted, and whether an anomaly is labelled there."""

    at: float
    count: float
    is_true: bool


@dataclass(frozen=True, slots=True)
class Recording:
    """A series of windows, in the order of time; ``spans`` are the labelled anomalies as (begin, end)."""

    name: str
    windows: tuple[Window, ...]
    spans: tuple[tuple[float, float], ...]

    @property
    def judged(self) -> tuple[Window, ...]:
        """The windows that are judged."""
        return self.windows[int(len(self.windows) * LEARNED) :]


@dataclass(frozen=True, slots=True)
class Connection:
    """One connection of a device."""

    at: float
    source: str
    destination: str
    port: int
    protocol: str
    is_malicious: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the detector makes of recordings.

    Attributes:
        base_rate: Share of the judged windows that are labelled; what a score without any knowledge comes to.
        precision: Average precision of the windows' scores.
        recall_at_rate: Share of the labelled windows above a threshold that one other window in a thousand passes.
        shipped: Share of the labelled anomalies with an alarm, and false incidents a day, by the shipped limit.
        budgets: The same share where a threshold is chosen for so many false incidents a day.
    """

    series: int
    anomalies: int
    days: float
    base_rate: float
    precision: float
    recall_at_rate: float
    shipped: tuple[float, float]
    budgets: dict[float, float]


def judged(recordings: Sequence[Recording]) -> Found:
    """Play recordings to the shipped detector, each to one of its own, and judge them together."""
    played = [(one, _scores(one)) for one in recordings]
    scored = [
        (score, window.is_true) for one, scores in played for window, score in zip(one.judged, scores, strict=True)
    ]
    true = sum(is_true for _, is_true in scored)
    days = sum(_seconds(one.judged) for one in recordings) / DAY_S
    anomalies = sum(len(_judged_spans(one)) for one in recordings)
    thresholds = sorted({score for score, _ in scored} | {LIMIT})
    curve = [(one, *_incidents(played, one)) for one in thresholds[:: max(1, len(thresholds) // 400)]]
    shipped = _incidents(played, LIMIT)
    return Found(
        series=len(recordings),
        anomalies=anomalies,
        days=round(days, 1),
        base_rate=true / len(scored),
        precision=average_precision(scored),
        recall_at_rate=recall_at_rate(scored, negatives=len(scored) - true, rate=0.001),
        shipped=(shipped[0] / max(1, anomalies), shipped[1] / days),
        budgets={
            budget: max((found for _, found, false in curve if false <= budget * days), default=0) / max(1, anomalies)
            for budget in BUDGETS
        },
    )


def _scores(recording: Recording) -> list[float]:
    """The detector's score of each judged window."""
    baseline, learned = Baseline(("events",)), int(len(recording.windows) * LEARNED)
    scores = []
    for number, window in enumerate(recording.windows):
        _, score = baseline.judge(number, recording.name, recording.name, (window.count,))
        baseline.close(number, {recording.name: 1})
        if number >= learned:
            scores.append(score)
    return scores


def _incidents(played: Sequence[tuple[Recording, Sequence[float]]], threshold: float) -> tuple[int, int]:
    """Labelled anomalies in which an alarm begins, and incidents outside of any.

    As the detector says it: an alarm begins where the score reaches the threshold, and is over when it is 0 again.
    """
    found, false = 0, 0
    for one, scores in played:
        hit, last, is_said = set[int](), float("-inf"), False
        spans = _judged_spans(one)
        for window, score in zip(one.judged, scores, strict=True):
            if is_said or score < threshold or not score:
                is_said = is_said and score > 0
                continue
            is_said = True
            inside = [index for index, (begin, end) in enumerate(spans) if begin <= window.at <= end]
            hit.update(inside)
            if not inside and window.at - last >= INCIDENT_S:
                false, last = false + 1, window.at
        found += len(hit)
    return found, false


def _judged_spans(recording: Recording) -> list[tuple[float, float]]:
    begin = recording.judged[0].at
    return [span for span in recording.spans if span[1] >= begin]


def _seconds(windows: Sequence[Window]) -> float:
    return windows[-1].at - windows[0].at if len(windows) > 1 else 0.0


def moved(recording: Recording) -> Recording:
    """The recording with its labels moved by half of its time: the control of every score."""
    begin, length = recording.windows[0].at, _seconds(recording.windows)

    def later(at: float) -> float:
        return begin + (at - begin + length / 2) % length

    spans = tuple((later(first), later(first) + last - first) for first, last in recording.spans)
    windows = tuple(
        replace(one, is_true=any(first <= one.at <= last for first, last in spans)) for one in recording.windows
    )
    return Recording(recording.name, windows, spans)


def read_nab(folder: Path, part: str) -> list[Recording]:
    """The series of a part of NAB, such as ``realTweets``; raises WireError where a file is none of it."""
    labels = json.loads((folder / "labels" / "combined_windows.json").read_text("utf-8"))
    return [
        _nab_series(file, [tuple(map(_nab_time, span)) for span in labels.get(f"{part}/{file.name}", [])])
        for file in sorted((folder / "data" / part).glob("*.csv"))
    ]


def _nab_series(file: Path, spans: list[tuple[float, ...]]) -> Recording:
    try:
        rows = [
            (_nab_time(row["timestamp"]), float(row["value"])) for row in csv.DictReader(file.open(encoding="utf-8"))
        ]
    except (KeyError, ValueError) as error:
        raise WireError(file.name, expected="rows of a timestamp and a value", got=repr(error)) from error
    scale, lowest = _scale([value for _, value in rows[: int(len(rows) * LEARNED)]])
    windows = tuple(
        Window(at, max(0.0, value - lowest) * scale, any(begin <= at <= end for begin, end in spans))
        for at, value in rows
    )
    return Recording(file.name, windows, tuple((begin, end) for begin, end in spans))


def _scale(learned: Sequence[float]) -> tuple[float, float]:
    """By what values are multiplied, and what is taken off before, so that their variance is their mean."""
    lowest = min(learned)
    mean, variance = statistics.fmean(learned) - lowest, statistics.pvariance(learned)
    return (mean / variance if mean and variance else 1.0), lowest


def _nab_time(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def read_connections(file: Path) -> list[Connection]:
    """The connections of a ``conn.log.labeled``, by time and each once; raises WireError where it is none."""
    columns: list[str] = []
    found: dict[tuple[object, ...], Connection] = {}
    for number, line in enumerate(file.read_text("utf-8", "replace").splitlines(), 1):
        fields = line.rstrip("\n").split("\t")
        if fields[0] == "#fields":
            columns = fields[1:]
        if line.startswith("#"):
            continue
        try:
            at, source, destination, port, protocol = (fields[columns.index(name)] for name in _COLUMNS)
            words = fields[-1].split()
            label = next(word for word in words if word.casefold() in ("benign", "malicious")).casefold()
            one = Connection(float(at), source, destination, int(port), protocol, label == "malicious")
        except (ValueError, IndexError, StopIteration) as error:
            raise WireError(
                f"{file.name} line {number}", expected="a labelled connection of Zeek", got=repr(error)
            ) from error
        found.setdefault((one.at, source, destination, port, protocol), one)
    return sorted(found.values(), key=lambda one: one.at)


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowList:
    """What a list of allowed destinations finds: shares and counts of the judged connections.

    Attributes:
        recall: Share of the malicious connections that go to a destination that is not on the list.
        false: Other connections that do, and ``false_declared`` those of them that are no name, time or address
            service, which every manifest declares.
    """

    recall: float
    malicious: int
    false: int
    false_declared: int
    others: int


# Name, time and address services: ports that a pool of servers stands behind.
DECLARED_PORTS: Final = frozenset({53, 67, 123})


def by_allow_list(connections: Sequence[Connection], *, with_port: bool) -> AllowList:
    """Judge connections by a list made of what was not malicious in the part that is learned from.

    ``with_port``: the list has ports and protocols as well as addresses.
    """
    begun = connections[0].at + LEARNED * (connections[-1].at - connections[0].at)
    allowed = {_place(one, with_port) for one in connections if one.at < begun and not one.is_malicious}
    later = [one for one in connections if one.at >= begun]
    bad, good = ([one for one in later if one.is_malicious is wanted] for wanted in (True, False))
    false = [one for one in good if _place(one, with_port) not in allowed]
    return AllowList(
        recall=sum(_place(one, with_port) not in allowed for one in bad) / max(1, len(bad)),
        malicious=len(bad),
        false=len(false),
        false_declared=sum(one.port not in DECLARED_PORTS for one in false),
        others=len(good),
    )


def _place(one: Connection, with_port: bool) -> tuple[object, ...]:  # noqa: FBT001 - as of its caller
    return (one.destination, one.port, one.protocol) if with_port else (one.destination,)


def windows_of(connections: Iterable[Connection], name: str) -> Recording:
    """Connections counted by windows of five minutes; a window is labelled in which one of them is malicious."""
    counts: dict[int, list[int]] = {}
    for one in connections:
        count = counts.setdefault(int(one.at // WINDOW_S), [0, 0])
        count[0] += 1
        count[1] += one.is_malicious
    first, last = min(counts), max(counts)
    windows = tuple(
        Window(float(number * WINDOW_S), float(counts.get(number, (0, 0))[0]), bool(counts.get(number, (0, 0))[1]))
        for number in range(first, last + 1)
    )
    spans: list[tuple[float, float]] = []
    for window in windows:
        if window.is_true and spans and window.at - spans[-1][1] <= INCIDENT_S:
            spans[-1] = (spans[-1][0], window.at)
        elif window.is_true:
            spans.append((window.at, window.at))
    return Recording(name, windows, tuple(spans))

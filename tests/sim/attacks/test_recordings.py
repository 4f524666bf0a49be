# SPDX-License-Identifier: Apache-2.0
"""Recordings of others: read as they are, judged by time alone, and with controls that show what a score is worth."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest

from armillary.errors import WireError
from armillary.sim.attacks import recordings
from armillary.sim.attacks.recordings import (
    Recording,
    Window,
    by_allow_list,
    judged,
    moved,
    read_connections,
    read_nab,
    windows_of,
)

HOUR = 3600


def series(seed: int, *, attack: float = 40.0, begin: int = 700) -> Recording:
    """A thousand windows of a few events, and an attack of ten windows."""
    random = Random(seed)  # noqa: S311 - reproducible, not secret
    span = (begin * 300.0, (begin + 10) * 300.0)
    windows = tuple(
        Window(at, random.randint(0, 3) + (attack if span[0] <= at <= span[1] else 0), span[0] <= at <= span[1])
        for at in (300.0 * number for number in range(1000))
    )
    return Recording(f"s{seed}", windows, (span,))


def test_what_is_there_is_found_and_what_is_not_there_is_not() -> None:
    found = judged([series(seed) for seed in range(5)])
    assert (found.series, found.anomalies, found.shipped) == (5, 5, (1.0, 0.0))
    assert found.precision > 10 * found.base_rate
    assert found.budgets == {0.001: 1.0, 0.01: 1.0, 0.1: 1.0, 1.0: 1.0}
    quiet = judged([series(seed, attack=0) for seed in range(5)])
    assert quiet.shipped == (0.0, 0.0)


def test_control_with_labels_that_were_moved_nothing_is_left() -> None:
    """Whatever a score rests on that is no knowledge of the attack would stay."""
    found = judged([moved(series(seed)) for seed in range(5)])
    assert found.shipped[0] == 0
    assert found.precision < 2 * found.base_rate + 0.01


def test_an_attack_in_the_part_that_is_learned_from_is_not_judged() -> None:
    assert judged([series(1, begin=100)]).anomalies == 0


def test_an_alarm_that_never_ends_has_found_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a detector that always cries would have found everything, for one false incident."""
    monkeypatch.setattr(recordings, "_scores", lambda one: [1.0] * len(one.judged))
    assert judged([series(seed) for seed in range(3)]).budgets == dict.fromkeys(recordings.BUDGETS, 0.0)


def test_series_of_nab_are_read_with_their_labels(tmp_path: Path) -> None:
    part = tmp_path / "data" / "realTweets"
    part.mkdir(parents=True)
    (tmp_path / "labels").mkdir()
    spans = {"realTweets/a.csv": [["2015-01-01 10:00:00.000000", "2015-01-01 11:00:00.000000"]]}
    (tmp_path / "labels" / "combined_windows.json").write_text(json.dumps(spans))
    rows = [f"2015-01-01 {hour:02}:00:00,{20 + hour % 3 * 10}" for hour in range(24)]
    (part / "a.csv").write_text("timestamp,value\n" + "\n".join(rows))
    (found,) = read_nab(tmp_path, "realTweets")
    assert [one.is_true for one in found.windows].count(True) == 2
    learned = [one.count for one in found.windows[:4]]
    assert min(learned) == 0, "the lowest is taken off"
    (part / "b.csv").write_text("timestamp,value\nyesterday,7\n")
    with pytest.raises(WireError, match=r"b\.csv"):
        read_nab(tmp_path, "realTweets")


HEAD = "#separator \\x09\n#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\ttunnel_parents   label   detailed-label\n"


def line(at: float, host: str, port: int, label: str) -> str:
    return f"{at}\tC1\t10.0.0.9\t4000\t{host}\t{port}\ttcp\t-   {label}\n"


def test_connections_are_read_once_each_and_labels_in_any_spelling(tmp_path: Path) -> None:
    """The spelling of a label is no knowledge: nothing but a truth value is kept of it."""
    file = tmp_path / "conn.log.labeled"
    good = [line(at, "192.0.2.1", 443, "Benign   -") for at in range(0, 10 * HOUR, HOUR)]
    bad = [line(8 * HOUR + at, "198.51.100.1", 6667, "malicious   C&C") for at in range(5)]
    file.write_text(HEAD + "".join([*good, *bad, *bad]) + line(9.5 * HOUR, "192.0.2.1", 6667, "Malicious   C&C"))
    connections = read_connections(file)
    assert (len(connections), sum(one.is_malicious for one in connections)) == (16, 6)
    assert [one.at for one in connections] == sorted(one.at for one in connections)
    by_address, by_port = (by_allow_list(connections, with_port=with_port) for with_port in (False, True))
    assert (by_address.recall, by_port.recall) == (5 / 6, 1.0)
    assert (by_address.false, by_port.false, by_port.others) == (0, 0, 8)
    counted = windows_of(connections, "x")
    assert sum(one.count for one in counted.windows) == 16
    assert counted.spans == ((8 * HOUR, 8 * HOUR), (9.5 * HOUR, 9.5 * HOUR))


def test_what_is_no_labelled_connection_is_an_error_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "conn.log.labeled"
    file.write_text(HEAD + line(1, "192.0.2.1", 443, "neither"))
    with pytest.raises(WireError, match="line 3"):
        read_connections(file)

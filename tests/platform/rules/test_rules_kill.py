# SPDX-License-Identifier: Apache-2.0
"""kill -9 at any moment: every acknowledged message was evaluated once, every firing is there once and told of."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.fixtures.effort import effort
from tests.fixtures.processes import killed_process
from tests.hub.running_hub import DEVICE, Authority, wait_until
from tests.hub.test_hub_kill import killed_amid

from armillary.engines.rules.alerts import AlertFilter
from armillary.engines.rules.store import RuleStore
from armillary.engines.series.retention import Retention
from armillary.engines.series.store import SeriesStore
from armillary.platform.rules.actions import MAX_ATTEMPTS_OF_TARGET

RUNNER = Path(__file__).with_name("rule_kill_runner.py")
ROOT = Path(__file__).resolve().parents[3]
EVENTS = f"devices/{DEVICE}/messages/events/"
WINDOW = 50
KILLS = effort(2, 4)


def every_tenth_fires(number: int) -> bytes:
    return b'{"n":%d,"fires":%s}' % (number, b"false" if number % 10 else b"true")


@pytest.mark.e2e
def test_no_firing_is_lost_or_doubled_over_kill_9(tmp_path: Path, authority: Authority) -> None:
    folder = tmp_path / "hub"
    chance = random.Random(11)  # noqa: S311 - moments to kill at, the same in every run
    acknowledged: list[int] = []
    first = 10
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    command = [
        sys.executable, str(RUNNER), str(folder), str(authority.folder / "server.pem"),
        str(authority.folder / "root.pem"),
    ]  # fmt: skip
    for _ in range(KILLS):
        more = chance.randint(300, 1500)
        # The pause: rules and their actions are to be under way, not only the log.
        killed_amid(
            command, authority, first, acknowledged, more, env=environment, payload=every_tenth_fires, pause_s=0.002
        )
        first = max(acknowledged) // 10 * 10 + 10_000
    with killed_process(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert int(process.readline())
        assert process.readline() == "caught up\n"  # the last life only does what the others left
        wait_until(lambda: _waiting(folder) == 0, "every action is done", 20)
        process.terminate()
        process.wait(30)
    store = SeriesStore(folder, retention=Retention(), listener=lambda *_: None)
    kept = [message.payload for message in store.messages(DEVICE, 10**6)]
    store.close(int(time.time() * 1000))
    fired = sum(b'"fires":true' in payload for payload in kept)
    rules = RuleStore(folder)
    alerts = rules.alerts.found(AlertFilter(), 10**6)
    rules.close()
    assert {payload.partition(b",")[0] for payload in kept} >= {b'{"n":%d' % number for number in acknowledged}
    assert fired > 50
    assert len(alerts) == fired, "each message that fires has its alert, once"
    assert len({alert.id for alert in alerts}) == len(alerts)
    told = (tmp_path / "told").read_text("utf-8").splitlines()
    assert len(told) >= fired, "each alert was told of, at least once"
    assert len(told) <= fired + KILLS * MAX_ATTEMPTS_OF_TARGET, "again only what was under way when it was killed"
    assert all(line.startswith("fires was true") for line in told)


def _waiting(folder: Path) -> int:
    store = RuleStore(folder)
    try:
        return store.deliveries.counts().get("waiting", 0)
    finally:
        store.close()

# SPDX-License-Identifier: Apache-2.0
"""A verifier that stops or falls behind raises the alarm; nobody is called silent for it, and stale devices stay seen."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from tests.fixtures.waiting import wait_until

from armillary.errors import DataFolderError
from armillary.service.endpoint import endpoint
from armillary.service.watch import heartbeat
from armillary.service.watch.detections import Observation
from armillary.sim.device.service_host import ServiceHost
from armillary.wire.device.finding import Finding

DAY_S = 86_400.0


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has the verifier's heartbeat judged after a second instead of minutes."""
    monkeypatch.setattr(endpoint, "SWEEP_S", 0.02)
    monkeypatch.setattr(heartbeat, "CHECK_EVERY_S", 0.02)
    monkeypatch.setattr(heartbeat, "STOPPED_AFTER_S", 1.0)
    monkeypatch.setattr(heartbeat, "BEHIND_AFTER_S", 1)


@pytest.fixture
def host(quick: None, host: ServiceHost) -> ServiceHost:
    return host


def alarms(host: ServiceHost) -> tuple[Finding, ...]:
    return tuple(host.service.watch.list(kind="verifier-behind").items)


def state(host: ServiceHost) -> object:
    return host.service.health()["verifier"]


def stand_still(host: ServiceHost) -> threading.Event:
    """Keep the event loop of the device endpoint busy until the event is set."""
    go_on = threading.Event()
    host._loop.call_soon_threadsafe(go_on.wait, 30)
    return go_on


def test_a_verifier_that_stands_still_raises_the_alarm_and_recovers(host: ServiceHost) -> None:
    with host.claimed(b"v" * 32) as device:
        assert device.check_in().verdict == "attested"
        assert host.service.health()["ok"]
        go_on = stand_still(host)
        try:
            wait_until(lambda: [one for one in alarms(host) if one.severity == "critical"], "the alarm")
            assert state(host) == {"ok": False, "state": "stopped"}
            assert not host.service.health()["ok"]
        finally:
            go_on.set()
        (alarm,) = [one for one in alarms(host) if one.severity == "critical"]
        assert alarm.count == 1
        wait_until(lambda: host.service.health()["ok"], "recovery")
        assert device.check_in().verdict == "attested"


def test_an_alarm_that_could_not_be_recorded_is_raised_again(host: ServiceHost) -> None:
    """The disk that stops the verifier is the one that findings are written to."""
    raised: list[Observation] = []
    is_full = [True]

    def observe(seen: Observation) -> None:
        if is_full[0]:
            raise DataFolderError("the disk is full", remedy="Make room.")
        raised.append(seen)

    beat = [heartbeat.Liveness(0.0, 0)]
    monitor = heartbeat.VerifierMonitor(host.service.context, lambda: beat[0], observe, monotonic=lambda: 60.0)
    for _ in range(2):
        with pytest.raises(DataFolderError):
            monitor.check()
    assert (monitor.state, raised) == ("stopped", [])
    is_full[0] = False
    monitor.check()
    monitor.check()
    assert [one.severity for one in raised] == ["critical"]  # once
    beat[0] = heartbeat.Liveness(60.0, 0)
    monitor.check()
    assert (monitor.state, len(raised)) == ("ok", 1)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_watch_that_broke_says_nothing_good(host: ServiceHost) -> None:
    def broken() -> heartbeat.Liveness:
        raise RuntimeError("a bug")

    monitor = heartbeat.VerifierMonitor(host.service.context, broken, lambda _: None)
    monitor.start()
    wait_until(lambda: monitor.state == "stopped", "the state of a watch that has ended")


def test_mutation_of_the_heartbeat(host: ServiceHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "judge", lambda *_: ("ok", 0))
    go_on = stand_still(host)
    time.sleep(2.0)  # twice as long as the alarm takes
    assert alarms(host) == ()
    assert host.service.health()["ok"]
    go_on.set()


def test_a_disk_that_does_not_keep_up_raises_the_alarm(host: ServiceHost) -> None:
    go_on = threading.Event()
    records = host.service.context.records
    with host.claimed(b"b" * 32) as device:
        body = device.request_body()
        blocking = threading.Thread(target=records.write, args=(lambda _: go_on.wait(30),))
        blocking.start()
        asking = threading.Thread(target=device.exchange, args=("POST", "/v1/check-in", body))
        asking.start()
        try:
            wait_until(lambda: state(host) == {"ok": False, "state": "behind"}, "the state behind")
        finally:
            go_on.set()
        for thread in (blocking, asking):
            thread.join()
        wait_until(lambda: alarms(host), "the alarm, once the disk takes it")
        assert alarms(host)[0].severity == "high"
        wait_until(lambda: host.service.health()["ok"], "recovery")


def test_a_process_that_was_killed_is_noticed_by_the_next_start_and_no_device_is_blamed(tmp_path: Path) -> None:
    offset = [0.0]

    def start() -> ServiceHost:
        return ServiceHost(tmp_path / "data", clock=lambda: time.time() + offset[0], planner_interval_s=3600.0)

    with start() as host:
        host.catalog()
        with host.claimed(b"k" * 32) as device:
            assert device.check_in().verdict == "attested"
    offset[0] = DAY_S
    with start() as host:  # ended in an orderly way, started again after a day: the devices had nobody to speak to
        host.service.watch.run_once()
        assert alarms(host) == ()
        assert host.service.watch.list(kind="device-silent").items == ()
        host.service.serving.monitor._note = lambda *_: None  # type: ignore[union-attr,method-assign] # kill -9 writes nothing
    offset[0] = 2 * DAY_S
    with start() as host:
        (alarm,) = alarms(host)
        assert (alarm.severity, "sign of life" in alarm.cause) == ("medium", True)
        host.service.watch.run_once()
        assert host.service.watch.list(kind="device-silent").items == ()
        offset[0] += host.service.context.silent_after_s + 1
        host.service.watch.run_once()
        (silent,) = host.service.watch.list(kind="device-silent").items
        assert silent.device_ids == (device.device_id,)


def test_the_heartbeat_is_judged_by_its_age_and_by_what_waits() -> None:
    assert heartbeat.judge(heartbeat.Liveness(100.0, 0), 101.0) == ("ok", 0)
    assert heartbeat.judge(heartbeat.Liveness(100.0, 4), 101.0) == ("ok", 0)
    assert heartbeat.judge(heartbeat.Liveness(100.0, 5), 101.0) == ("behind", 5)
    assert heartbeat.judge(heartbeat.Liveness(100.0, 9), 110.0) == ("stopped", 10)


def test_a_certificate_that_ends_without_a_successor_is_a_finding(host: ServiceHost, clock: dict[str, float]) -> None:
    watch, renew = host.service.watch, host.service.authority.renew
    watch.run_once()
    assert watch.list(kind="certificate-expiring").items == ()
    clock["offset"] = 70 * DAY_S  # the issuing authority has 20 days left, and was not renewed
    for _ in range(2):
        watch.run_once()
    (found,) = watch.list(kind="certificate-expiring").items
    assert (found.severity, found.count) == ("high", 1)
    assert "issuing" in found.title
    assert found.catalog_id is not None
    watch.close(found.finding_id, actor="t")
    renew()
    watch.run_once()
    assert [one.status for one in watch.list(kind="certificate-expiring").items] == ["closed"]
    clock["offset"] = 364 * DAY_S
    watch.run_once()
    assert "critical" in {one.severity for one in watch.list(kind="certificate-expiring", status="open").items}

# SPDX-License-Identifier: Apache-2.0
"""What time alone changes is done by the service's own loop, while nobody asks and nothing comes in."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.fixtures.clocks import Clock
from tests.fixtures.looks import nobody_wakes
from tests.fixtures.waiting import wait_until

from armillary.sim.device.service_host import ServiceHost

HERE = ("Contoso", "Kettle", "Production")
DAY_S = 86_400


def test_what_ends_with_time_ends_by_itself(tmp_path: Path, clock: Clock) -> None:
    """An urgency, an OS release, metadata of the repository: devices are offered what is so now, and can verify it."""
    with ServiceHost(tmp_path / "data", clock=clock, planner_interval_s=0.05) as host:
        host.catalog()
        service, offers = host.service, host.service.updates.offers
        first = service.releases.newest("mt3620").version
        newer = service.releases.publish("mt3620", "99.1", actor="t")
        service.releases.set_expiry(newer.release_id, int(clock()) + 600, actor="t")
        service.updates.schedules.urge(*HERE, reason="a hole", actor="t", lifetime_s=300)
        group = service.registry.groups.get(*HERE).group_id

        def offered() -> tuple[bool, str]:
            return offers.schedule(group).timing.urgent, offers.book.systems["Retail", "mt3620"].version

        assert offered() == (True, "99.1")
        service.repository.publish()
        timestamp = service.repository.files.read("timestamp.json")
        clock.now += 301
        wait_until(lambda: offered() == (False, "99.1"), "the urgency ends")
        clock.now += 300
        wait_until(lambda: offered() == (False, first), "the release is over")
        clock.now += DAY_S
        wait_until(lambda: service.repository.files.read("timestamp.json") != timestamp, "the timestamp is renewed")


def test_what_is_done_about_findings_comes_before_the_planner_and_keeps_it_from_nothing(
    host: ServiceHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    service, order = host.service, list[str]()
    nobody_wakes(service)
    loops = service._loops
    assert loops is not None
    for part, name in ((service.watch, "watch"), (service.response, "response"), (service.updates.planner, "planner")):
        monkeypatch.setattr(part, "run_once", lambda *_, name=name: order.append(name))
    monkeypatch.setattr(service.advisories, "look", lambda: order.append("advisories"))
    monkeypatch.setattr(loops, "_look_at_clocks", lambda: order.append("clocks"))
    monkeypatch.setattr(loops, "_notify", lambda: order.append("notify"))
    loops._look()
    assert order == [
        "watch", "notify", "response", "planner", "advisories", "response", "clocks", "notify",
    ]  # fmt: skip

    def fails() -> None:
        raise OSError("the disk")

    monkeypatch.setattr(service.response, "run_once", fails)
    order.clear()
    with pytest.raises(OSError, match="the disk"):
        loops._look()
    assert order == ["watch", "notify", "planner"]

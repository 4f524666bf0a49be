# SPDX-License-Identifier: Apache-2.0
"""OS feeds that operators make: what devices of their groups get, and that nothing is left that uses a deleted one."""

from __future__ import annotations

import pytest

from armillary.engines.records.schema.rows import OsRelease
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError
from armillary.service.registry import os_feeds
from armillary.sim.device.service_host import ServiceHost

CHIP = "mt3620"
HERE = ("Contoso", "Kettle", "Production")


def test_a_group_of_a_feed_is_offered_what_is_published_into_it(host: ServiceHost) -> None:
    registry, offers = host.service.registry, host.service.updates.offers

    def offered() -> str:
        found = offers.wanted_os(group.group_id, 1, CHIP)
        return "" if found is None else found.version

    registry.os_feeds.create("Canary", "RetailEval", actor="ann")
    line = host.service.audit.list().items[0]
    assert (line.operation, line.target, line.detail) == ("os-feed.create", "Canary", {"follows": "RetailEval"})
    group = registry.groups.update(*HERE, os_feed="Canary", actor="ann")
    assert group.os_feed == "Canary"
    host.service.releases.publish(CHIP, "27.1", feed="RetailEval", actor="ann")
    assert offered() == "27.1"
    draft = host.service.attestation.drafts.create(CHIP, "27.2", feed="Canary", actor="ann")
    host.service.attestation.drafts.publish(draft.release_id, actor="ann")
    assert offered() == "27.2"
    assert host.service.releases.newest(CHIP, "Canary").version == "27.2"
    assert host.service.releases.newest(CHIP, "RetailEval").version == "27.1"


def test_a_feed_in_use_is_not_deleted(host: ServiceHost, monkeypatch: pytest.MonkeyPatch) -> None:
    registry, feeds, rollouts = host.service.registry, host.service.registry.os_feeds, host.service.updates.rollouts
    monkeypatch.setattr(host.service.updates.planner, "run_once", lambda: 0)  # a roll-out without devices would end

    def withdraw(release: OsRelease) -> None:
        host.service.releases.withdraw(release.release_id, "It hangs.", actor="ann")

    feeds.create("Canary", "RetailEval", actor="ann")
    feeds.create("Lab", "Canary", actor="ann")
    release = host.service.releases.publish(CHIP, "27.1", feed="Canary", actor="ann")
    draft = host.service.attestation.drafts.create(CHIP, "27.2", feed="Canary", actor="ann")
    tried = host.service.releases.publish(CHIP, "27.3", feed="Lab", actor="ann")
    rollout = host.service.updates.os_rollouts.start(tried.release_id, feed="Canary", actor="ann")
    registry.groups.update(*HERE, os_feed="Canary", actor="ann")
    for says, undo in (
        ("device groups have", lambda: registry.groups.update(*HERE, os_feed="Retail", actor="ann")),
        ("2 releases are in", lambda: withdraw(release)),
        ("1 releases are in", lambda: withdraw(draft)),
        ("the feed Lab follows", lambda: (withdraw(tried), feeds.delete("Lab", actor="ann"))),
        ("a roll-out goes to the feed", lambda: rollouts.cancel(rollout.rollout_id, reason="", actor="ann")),
    ):
        with pytest.raises(ConflictError, match=says):
            feeds.delete("Canary", actor="ann")
        undo()
    feeds.delete("Canary", actor="ann")
    assert [each.name for each in feeds.list()] == ["Retail", "RetailEval"]
    for name in ("Canary", "Retail", "RetailEval"):
        with pytest.raises(NotFoundError):
            feeds.delete(name, actor="ann")
    with pytest.raises(InvalidArgumentError, match="Retail or RetailEval, got 'Canary'"):
        registry.groups.update(*HERE, os_feed="Canary", actor="ann")


def test_bad_names_and_more_than_there_may_be_are_refused(host: ServiceHost, monkeypatch: pytest.MonkeyPatch) -> None:
    feeds = host.service.registry.os_feeds
    for name in ("", "-x", "7th", "a b", "a/b", "x" * 17, "caf\u00e9"):
        with pytest.raises(InvalidArgumentError, match="1 to 16 letters"):
            feeds.create(name, "Retail", actor="ann")
    for name in ("retail", "RetailEval"):
        with pytest.raises(ConflictError, match="there is a feed"):
            feeds.create(name, "Retail", actor="ann")
    with pytest.raises(InvalidArgumentError, match="feed: expected Retail or RetailEval"):
        feeds.create("Canary", "Nowhere", actor="ann")
    monkeypatch.setattr(os_feeds, "MAX_FEEDS", 3)
    feeds.create("Canary", "Retail", actor="ann")
    with pytest.raises(ConflictError, match="there are 3 feeds"):
        feeds.create("Lab", "Retail", actor="ann")

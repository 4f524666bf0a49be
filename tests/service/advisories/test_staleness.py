# SPDX-License-Identifier: Apache-2.0
"""A feed that grows old, or that a wrong clock makes young, is said to be: by a finding, and in the service's status."""

from __future__ import annotations

import pytest
from tests.service.advisories.fleet import AdvisoryFleet, osv

from armillary.api.views.advisories import standing
from armillary.errors import ConflictError
from armillary.service.advisories.advisories import STALE_EVERY_S

DAY_S = 86_400


def said(fleet: AdvisoryFleet) -> list[str]:
    found = fleet.service.watch.list(kind="feed-stale").items
    return [each.title for each in found]


def later(fleet: AdvisoryFleet, seconds: int) -> None:
    fleet.clock.now += seconds
    fleet.advisories.look()


def test_a_stale_feed_is_one_finding_of_each_edition(fleet: AdvisoryFleet) -> None:
    fleet.feed(osv("PYSEC-1"))
    later(fleet, 7 * DAY_S)
    assert said(fleet) == []
    later(fleet, STALE_EVERY_S)
    later(fleet, STALE_EVERY_S)
    assert said(fleet) == ["The feed osv-pypi is 7 days old: what it does not name is unknown"]
    fleet.feed(osv("PYSEC-1"))
    later(fleet, STALE_EVERY_S)
    assert len(said(fleet)) == 1
    later(fleet, 8 * DAY_S)
    assert len(said(fleet)) == 2


def test_a_feed_of_the_future_is_stale_once_the_clock_was_set_back(fleet: AdvisoryFleet) -> None:
    """The service's clock was years ahead when the feed was imported: its age says nothing now."""
    fleet.clock.now += 3 * 365 * DAY_S
    fleet.feed(osv("PYSEC-1"))
    image = fleet.image("pkg:pypi/other@1")
    fleet.advisories.look()
    fleet.release_bill("pkg:pypi/none@1")
    fleet.clock.now -= 3 * 365 * DAY_S
    (feed,) = fleet.advisories.feeds()
    assert feed.is_stale(int(fleet.clock.now))
    (found,) = (one for one in fleet.advisories.answers.coverage("Contoso") if one["id"] == str(image))
    assert (found["state"], found["uncovered"]) == ("unknown", {"PyPI": "ahead"})
    assert "not-affected" not in fleet.show("PYSEC-1")["artifact_states"]
    fleet.feed(osv("PYSEC-1"))  # what came from the future holds up no present
    assert not fleet.advisories.feeds()[0].is_stale(int(fleet.clock.now))
    with pytest.raises(ConflictError, match="is held"):
        fleet.feed(osv("PYSEC-1"), age_s=1)


def test_the_status_says_what_feeds_are_worth(fleet: AdvisoryFleet) -> None:
    fleet.advisories.look()
    assert standing(fleet.service) == ("ok", "no feed was imported: what is vulnerable is unknown")
    fleet.feed(osv("PYSEC-1"))
    assert standing(fleet.service) == ("ok", "1 feeds, the oldest as of 0 h ago")
    fleet.clock.now += 8 * DAY_S
    state, detail = standing(fleet.service)
    assert (state, "unknown: osv-pypi" in detail) == ("degraded", True)

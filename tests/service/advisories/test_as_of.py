# SPDX-License-Identifier: Apache-2.0
"""Why was this device called so on that day: answered by what was in force, read, stated and run then."""

from __future__ import annotations

import pytest
from tests.service.advisories.fleet import HOUR_S, AdvisoryFleet, bill, osv

from armillary.errors import NotFoundError
from armillary.service.advisories.own_statements import Said, Subject
from armillary.service.advisories.running import KEEP_MOVES_S

BAD, GOOD = "pkg:pypi/django@3.2.10", "pkg:pypi/django@4.2.1"
NAME = "PYSEC-2026-1"
DAY_S = 24 * HOUR_S


@pytest.fixture
def judged(fleet: AdvisoryFleet) -> AdvisoryFleet:
    fleet.release_bill("pkg:pypi/flask@3.0.0")
    return fleet


def now(fleet: AdvisoryFleet) -> int:
    """The time, and then an hour passes."""
    at = int(fleet.clock.now)
    fleet.clock.now += HOUR_S
    fleet.advisories.look()
    return at


def of(fleet: AdvisoryFleet, device: str, at: int | None = None) -> str:
    return str(fleet.advisories.answers.device(NAME, device, at=at)["state"])


def test_a_device_is_answered_for_each_day_as_it_was_then(judged: AdvisoryFleet) -> None:
    """Feed, fault, statement, taken back, repaired, withdrawn: each day keeps its answer."""
    image, repaired = judged.image(BAD), judged.image(GOOD)
    device = judged.device(image)
    before = now(judged)
    judged.feed(osv("PYSEC-0", "requests"))
    without = now(judged)
    judged.feed(osv("PYSEC-0", "requests"), osv(NAME))
    named = now(judged)
    said = Said(status="not_affected", author="Anna", justification="component_not_present")
    statements = judged.advisories.statements
    made = statements.make(NAME, Subject(image=image), said, catalog="Contoso", actor="anna")
    stated = now(judged)
    statements.take_back(made.row.statement_id, catalog="Contoso", reason="it is there", actor="anna")
    again = now(judged)
    judged.runs(device, repaired)
    fixed = now(judged)
    judged.feed(osv("PYSEC-0", "requests"), osv(NAME, fixed="5.0"))
    wider = now(judged)
    judged.feed(osv("PYSEC-0", "requests"), osv(NAME, withdrawn="2026-11-20T00:00:00Z"))
    withdrawn = now(judged)
    days = {before: "unknown", without: "unknown", named: "affected", stated: "not-affected", again: "affected",
            fixed: "fixed", wider: "affected", withdrawn: "not-affected"}  # fmt: skip
    assert {at: of(judged, device, at) for at in days} == days
    assert of(judged, device) == "not-affected"
    for at, state in days.items():
        if at >= named:
            found = judged.advisories.answers.show(NAME, "Contoso", at=at)
            assert found["devices"] == {state: 1}, "the list of all says the same"
            assert found["as_of"] == at
    told = judged.advisories.answers.device(NAME, device, at=without)
    assert "it came with edition 2 of osv-pypi" in told["reasons"][0]
    with pytest.raises(NotFoundError, match="edition 2 of osv-pypi"):
        judged.advisories.answers.show(NAME, "Contoso", at=without)
    told = judged.advisories.answers.device(NAME, device, at=named)
    (feed,) = told["feeds"]
    assert (feed["edition"], feed["names_it"], feed["signer"]) == (2, True, judged.key.key_id)
    assert [part["state"] for part in told["software"]] == ["not-affected", "affected"]
    assert told["since"] <= named < told["until"]
    assert told["records"][0]["from_edition"] == 2


def test_what_came_later_was_not_known_then(judged: AdvisoryFleet) -> None:
    """A bill of materials that was uploaded after the day, and a feed that was stale on it, say nothing good of it."""
    judged.feed(osv(NAME))
    image = judged.image()
    device = judged.device(image)
    without_bill = now(judged)
    judged.service.updates.bills.put_of_image("Contoso", image, bill(GOOD), actor="anna")
    judged.advisories.look()  # it is read
    with_bill = now(judged)
    judged.clock.now += 8 * DAY_S
    stale = now(judged)
    judged.feed(osv(NAME))
    fresh = now(judged)
    assert [of(judged, device, at) for at in (without_bill, with_bill, stale, fresh)] == [
        "unknown", "fixed", "unknown", "fixed",
    ]  # fmt: skip
    assert judged.advisories.answers.show(NAME, "Contoso", at=stale)["basis"]["stale"] == ["osv-pypi"]


def test_a_device_says_nothing_of_before_it_was_there_or_had_this_owner(judged: AdvisoryFleet) -> None:
    judged.feed(osv(NAME))
    image = judged.image(BAD)
    early = now(judged)
    device = judged.device(image)
    there = now(judged)
    assert (of(judged, device, early), of(judged, device, there)) == ("unknown", "affected")
    answers = judged.advisories.answers
    told = answers.device(NAME, device, at=there, owned_since=there + 1)
    assert (told["state"], told["software"]) == ("unknown", [])
    assert "had another owner" in told["reasons"][0]


def test_a_device_that_is_not_attested_was_not_known_to_be_good(judged: AdvisoryFleet) -> None:
    judged.feed(osv(NAME))
    image = judged.image(GOOD)
    device = judged.device(image)
    good = now(judged)
    judged.runs(device, image, verdict="update-only")
    odd = now(judged)
    assert (of(judged, device, good), of(judged, device, odd)) == ("fixed", "unknown")
    assert "its word alone" in judged.advisories.answers.device(NAME, device, at=odd)["reasons"][0]


def test_an_image_that_is_gone_is_unknown(judged: AdvisoryFleet) -> None:
    judged.feed(osv(NAME))
    image = judged.image(GOOD)
    device = judged.device(image)
    at = now(judged)
    judged.service.updates.images.delete("Contoso", image, actor="anna")
    told = judged.advisories.answers.device(NAME, device, at=at)
    assert (told["state"], told["software"][1]["reason"]) == ("unknown", "this image was not known here")


def test_times_that_cannot_be_answered_are_refused(judged: AdvisoryFleet) -> None:
    judged.feed(osv(NAME))
    device = judged.device(judged.image(BAD))
    for at in (int(judged.clock.now) + 1, int(judged.clock.now) - KEEP_MOVES_S - 1):
        with pytest.raises(NotFoundError, match="as of"):
            of(judged, device, at)
    with pytest.raises(NotFoundError):
        of(judged, "0" * 128)

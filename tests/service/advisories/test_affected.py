# SPDX-License-Identifier: Apache-2.0
"""Which devices run what an advisory affects, by attested check-ins; nothing is called good that nobody knows."""

from __future__ import annotations

import json

import pytest
from tests.service.advisories.fleet import HOUR_S, AdvisoryFleet, bill, osv

from armillary.engines.records.advisories.software import SPAN_S
from armillary.errors import InvalidArgumentError, NotFoundError
from armillary.service.advisories.own_statements import Said, Subject

BAD, GOOD = "pkg:pypi/django@3.2.10", "pkg:pypi/django@4.2.1"
NAME = "PYSEC-2026-1"


@pytest.fixture
def judged(fleet: AdvisoryFleet) -> AdvisoryFleet:
    """Releases are assessed, so that a device's state is that of its applications."""
    fleet.release_bill("pkg:pypi/flask@3.0.0")
    return fleet


def test_devices_that_run_an_affected_package_are_named(judged: AdvisoryFleet) -> None:
    bad, good = judged.image(BAD), judged.image(GOOD)
    affected = judged.device(bad)
    judged.device(good)
    judged.feed(osv(NAME, aliases=["CVE-2026-1"]))
    assert judged.affected(NAME) == [affected]
    assert judged.affected("CVE-2026-1") == [affected]
    found = judged.show(NAME)
    assert found["devices"] == {"affected": 1, "fixed": 1}
    assert [(each["id"], each["components"]) for each in found["artifacts"] if each["state"] == "affected"] == [
        (str(bad), [BAD])
    ]
    assert found["severity"] == "critical"
    assert found["records"][0]["fixed"] == {"django": ["3.2.13"]}


def test_images_are_named_with_their_version(judged: AdvisoryFleet) -> None:
    document = json.loads(bill(BAD)) | {"metadata": {"component": {"version": "2.1"}}}
    image, other = judged.image(document=json.dumps(document).encode()), judged.image(BAD)
    judged.feed(osv(NAME))
    for artifacts in (judged.show(NAME)["artifacts"], judged.advisories.answers.coverage("Contoso")):
        names = {each["id"]: each["name"] for each in artifacts}
        assert names[str(image)] == f"{names[str(other)]} 2.1"


def test_an_image_that_comes_after_the_feed_is_judged_by_it(judged: AdvisoryFleet) -> None:
    judged.feed(osv(NAME))
    device = judged.device(judged.image(BAD))
    assert judged.affected(NAME) == [device]


def test_what_an_advisory_is_not_about_is_not_affected(judged: AdvisoryFleet) -> None:
    judged.feed(osv(NAME))
    judged.device(judged.image("pkg:pypi/requests@2.0"))
    assert judged.states(NAME) == {"not-affected": 1}


def test_a_version_that_no_range_can_place_is_unknown_and_what_an_operator_states_is_said(judged) -> None:
    odd, fine = judged.image("pkg:pypi/django@odd-version"), judged.image("pkg:pypi/requests@2.0")
    judged.feed(osv(NAME))
    states = {each["id"]: (each["state"], each["open"]) for each in judged.advisories.answers.coverage("Contoso")}
    assert (states[str(odd)], states[str(fine)]) == (("unknown", 1), ("none-known", 0))
    said = Said(status="affected", author="Anna")
    judged.advisories.statements.make(NAME, Subject(image=fine), said, catalog="Contoso", actor="anna")
    states = {each["id"]: each["state"] for each in judged.advisories.answers.coverage("Contoso")}
    assert (states[str(odd)], states[str(fine)]) == ("unknown", "affected")


def test_without_a_bill_of_materials_nothing_is_known(judged: AdvisoryFleet) -> None:
    judged.feed(osv(NAME))
    judged.device(judged.image())
    found = judged.show(NAME)
    assert found["devices"] == {"unknown": 1}
    assert "missing" in next(each["reason"] for each in found["artifacts"] if each["kind"] == "image")


def test_a_component_that_cannot_be_judged_makes_the_state_unknown(judged: AdvisoryFleet) -> None:
    odd = {"type": "library", "name": "of-our-own", "version": "1"}
    judged.feed(osv(NAME))
    judged.device(judged.image(document=bill("pkg:pypi/requests@2.0", extra=[odd])))
    assert judged.states(NAME) == {"unknown": 1}
    image = next(each for each in judged.advisories.answers.coverage("Contoso") if each["kind"] == "image")
    assert (image["state"], image["not_assessed"]) == ("not-assessed", 1)
    assert image["not_assessed_components"] == [
        {"name": "of-our-own", "version": "1", "reason": "it has no package URL"}
    ]


def test_a_version_without_a_place_in_its_order_is_unknown_to_ranges(judged: AdvisoryFleet) -> None:
    judged.feed(osv(NAME))
    judged.device(judged.image("pkg:pypi/django@some-odd_word!"))
    assert judged.states(NAME) == {"unknown": 1}


def test_a_stale_feed_still_names_what_is_affected_and_calls_nothing_else_good(judged: AdvisoryFleet) -> None:
    bad = judged.device(judged.image(BAD))
    judged.device(judged.image("pkg:pypi/requests@2.0"))
    judged.feed(osv(NAME))
    assert judged.states(NAME) == {"affected": 1, "not-affected": 1}
    judged.clock.now += 8 * 86_400
    found = judged.show(NAME)
    assert found["devices"] == {"affected": 1, "unknown": 1}
    assert found["stale"]
    assert judged.affected(NAME) == [bad]
    states = {each["state"] for each in judged.advisories.answers.coverage("Contoso")}
    assert states == {"affected", "unknown"}


def test_how_old_a_feed_may_be_is_said_by_an_administrator(judged: AdvisoryFleet) -> None:
    judged.device(judged.image("pkg:pypi/requests@2.0"))
    judged.feed(osv(NAME))
    judged.advisories.set_max_age("osv-pypi", HOUR_S, actor="anna")
    judged.clock.now += 2 * HOUR_S
    assert judged.states(NAME) == {"unknown": 1}
    with pytest.raises(NotFoundError, match="no feed"):
        judged.advisories.set_max_age("other", HOUR_S, actor="anna")


def test_without_a_feed_nothing_is_said_at_all(fleet: AdvisoryFleet) -> None:
    fleet.device(fleet.image(GOOD))
    with pytest.raises(NotFoundError, match="no feed has an advisory"):
        fleet.show(NAME)
    assert {each["state"] for each in fleet.advisories.answers.coverage("Contoso")} == {"unknown"}


def test_an_operating_system_is_affected_by_its_release(fleet: AdvisoryFleet) -> None:
    fleet.release_bill(BAD)
    device = fleet.device()
    fleet.feed(osv(NAME))
    assert fleet.affected(NAME) == [device]
    bad = [each for each in fleet.show(NAME)["artifacts"] if each["state"] == "affected"]
    assert {each["kind"] for each in bad} == {"release"}


def test_a_withdrawn_advisory_affects_nothing(judged: AdvisoryFleet) -> None:
    judged.device(judged.image(BAD))
    judged.feed(osv(NAME))
    assert len(judged.affected(NAME)) == 1
    judged.clock.now += HOUR_S
    judged.feed(osv(NAME, withdrawn="2026-11-20T00:00:00Z"))
    assert judged.affected(NAME) == []


def test_a_record_that_the_feed_no_longer_has_affects_nothing_and_is_kept(judged: AdvisoryFleet) -> None:
    judged.device(judged.image(BAD))
    judged.feed(osv(NAME), osv("PYSEC-2026-2", "flask"))
    judged.clock.now += HOUR_S
    judged.feed(osv("PYSEC-2026-2", "flask"))
    with pytest.raises(NotFoundError):
        judged.show(NAME)
    assert [each.edition for each in judged.advisories.editions("osv-pypi")] == [2, 1]


def test_devices_are_listed_page_by_page_each_once(judged: AdvisoryFleet) -> None:
    one, two = judged.image(BAD), judged.image(BAD, "pkg:pypi/requests@2.0")
    devices = [judged.device(image, group=group) for image in (one, two) for group in ("Production", "Field Test")]
    judged.feed(osv(NAME))
    for limit in (1, 2, 3, 100):
        assert judged.affected(NAME, limit=limit) == sorted(devices)
    with pytest.raises(InvalidArgumentError, match="cursor"):
        judged.advisories.answers.devices(NAME, "Contoso", after="1.x.2")
    with pytest.raises(InvalidArgumentError, match="state"):
        judged.advisories.answers.devices(NAME, "Contoso", state="clean")


def test_a_catalog_sees_its_own_devices_and_images(judged: AdvisoryFleet) -> None:
    mine, theirs = judged.image(BAD), judged.image(BAD, catalog="Fabrikam")
    own = judged.device(mine)
    other = judged.device(theirs, catalog="Fabrikam")
    judged.feed(osv(NAME))
    assert judged.affected(NAME) == [own]
    assert judged.affected(NAME, "Fabrikam") == [other]
    assert judged.affected(NAME, None) == sorted([own, other])
    assert str(theirs) not in str(judged.show(NAME))
    assert judged.show(NAME, None)["catalogs"] == {"Contoso": 1, "Fabrikam": 1}


def test_a_device_that_changes_hands_is_counted_with_its_owner(judged: AdvisoryFleet) -> None:
    device = judged.device(judged.image(BAD))
    judged.feed(osv(NAME))
    groups = judged.service.registry.devices
    groups.move("Contoso", device, product="Kettle", group="Field Test", actor="anna")
    judged.advisories.look()
    page = judged.advisories.answers.devices(NAME, "Contoso")
    assert [each["group"] for each in page["items"]] == ["Field Test"]


def test_countries_of_groups_are_summed_and_member_states_told_apart(judged: AdvisoryFleet) -> None:
    bad = judged.image(BAD)
    for group, country in (("Production", "DE"), ("Field Test", "CH")):
        judged.service.registry.groups.update("Contoso", "Kettle", group, actor="anna", country=country)
        judged.device(bad, group=group)
    judged.device(bad, group="Development")
    judged.feed(osv(NAME))
    found = judged.show(NAME)
    assert found["countries"] == {"": 1, "CH": 1, "DE": 1}
    assert found["member_states"] == {"DE": 1}
    with pytest.raises(InvalidArgumentError, match="country"):
        judged.service.registry.groups.update("Contoso", "Kettle", "Production", actor="anna", country="Germany")


def test_the_curve_says_when_devices_were_repaired(judged: AdvisoryFleet) -> None:
    bad, good = judged.image(BAD), judged.image(GOOD)
    devices = [judged.device(bad) for _ in range(3)]
    judged.feed(osv(NAME))
    for device in devices[:2]:
        judged.clock.now += HOUR_S
        judged.runs(device, good)
    found = judged.show(NAME)
    assert [(each["affected"], each["patched"]) for each in found["curve"]] == [(3, 0), (2, 1), (1, 2)]
    assert [each["at"] - found["known_since"] for each in found["curve"]] == [0, HOUR_S + 15, 2 * HOUR_S]
    assert found["patched_percent"] == 66.67
    assert found["curve"][0]["at"] == found["known_since"]


@pytest.mark.parametrize("second", range(SPAN_S))
def test_what_is_repaired_seconds_after_an_advisory_came_is_in_the_curve(judged: AdvisoryFleet, second: int) -> None:
    """Moves are summed over spans of seconds; one begins before the advisory does and ends after it."""
    bad, good = judged.image(BAD), judged.image(GOOD)
    judged.clock.now += second
    devices = [judged.device(bad) for _ in range(3)]
    judged.feed(osv(NAME))
    judged.clock.now += 4
    judged.runs(devices[0], good)
    found = judged.show(NAME)
    first, last = found["curve"][0], found["curve"][-1]
    assert (first["at"], first["affected"], first["patched"]) == (found["known_since"], 3, 0)
    assert (last["affected"], last["patched"], last["left"], last["came"]) == (2, 1, 0, 0)
    assert found["patched_percent"] == 33.33


def test_a_device_that_moves_to_what_nobody_knows_is_not_repaired(judged: AdvisoryFleet) -> None:
    device = judged.device(judged.image(BAD))
    judged.feed(osv(NAME))
    judged.clock.now += HOUR_S
    judged.runs(device, judged.image())
    last = judged.show(NAME)["curve"][-1]
    assert (last["affected"], last["patched"], last["left"]) == (0, 0, 1)


def test_a_device_whose_boot_is_not_attested_says_nothing_good(judged: AdvisoryFleet) -> None:
    judged.feed(osv(NAME))
    good = judged.image(GOOD)
    device = judged.device(good)
    assert judged.states(NAME) == {"fixed": 1}
    judged.runs(device, good, verdict="update-only")
    assert judged.states(NAME) == {"unknown": 1}


def test_the_list_is_by_urgency(judged: AdvisoryFleet) -> None:
    judged.device(judged.image(BAD, "pkg:pypi/flask@1.0", "pkg:pypi/requests@1.0"))
    low = "CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N"
    judged.feed(
        osv("A-LOW", score=low),
        osv("B-CRITICAL", "flask", fixed="2.0"),
        osv("C-EXPLOITED", "requests", fixed="2.0", score=low, aliases=["CVE-2026-7777"]),
    )
    judged.exploited("CVE-2026-7777", "CVE-2026-7878")
    rows, cursor = judged.advisories.answers.page("Contoso")
    assert [each["advisory_id"] for each in rows] == ["C-EXPLOITED", "B-CRITICAL", "A-LOW"]
    assert cursor is None
    assert rows[0]["exploited_since"] == 1_795_132_800
    assert rows[0]["exploitation_known"]
    first, cursor = judged.advisories.answers.page("Contoso", limit=2)
    second, end = judged.advisories.answers.page("Contoso", limit=2, after=cursor)
    assert [*first, *second] == rows
    assert end is None
    assert judged.advisories.answers.page("Fabrikam")[0] == []

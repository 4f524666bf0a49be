# SPDX-License-Identifier: Apache-2.0
"""The view models: what each page says, and that it never says more than is known."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from tests.console.rehearsed_data import HELD_APPLICATIONS, device_id, transfer, uid
from tests.console.rehearsed_fleet import RehearsedFleet

from armillary.capability import holdings
from armillary.console.device import pages_device, pages_device_life, pages_device_sections, pages_fleet, pages_hub
from armillary.console.frame import states
from armillary.console.frame.states import ATTENTION, BAD, GOOD, UNKNOWN
from armillary.console.operations import pages_audit
from armillary.console.security import pages_findings


@pytest.fixture(scope="module")
def fleet() -> RehearsedFleet:
    return RehearsedFleet()


def judged(fleet: RehearsedFleet, number: int) -> pages_device.Verdict:
    device = fleet.device(device_id(number))
    check_ins = fleet.records(device_id(number), limit=1)["check_ins"]
    return pages_device.verdict(device, check_ins[0] if check_ins else None, fleet.now)


def test_an_attested_device_says_when_on_what_root_of_trust_and_what_it_runs(fleet: RehearsedFleet):
    verdict = judged(fleet, 0)
    assert verdict.sentence == "Attested 60 s ago, software root of trust, running OS 24.06 and 3 applications."
    assert "whoever reads that file" in verdict.detail
    assert [ring.kind for ring in verdict.rings] == [GOOD, GOOD, GOOD]


def test_a_device_that_booted_something_else_names_the_failed_step(fleet: RehearsedFleet):
    verdict = judged(fleet, 8)
    assert "step 13 failed (known components)" in verdict.sentence
    assert "its digest belongs to no release" in verdict.detail
    assert verdict.kind == BAD
    assert GOOD not in {ring.kind for ring in verdict.rings}


def test_a_silent_device_says_its_age_and_claims_nothing(fleet: RehearsedFleet):
    verdict = judged(fleet, 3)
    assert verdict.sentence == "Silent for 3 d: what it runs now is not known."
    assert [ring.kind for ring in verdict.rings][:2] == [UNKNOWN, UNKNOWN]
    assert verdict.rings[2].word == "ended 2 d ago"


def test_a_device_that_never_came_has_only_unknown_rings(fleet: RehearsedFleet):
    verdict = judged(fleet, 13)
    assert verdict.sentence.startswith("Never checked in")
    assert {ring.kind for ring in verdict.rings} == {UNKNOWN}


def test_a_simulated_device_is_not_said_to_be_unknown(fleet: RehearsedFleet):
    device = {**fleet.device(device_id(13)), "trust_tier": "simulated", "health": "simulated"}
    said = pages_device.verdict(device, None, fleet.now)
    assert said.sentence == "Simulated: it sends values and attests nothing."
    assert said.kind == UNKNOWN
    for connected, word in ((True, "simulated, connected"), (False, "simulated, not connected")):
        line = pages_fleet.device_line({**device, "connected": connected}, fleet.now)
        assert (line.health.kind, line.health.word, line.applications) == (UNKNOWN, word, "none")


def test_a_bridged_device_is_said_to_attest_nothing(fleet: RehearsedFleet):
    device = of(fleet, health="unattested", trust_tier="unattested", last_check_in_at=fleet.now - 60)
    said = pages_device.verdict(device, None, fleet.now)
    assert said.sentence.startswith("Heard from 60 s ago, not attested: it says that it installed ")
    assert said.detail.startswith("It attests nothing")
    assert said.kind == UNKNOWN
    lines = pages_device.applications(device, fleet.images, fleet.now)
    assert {(line.state.kind, line.state.word) for line in lines} == {(UNKNOWN, "installed, by its own word")}
    row = pages_fleet.device_line(device, fleet.now)
    assert (row.health.kind, row.tier, row.applications) == (UNKNOWN, "unattested", "3 installed")
    nothing = pages_device.verdict({**device, "installed": []}, None, fleet.now)
    assert "nothing was installed over the bridge yet" in nothing.sentence
    assert "nothing to appraise" in pages_device.without_steps(device)[1], "it waits for no check-in that proves it"
    assert "When the device checks in" in pages_device.without_steps(of(fleet, health="never"))[1]


def test_refused_and_revoked_devices_say_why(fleet: RehearsedFleet):
    assert judged(fleet, 5).sentence == "Refused 5 min ago: device.challenge."
    revoked = judged(fleet, 21)
    assert revoked.sentence == "Revoked 2 h ago: stolen from the depot."
    assert GOOD not in {ring.kind for ring in revoked.rings}


@pytest.mark.parametrize(
    "health",
    ["attested", "update-only", "unattested", "silent", "refused", "never", "held", "revoked", "a word of tomorrow"],
)
def test_good_is_drawn_only_for_an_attested_device(fleet: RehearsedFleet, health: str):
    device = copy.deepcopy(fleet.device(device_id(0)))
    device["health"] = health
    device["held_at"] = fleet.now - 60 if health == "held" else None
    last = fleet.records(device_id(0), limit=1)["check_ins"][0]
    verdict = pages_device.verdict(device, last, fleet.now)
    assert (verdict.kind == GOOD) == (health == "attested")
    assert (verdict.rings[0].kind == GOOD) == (health == "attested")
    assert (verdict.rings[1].kind == GOOD) == (health == "attested")


def of(fleet: RehearsedFleet, number: int = 0, **change: Any) -> dict[str, Any]:
    return {**copy.deepcopy(fleet.device(device_id(number))), **change}


@pytest.mark.parametrize("health", ["attested", "update-only", "silent", "refused", "held"])
def test_a_held_device_says_so_first_and_nothing_of_it_is_good(fleet: RehearsedFleet, health: str):
    device = of(fleet, health=health, held_at=fleet.now - 7200)
    last = fleet.records(device_id(0), limit=1)["check_ins"][0]
    verdict = pages_device.verdict(device, last, fleet.now)
    assert verdict.sentence == "Held for 2 h: a copy was found, two machines had its identity."
    assert "before an operator releases the device" in verdict.detail
    assert ("Last heard" in verdict.detail) == (health in ("silent", "held"))
    assert verdict.kind == BAD
    assert [(ring.kind, ring.word) for ring in verdict.rings] == [
        (UNKNOWN, "not known"),
        (BAD, "held"),
        (BAD, "on hold"),
    ]
    assert {line.state.kind for line in pages_device.applications(device, fleet.images, fleet.now)} == {UNKNOWN}
    line = pages_fleet.device_line(device, fleet.now)
    assert (line.health.kind, line.health.word, line.note) == (BAD, "held", "a copy was found")


def test_a_held_device_is_released_by_roles_that_may(fleet: RehearsedFleet):
    device = of(fleet, held_at=fleet.now)
    may = dict.fromkeys(pages_device_life.VERBS, True) | {"revoke": False, "restore": False}
    first, second, third, fourth, fifth = pages_device_life.actions(device, may, "Contributor", fleet.now)
    assert (first.label, first.danger, first.refused, second.label) == ("Release", True, "", "Revoke")
    assert second.refused == "your role, Contributor, may not revoke devices"
    assert [each.label for each in (third, fourth, fifth) if not each.refused] == [
        "Give to another catalog",
        "Quarantine",
        "Decommission",
    ]
    nobody = pages_device_life.actions(device, dict.fromkeys(may, False), "Reader", fleet.now)
    assert nobody[4].refused == "your role, Reader, may not decommission devices"
    assert nobody[0].refused == "your role, Reader, may not release devices"
    said = dict(pages_device_life.confirmation(device, "release").touches)
    assert set(said) == {"Touches", "Does", "Leaves alone", "Undo"}
    assert "becomes the device" in said["Does"]
    calm = pages_device_life.actions(of(fleet), dict.fromkeys(may, True), "Administrator", fleet.now)
    assert [action.label for action in calm] == ["Revoke", "Give to another catalog", "Quarantine", "Decommission"]
    apart = of(fleet, health="quarantined", quarantined_at=fleet.now, quarantined_until=None, quarantine_reason="x")
    labels = [
        each.label for each in pages_device_life.actions(apart, dict.fromkeys(may, True), "Administrator", fleet.now)
    ]
    assert labels == ["Release", "Revoke", "Give to another catalog", "Decommission"]
    assert pages_device_life.confirmation(apart, "release").title.endswith("from quarantine?")
    assert pages_device_life.confirmation(of(fleet), "quarantine").reason


def test_a_device_is_offered_once_by_its_owner_and_to_a_catalog_that_there_is(fleet: RehearsedFleet):
    may = dict.fromkeys(pages_device_life.VERBS, True)
    offered = of(fleet, transfer=transfer(fleet.now, 0))
    assert pages_device_life.actions(offered, may, "Contributor", fleet.now)[1].refused == "it is offered already"
    ended = of(fleet, transfer={**transfer(fleet.now, 0), "state": "expired"})
    assert pages_device_life.actions(ended, may, "Contributor", fleet.now)[1].refused == ""
    free = of(fleet, catalog=None)
    assert [action.label for action in pages_device_life.actions(free, may, "Contributor", fleet.now)] == [
        "Revoke",
        "Decommission",
    ]
    asked = pages_device_life.confirmation(of(fleet), "offer", (("id", "contoso"),))
    assert (asked.choice, asked.choices, asked.danger) == ("To", (("id", "contoso"),), False)
    assert "no other catalog" in pages_device_life.confirmation(of(fleet), "offer", ()).choice
    gone = pages_device_life.confirmation(of(fleet), "decommission")
    assert (gone.danger, gone.reason) == (True, True)
    assert "allow-reprovision" in dict(gone.touches)["Undo"]


def test_a_device_out_of_service_says_since_when_why_and_how_it_comes_back(fleet: RehearsedFleet):
    gone = of(
        fleet,
        health="revoked",
        revoked_at=fleet.now - 7200,
        revoked_reason="scrapped",
        decommissioned_at=fleet.now - 7200,
    )
    verdict = pages_device.verdict(gone, None, fleet.now)
    assert verdict.sentence == "Out of service: decommissioned 2 h ago, scrapped."
    assert "armillary device allow-reprovision" in verdict.detail
    assert GOOD not in {ring.kind for ring in verdict.rings}
    back = pages_device.verdict({**gone, "reprovision_until": fleet.now + 600}, None, fleet.now)
    assert "with its old key for another 10 min" in back.detail
    over = pages_device.verdict({**gone, "reprovision_until": fleet.now}, None, fleet.now)
    assert over.detail == verdict.detail
    (action,) = pages_device_life.actions(gone, {"restore": True, "decommission": True}, "Administrator", fleet.now)
    assert (action.label, bool(action.refused)) == ("Restore", True)
    assert pages_fleet.device_line(gone, fleet.now).note == "out of service: scrapped"


def test_a_device_says_the_offer_it_stands_under_and_where_it_came_from(fleet: RehearsedFleet):
    offered = pages_device_life.offer(of(fleet, transfer=transfer(fleet.now, 0)), fleet.now)
    assert offered is not None
    assert offered.sentence == (
        "Offered to contoso 2 h ago by maren; it can be accepted for another 6 d. Nothing moves before contoso accepts."
    )
    came = of(fleet, transfer=transfer(fleet.now, 0, "accepted", of="contoso", to="northwind"))
    assert pages_device_life.offer(came, fleet.now) is None
    fact = pages_device.facts(came, fleet.now, connected=True)[-1]
    assert (fact.name, fact.note) == ("Changed hands", "from contoso, accepted by jo")
    assert pages_device_life.offer(of(fleet), fleet.now) is None
    assert "Changed hands" not in {fact.name for fact in pages_device.facts(of(fleet), fleet.now, connected=True)}


def test_when_a_device_was_attested_last_and_how_far_its_making_is(fleet: RehearsedFleet):
    facts = {fact.name: fact for fact in pages_device.facts(fleet.device(device_id(8)), fleet.now, connected=None)}
    attested, seen = facts["Last attested"].at, facts["Last check-in"].at
    assert attested is not None
    assert seen is not None
    assert attested.at < seen.at
    assert facts["Manufacturing state"].note == "finished: only a capability file opens development"
    odd = pages_device.facts(of(fleet, manufacturing_state="Later"), fleet.now, connected=None)
    assert "not known to this console" in {fact.note for fact in odd}


def test_an_ended_certificate_is_never_good(fleet: RehearsedFleet):
    device = copy.deepcopy(fleet.device(device_id(0)))
    device["certificate_not_after"] = fleet.now
    last = fleet.records(device_id(0), limit=1)["check_ins"][0]
    assert pages_device.rings(device, last, fleet.now)[2].kind != GOOD


def test_applications_of_a_device_that_is_not_heard_of_are_unknown(fleet: RehearsedFleet):
    silent = pages_device.applications(fleet.device(device_id(3)), fleet.images, fleet.now)
    assert silent
    assert {line.state.kind for line in silent} == {UNKNOWN}
    assert silent[0].state.word == "was running"
    known = pages_device.applications(fleet.device(device_id(0)), fleet.images, fleet.now)
    versions = {image_id: {**image, "version": "2.0"} for image_id, image in fleet.images.items()}
    said = pages_device.applications(fleet.device(device_id(0)), versions, fleet.now)
    assert [each.name for each in said] == [f"{each.name} 2.0" for each in known]
    assert {line.state.kind for line in known} == {GOOD}


def test_an_image_the_catalog_does_not_know_says_so(fleet: RehearsedFleet):
    line = pages_device.applications(fleet.device(device_id(0)), {}, fleet.now)[0]
    assert (line.size, line.connections, line.built) == ("not known", "not known", None)


def test_containment_says_how_many_and_what_is_weaker(fleet: RehearsedFleet):
    device = fleet.device(device_id(0))
    assert pages_device.enforcement_sentence(device) == (
        "6 of 8 mechanisms enforced by linux, by its own self-test; weaker here: cgroup memory and cgroup cpu."
    )
    weak = [line for line in pages_device.mechanisms(device) if line.state.kind != GOOD]
    assert weak[0].weaker == "No delegated cgroup on this host; an application can use all memory."


def test_what_holds_each_application_is_a_row_for_each_thing_granted():
    shown = pages_device_sections.held(HELD_APPLICATIONS)
    texts = [[cell.text for cell in row if cell.state is None] for row in shown.rows]
    assert texts[0] == ["coffee-control", "connections to hosts", "hub.example.com", "network-broker", ""]
    assert texts[1][-1] == "No control groups."
    states = [(cell.state.kind, cell.state.word) for row in shown.rows for cell in row if cell.state is not None]
    assert states == [(GOOD, "holds"), (ATTENTION, "does not hold"), (UNKNOWN, "not known")]
    assert set(pages_device_sections.GRANTED) == set(holdings.GRANTED)


@pytest.mark.parametrize("said", ["", "Enforced", "enforced ", "enforced: mostly", "missing", "missing: why", "yes"])
def test_only_the_exact_word_enforced_is_good(said: str):
    line = pages_device.mechanisms({"enforcement": [["seccomp", said]]})[0]
    assert line.state.kind != GOOD


def test_components_are_shown_only_for_the_release_the_device_was_matched_to(fleet: RehearsedFleet):
    matched = pages_device.components(fleet.device(device_id(0)), fleet.releases())
    assert [line.name for line in matched][:2] == ["1st boot loader", "secure monitor"]
    assert pages_device.components(fleet.device(device_id(8)), fleet.releases()) == ()
    other_chip = [{**fleet.releases()[0], "chip": "imx8mp"}]
    assert pages_device.components(fleet.device(device_id(0)), other_chip) == ()


def test_history_is_one_list_newest_first(fleet: RehearsedFleet):
    records = fleet.records(device_id(5), limit=9)
    lines = pages_device.history(records["check_ins"], records["refusals"], records["outcomes"], fleet.now)
    times = [line.at.at for line in lines]
    assert times == sorted(times, reverse=True)
    assert {line.state.word for line in lines} == {"attested", "refused", "confirmed"}
    (update,) = [line.what for line in lines if line.state.word == "confirmed"]
    assert update == "update to coffee-control 1.3"
    unknown = {**records["outcomes"][0], "name": ""}
    (line,) = pages_device.history((), (), [unknown], fleet.now)
    assert line.what.startswith(f"update to {unknown['image_id'][:8]}"), "by its id"


@pytest.mark.parametrize(
    "table",
    [
        states.HEALTH,
        states.STEP,
        states.VERDICT,
        states.APPLICATION,
        states.ROLLOUT,
        states.ROLLOUT_DEVICE,
        states.SEVERITY,
        states.CERTIFICATE,
        states.OUTCOME,
        states.EVENT,
    ],
)
def test_a_word_that_is_in_no_table_is_unknown(table: Any):
    assert states.state_of(table, "a word of tomorrow") == states.State(UNKNOWN, "a word of tomorrow")
    assert states.state_of(table, None).kind == UNKNOWN
    assert {state.kind for state in table.values()} <= {GOOD, "attention", BAD, UNKNOWN, "progress"}


def page_of(fleet: RehearsedFleet, **query: str) -> pages_fleet.FleetPage:
    chosen = pages_fleet.chosen_filters(query)
    found = fleet.devices(pages_fleet.service_filter(chosen), after=query.get("after"), limit=pages_fleet.PAGE_SIZE)
    return pages_fleet.fleet_page(fleet.summary(), found, chosen, after=query.get("after"), now=fleet.now)


def test_the_fleet_says_its_parts_and_each_is_a_filter(fleet: RehearsedFleet):
    page = page_of(fleet)
    assert page.total == "64 devices"
    assert [part.text for part in page.parts] == [
        "58 attested",
        "1 held to updates only",
        "1 refused",
        "2 silent",
        "1 never checked in",
        "1 revoked",
    ]
    assert page.parts[3].href == "/fleet?health=silent"
    silent = page_of(fleet, health="silent")
    assert {line.health.word for line in silent.lines} == {"silent"}
    assert silent.parts[3].href == "/fleet"  # the same word again removes the filter


def test_simulated_devices_are_a_part_of_their_own(fleet: RehearsedFleet):
    summary = {"devices": 5, "health": {"attested": 1, "never": 1, "simulated": 3}}
    page = pages_fleet.fleet_page(summary, {"items": [], "next": None}, {}, after=None, now=fleet.now)
    assert [(part.text, part.kind, part.href) for part in page.parts] == [
        ("1 attested", GOOD, "/fleet?health=attested"),
        ("1 never checked in", UNKNOWN, "/fleet?health=never"),
        ("3 simulated", UNKNOWN, "/fleet?health=simulated"),
    ]


def test_a_long_list_has_a_next_page_that_keeps_the_filter(fleet: RehearsedFleet):
    first = page_of(fleet, health="attested")
    assert first.next_href is not None
    assert first.next_href.startswith("/fleet?health=attested&after=")
    second = page_of(fleet, health="attested", after=first.next_href.rpartition("=")[2])
    assert second.next_href is None
    assert {line.device.href for line in first.lines}.isdisjoint({line.device.href for line in second.lines})
    assert len(first.lines) + len(second.lines) == 58


@pytest.mark.parametrize(
    ("search", "wanted"), [("00F8", {"search": "00F8"}), (" Lobby ", {"search": "Lobby"}), ("", {})]
)
def test_a_search_is_of_names_and_ids(search: str, wanted: dict[str, str]):
    assert pages_fleet.service_filter(pages_fleet.chosen_filters({"q": search})) == wanted


def test_an_empty_fleet_and_an_empty_filter_are_told_apart(fleet: RehearsedFleet):
    assert page_of(RehearsedFleet(devices=0)).empty == "fleet"
    assert page_of(fleet, q="fffffffffff").empty == "filter"
    assert page_of(fleet).empty == ""


def test_a_device_that_never_came_does_not_claim_applications(fleet: RehearsedFleet):
    line = pages_fleet.device_line(fleet.device(device_id(13)), fleet.now)
    assert (line.applications, line.os_version, line.seen) == ("not known", "not known", None)


def test_findings_are_the_gravest_first_and_an_unknown_severity_is_not_overlooked(fleet: RehearsedFleet):
    strange = {**fleet.seen[0], "severity": "apocalyptic", "finding_id": uid("strange")}
    ordered = pages_findings.by_severity([*reversed(fleet.seen), strange])
    assert [item["severity"] for item in ordered] == ["apocalyptic", "critical", "high", "medium", "low"]


def test_a_reader_gets_no_buttons_on_findings(fleet: RehearsedFleet):
    assert pages_findings.finding_line(fleet.seen[0], {}, may_act=False, now=fleet.now).moves == ()
    assert [word for _, word in pages_findings.finding_line(fleet.seen[0], {}, may_act=True, now=fleet.now).moves] == [
        "Acknowledge",
        "Close",
    ]


def test_the_findings_sentence_counts_by_severity(fleet: RehearsedFleet):
    assert (
        pages_findings.findings_sentence(fleet.seen, "open", more=False)
        == "4 findings need you: 1 critical, 1 high, 1 medium and 1 low."
    )
    assert pages_findings.findings_sentence([], "open", more=False) == "Nothing needs you: no finding is open."


def test_a_broken_chain_is_bad_and_names_the_line():
    proof = pages_audit.proof({"lines": 4000, "head": "00" * 32, "broken_at": 1203})
    assert proof.kind == BAD
    assert "line 1,203" in proof.sentence
    assert (
        pages_audit.proof(
            {"lines": 4, "head": "00" * 32, "broken_at": None, "forked_at": None, "releases_forked_at": None}
        ).kind
        == GOOD
    )
    forked = pages_audit.proof({"lines": 4, "head": "00" * 32, "broken_at": None, "forked_at": 3})
    assert (forked.kind, "3 lines" in forked.sentence) == (BAD, True)


def test_old_values_show_their_age_as_stale(fleet: RehearsedFleet):
    values, called = fleet.last_values(device_id(0)), fleet.called(device_id(0))
    lines = {line.metric: line for line in pages_hub.value_lines(values, called, "cups", fleet.now)}
    assert lines["water_percent"].stale
    assert not lines["boiler_celsius"].stale
    assert lines["boiler_celsius"].text == "92.4 °C"
    assert lines["door_open"].text == "false"
    assert [metric for metric, line in lines.items() if line.chartable] == [
        "boiler_celsius",
        "cups",
        "pressure_bar",
        "water_percent",
    ]


def test_the_chart_shows_a_metric_that_has_numbers(fleet: RehearsedFleet):
    values = fleet.last_values(device_id(0))
    assert pages_hub.chosen_metric(values, "cups") == "cups"
    assert pages_hub.chosen_metric(values, "state") == "boiler_celsius"
    assert pages_hub.chosen_metric([], "cups") == ""


def test_a_desired_property_that_was_not_reported_is_not_in_step(fleet: RehearsedFleet):
    lines = {line.name: (line.agrees, line.kind) for line in pages_hub.twin_view(fleet.twin(device_id(0))).lines}
    assert lines == {
        "strength": ("in step", GOOD),
        "eco_mode": ("pending", "attention"),
        "descale_after_cups": ("not reported yet", UNKNOWN),
        "firmware": ("reported only", "none"),
    }


@pytest.mark.parametrize(
    "said", ["=1+1", " =cmd|'/c calc'!A1", "\n@SUM(A1)", "@SUM(A1)", "\t=1", "\tx", "+1+1", "-1-1"]
)
def test_the_export_holds_no_formula(fleet: RehearsedFleet, said: str):
    item = fleet.devices({}, after=None, limit=1)["items"][0] | {"os_version": said, "product": said, "group": said}
    _, row = pages_fleet.csv_lines([item])
    assert [cell for cell in row if cell.endswith(said)] == ["'" + said] * 3
    assert pages_fleet.csv_lines([item | {"os_version": "26.11"}])[1][5] == "26.11"

# SPDX-License-Identifier: Apache-2.0
"""The view models of the settings: tokens, what a catalog demands, offers and enrolment tokens."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
from tests.console.console_server import RunningConsole
from tests.console.plain_browser import signed_in
from tests.console.rehearsed_data import enrolment_token, transfer
from tests.console.rehearsed_fleet import RehearsedFleet

from armillary.console.frame.states import BAD, GOOD, UNKNOWN
from armillary.console.operations import change, pages_catalog, pages_settings, read
from armillary.errors import InvalidArgumentError


@pytest.fixture(scope="module")
def fleet() -> RehearsedFleet:
    return RehearsedFleet()


@pytest.mark.parametrize(("change", "kind"), [({}, GOOD), ({"revoked_at": 5}, BAD), ({"expires_at": 0}, UNKNOWN)])
def test_only_a_token_that_still_works_is_good(fleet: RehearsedFleet, change: dict[str, Any], kind: str):
    token = {**fleet.tokens()[0], **change}
    line = pages_settings.token_line(token, own_id="", may_act=True, now=fleet.now)
    assert line.state.kind == kind
    assert line.revocable == (kind == GOOD)


def test_what_a_catalog_demands_is_one_sentence(fleet: RehearsedFleet):
    said = pages_settings.policy_sentence(fleet.catalogs()[0]["attestation_policy"])
    assert said.startswith("Demands tier software or better, the chips mt3620, security version 4 of image type 4, ")
    assert said.endswith("and a release of at most 365 days (version 3 of its attestation policy).")
    nothing = {
        "version": 0, "minimum_tier": "simulated", "chips": [], "minimum_security_versions": {},
        "older_releases_until": None, "maximum_release_age_days": None, "firmware_log": False, "mechanisms": [],
    }  # fmt: skip
    assert pages_settings.policy_sentence(nothing) == "No requirements beyond a verified boot."
    one = pages_settings.policy_sentence({**nothing, "version": 1, "firmware_log": True})
    two = pages_settings.policy_sentence({**nothing, "version": 1, "mechanisms": ["landlock", "user"]})
    assert two == "Demands containment by landlock and user (version 1 of its attestation policy)."
    assert one == "Demands the log of the machine's firmware (version 1 of its attestation policy)."


def test_the_command_that_changes_a_policy_sets_what_holds_now(fleet: RehearsedFleet):
    policy = fleet.catalogs()[0]["attestation_policy"] | {"older_releases_until": 1_800_000_000, "firmware_log": True}
    command = pages_catalog.policy_command(policy)
    assert command == (
        "armillary attestation-policy set --catalog northwind --minimum-tier software --chip mt3620 "
        "--minimum-security-version 4=4 --older-releases-until 2027-01-15T08:00:00Z --maximum-release-age 365 "
        "--firmware-log --if-version 3"
    )
    assert "'a b'" in pages_catalog.policy_command({**policy, "catalog": "a b"})


@pytest.mark.parametrize("command", ["nothing", "everything"])
def test_the_command_that_changes_a_policy_is_one_the_command_line_takes(fleet: RehearsedFleet, command: str):
    import shlex  # noqa: PLC0415 - only here

    from typer.main import get_command  # noqa: PLC0415

    from armillary.cli.service.attestation_policy import app  # noqa: PLC0415
    from armillary.cli.terminal.times import moment  # noqa: PLC0415

    policy = fleet.catalogs()[0]["attestation_policy"] | {"firmware_log": command == "everything"}
    policy |= {"mechanisms": ["landlock", "user"] if command == "everything" else []}
    if command == "nothing":
        policy |= {"chips": [], "minimum_security_versions": {}, "older_releases_until": None}
        policy |= {"maximum_release_age_days": None, "minimum_tier": "simulated", "version": 0}
    words = shlex.split(pages_catalog.policy_command(policy))
    assert words[:3] == ["armillary", "attestation-policy", "set"]
    parsed = get_command(app).commands["set"].make_context("set", words[3:]).params  # type: ignore[attr-defined]
    assert (parsed["catalog"], parsed["if_version"]) == ("northwind", policy["version"])
    if command == "everything":
        assert list(parsed["mechanisms"]) == ["landlock", "user"]
        assert moment("--older-releases-until", parsed["older_until"]) == policy["older_releases_until"]


def test_an_offer_is_answered_by_the_one_it_is_for(fleet: RehearsedFleet):
    def verbs(catalog: str, offer: dict[str, Any], *, may_act: bool = True) -> list[str]:
        line = pages_catalog.offer_line(offer, catalog, {}, may_act=may_act, now=fleet.now)
        return [action.label for action in line.actions]

    offer = transfer(fleet.now, 1)
    assert verbs("northwind", offer) == ["Cancel"]
    assert verbs("contoso", offer) == ["Accept", "Decline"]
    assert verbs("contoso", offer, may_act=False) == []
    both = [offer, transfer(fleet.now, 2, of="contoso", to="northwind")]
    assert pages_catalog.offers_sentence(both, "northwind") == "1 device offered to this catalog, 1 offered by it"
    assert pages_catalog.offers_sentence(both[:1], "northwind") == "1 device offered by it"
    assert pages_catalog.offers_sentence([], "northwind") == "none pending"
    assert pages_catalog.waiting_sentence(pages_catalog.waiting(both, "northwind")) == "1 pending transfer."
    for verb in pages_catalog.VERBS:
        asked = pages_catalog.transfer_confirmation(offer, verb, "contoso")
        assert [name for name, _ in asked.touches] == ["Touches", "Does", "Leaves alone", "Undo"]
        assert asked.post == f"/settings/catalogs/contoso/transfers/{offer['transfer_id']}/{verb}"
    gone = pages_catalog.offer_line({**offer, "to_catalog": None}, "northwind", {}, may_act=True, now=fleet.now)
    assert gone.direction == "to a catalog that was deleted since"


@pytest.mark.parametrize(
    ("change", "word", "kind"),
    [
        ({}, "valid", GOOD),
        ({"used": 1}, "spent", UNKNOWN),
        ({"expires_at": 0}, "expired", UNKNOWN),
        ({"revoked_at": 1, "used": 1, "expires_at": 0}, "revoked", BAD),
    ],
)
def test_only_an_enrolment_token_that_still_enrols_is_good(
    fleet: RehearsedFleet, change: dict[str, Any], word: str, kind: str
):
    token = enrolment_token(fleet.now, 0, **change)
    (line,) = pages_catalog.enrolment_lines([token], "northwind", may_act=True, now=fleet.now)
    assert (line.state.word, line.state.kind, bool(line.actions)) == (word, kind, kind == GOOD)
    (line,) = pages_catalog.enrolment_lines([token], "northwind", may_act=False, now=fleet.now)
    assert line.actions == ()


def test_enrolment_tokens_that_are_over_do_not_hide_those_that_are_good(fleet: RehearsedFleet):
    good = enrolment_token(fleet.now, 0)
    over = [enrolment_token(fleet.now, number, used=1) for number in range(1, 30)]
    lines = pages_catalog.enrolment_lines([good, *over], "northwind", may_act=True, now=fleet.now)
    assert [line.state.kind for line in lines] == [UNKNOWN] * 10 + [GOOD]
    assert "19 older ones that are over" in pages_catalog.enrolment_sentence([good, *over], fleet.now)


def test_a_form_for_an_enrolment_token_says_what_the_api_takes(fleet: RehearsedFleet):
    groups = fleet.catalogs()[0]["groups"]
    form = {"group": "Coffee machine/Production", "chip": " mt3620 ", "uses": "3", "life": "1 day"}
    assert pages_catalog.wished(form, groups) == {
        "product": "Coffee machine", "group": "Production", "chip": "mt3620", "uses": 3, "lifetime_s": 86400,
    }  # fmt: skip
    assert pages_catalog.LIFE_WORDS.keys() == pages_catalog.LIVES.keys()
    assert pages_catalog.wished({"uses": "1", "life": "1 hour"}, groups) == {"uses": 1, "lifetime_s": 3600}
    wrong = (
        {"group": "Coffee machine/Elsewhere"},
        {"uses": ""},
        {"uses": "-1"},
        {"uses": "٣"},
        {"uses": "9" * 400},
        {"life": "forever"},
    )
    for altered in wrong:
        with pytest.raises(InvalidArgumentError):
            pages_catalog.wished({**form, **altered}, groups)


def test_the_secret_of_an_enrolment_token_is_in_no_repr(fleet: RehearsedFleet):
    made = {"token": enrolment_token(fleet.now, 0, chip="mt3620"), "secret": "arme_once"}
    shown = pages_catalog.new_enrolment(made, fleet.now)
    assert shown.secret == "arme_once"
    assert "arme_once" not in repr(shown)
    assert shown.says.startswith(
        "It enrols 1 device with the chip mt3620 into northwind, Coffee machine / Kitchen pilot, and ends 20"
    )


def test_more_offers_than_a_page_has_are_paged_and_all_of_them_can_be_answered(console: RunningConsole):
    console.fleet.offers = [
        transfer(console.fleet.now, number, of="contoso", to="northwind") for number in range(read.LIST_LINES + 3)
    ]
    browser = signed_in(console)
    first = browser.get("/settings").text
    assert f"{read.LIST_LINES} or more pending transfers." in first
    assert f"{read.LIST_LINES} devices offered to this catalog on this page" in first
    assert "Newest offers" not in first
    found = re.search(r'href="([^"]+)" rel="next">Older offers', first)
    assert found is not None
    older, _, place = html.unescape(found[1]).partition("#")
    assert place == "catalog-northwind"
    second = browser.get(older).text
    assert "3 devices offered to this catalog on this page" in second
    assert 'href="/settings#catalog-northwind">Newest offers' in second
    assert "Older offers" not in second
    last = console.fleet.offers[-1]
    path = f"/settings/catalogs/northwind/transfers/{last['transfer_id']}/accept"
    assert f'href="{path}"' in second
    assert f'href="{path}"' not in first
    assert browser.post(path).status == 303
    assert last["state"] == "accepted"


def test_an_offer_beyond_what_is_read_at_once_is_found(console: RunningConsole, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(change, "OFFERS_A_READ", 1)
    browser = signed_in(console)
    oldest = console.fleet.offers[-1]["transfer_id"]
    path = f"/settings/catalogs/northwind/transfers/{oldest}/cancel"
    assert browser.get(path).status == 200
    assert browser.get(path.replace(oldest, "nothing")).status == 404

# SPDX-License-Identifier: Apache-2.0
"""Releases in the console: from packages that somebody uploads to everybody, and back; drafts are drawn as drafts."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

import pytest
from tests.api.running_service import fresh_os_version
from tests.console.hub_scene import HubScene
from tests.console.plain_browser import Answer, Browser
from tests.fixtures.images import P256

from armillary.boot import virtual_chain
from armillary.console.frame.states import ATTENTION, BAD, GOOD, UNKNOWN
from armillary.console.releases import pages_releases

CHIP = "mt3620"
NOW = 1_000_000
RELEASE: dict[str, Any] = {
    "release_id": "3e671687-395b-41f5-a30f-a58921a69b79",
    "chip": CHIP,
    "version": "27.1",
    "feed": "RetailEval",
    "withdrawn_at": None,
    "withdrawn_reason": None,
    "signed_at": 1,
    "published_at": 2,
    "expires_at": None,
    "components": [{}],
    "is_passed_over": False,
    "is_below_floor": False,
    "reach": {"groups": 2, "devices": 7, "everybody": 1204, "running": 3, "alone": (), "ends_stand_ins": False},
}


def packages(scene: HubScene, version: str) -> dict[str, bytes]:
    """The components of a version, signed by somebody else, by the fields of the form."""
    key, certificate = P256
    profile = scene.running.service.chips.get(CHIP)
    made = virtual_chain.build(
        profile, version, built=1_790_000_000, security_version=1, key=key, certificate=certificate
    )
    return {f"package.{name}": data for name, data in made.items()}


def draft(look: Browser, files: dict[str, bytes], **fields: str) -> Answer:
    form = {"version": "27.1", "feed": "RetailEval", "os_abi": "0", "security_version": "1", **fields}
    return look.upload(f"/new-release?chip={CHIP}", files, **form)


def place_of(answer: Answer) -> str:
    assert answer.status == 303, answer.text
    return answer.headers["location"].partition("?")[0]


@pytest.mark.parametrize(
    ("change", "word", "kind", "verbs"),
    [
        ({"published_at": None, "signed_at": None}, "draft, not signed", ATTENTION, ("sign", "revoke")),
        ({"published_at": None}, "draft", ATTENTION, ("publish", "revoke")),
        ({}, "in evaluation", GOOD, ("promote", "revoke")),
        ({"feed": "Retail"}, "in force", GOOD, ("revoke",)),
        ({"expires_at": NOW + 1}, "in evaluation", GOOD, ("promote", "revoke")),
        ({"expires_at": NOW}, "expired", BAD, ("revoke",)),
        ({"withdrawn_at": 1}, "revoked", BAD, ()),
        ({"is_passed_over": True}, "stand-in, given to nobody", UNKNOWN, ("revoke",)),
        ({"is_passed_over": True, "withdrawn_at": 1}, "revoked", BAD, ()),
        ({"is_passed_over": True, "expires_at": NOW}, "expired", BAD, ("revoke",)),
        ({"is_below_floor": True}, "below the security floor", BAD, ("revoke",)),
        ({"is_below_floor": True, "feed": "Retail", "expires_at": NOW}, "below the security floor", BAD, ("revoke",)),
        ({"is_below_floor": True, "withdrawn_at": 1}, "revoked", BAD, ()),
        ({"is_below_floor": True, "published_at": None}, "draft", ATTENTION, ("publish", "revoke")),
    ],
)
def test_each_step_of_a_release_has_its_state_and_what_comes_next(
    change: dict[str, Any], word: str, kind: str, verbs: tuple[str, ...]
) -> None:
    release = {**RELEASE, **change}
    state = pages_releases.state_of(release, NOW)
    assert (state.word, state.kind) == (word, kind)
    assert pages_releases.verbs_of(release, NOW) == verbs


@pytest.mark.parametrize(
    ("verb", "word", "touches"),
    [
        ("sign", "", "1 component"),
        ("publish", "", "7 devices in 2 device groups with the feed RetailEval"),
        ("promote", "promote", "1,204 devices of mt3620: everybody"),
        ("revoke", "revoke", "3 devices that run it"),
    ],
)
def test_an_action_says_whom_it_reaches_and_asks_for_the_word_when_these_are_many(
    verb: str, word: str, touches: str
) -> None:
    asked = pages_releases.confirmation(RELEASE, verb)
    assert asked.word == word
    assert touches in dict(asked.touches)["Touches"]
    assert asked.post.endswith(f"/{verb}")


def test_an_action_that_reaches_nobody_says_so() -> None:
    asked = pages_releases.confirmation(
        {**RELEASE, "reach": {**RELEASE["reach"], "groups": 0, "devices": 0}}, "publish"
    )
    assert dict(asked.touches)["Touches"] == "No device: no group with the feed RetailEval has one of mt3620."


def test_the_first_release_of_real_packages_says_whom_it_leaves_without() -> None:
    told = {
        ends: " ".join(
            words
            for _, words in pages_releases.confirmation(
                {**RELEASE, "reach": {**RELEASE["reach"], "ends_stand_ins": ends}}, "publish"
            ).touches
        )
        for ends in (False, True)
    }
    assert ("stand-ins" in told[False], "Groups of other feeds" in told[False]) == (False, True)
    assert "The stand-ins of mt3620 are given to nobody from then on" in told[True]
    assert "Groups of other feeds" not in told[True]


def test_packages_that_somebody_uploads_go_to_everybody_and_are_taken_back(hub_scene: HubScene) -> None:
    service, look, version = hub_scene.running.service, hub_scene.browser(), fresh_os_version()
    form = look.get(f"/new-release?chip={CHIP}").text
    assert form.count('type="file"') == len(service.chips.get(CHIP).boot_components)
    here = place_of(draft(look, packages(hub_scene, version), version=version))
    page = look.get(here).text
    assert "draft, not signed" in page
    assert "waits to be signed" in page
    assert re.search(r"and \d+ drafts? waits? to be published", look.get("/releases").text)
    assert look.confirm(f"{here}/sign").status == 303
    assert "waits to be published" in look.get(here).text
    assert look.confirm(f"{here}/publish").status == 303
    assert "in evaluation" in look.get(here).text
    assert service.releases.newest(CHIP).version != version
    assert look.confirm(f"{here}/promote").status == 303
    assert service.releases.newest(CHIP).version == version
    assert look.confirm(f"{here}/revoke", reason="It hangs.").status == 400, "the word was not typed"
    assert look.confirm(f"{here}/revoke", reason="It hangs.", word="revoke").status == 303
    assert service.releases.newest(CHIP).version != version
    assert "It hangs." in look.get(here).text
    lines = service.audit.list(target=here.rpartition("/")[2]).items
    assert [line.operation.removeprefix("release.") for line in lines] == [
        "withdraw", "promote", "publish", "sign", "create"
    ]  # fmt: skip
    assert {line.actor for line in lines} == {"Administrator-token"}


def test_a_draft_is_whole_or_not_made(hub_scene: HubScene) -> None:
    service, look = hub_scene.running.service, hub_scene.browser()
    look.get(f"/new-release?chip={CHIP}")
    given = packages(hub_scene, "27.2")
    before = service.releases.list(drafts=True)
    for files, fields, says in (
        ({}, {}, "got neither"),
        (given, {"built": "on"}, "got both"),
        (dict(list(given.items())[1:]), {}, "got no "),
        ({**given, "package.stranger": b"x"}, {}, "an unknown &#39;stranger&#39;"),
        (dict.fromkeys(given, b"no package"), {}, "expected"),
        (given, {"os_abi": "many"}, "os_abi: expected a whole number"),
        (given, {"version": "no version"}, "version: expected numbers"),
        (given, {"feed": "Nightly"}, "feed: expected Retail or RetailEval"),
    ):
        refused = draft(look, files, **{"version": "27.2", **fields})
        assert refused.status == 400, says
        assert says in refused.text
        assert "Nothing was changed" in refused.text
    assert service.releases.list(drafts=True) == before
    assert 'value="27.2"' in draft(look, {}, version="27.2").text, "what was typed stays"


def test_stand_ins_are_built_for_a_virtual_chip_and_need_no_signature(hub_scene: HubScene) -> None:
    look = hub_scene.browser()
    look.get(f"/new-release?chip={CHIP}")
    page = look.get(place_of(draft(look, {}, version="27.3", built="on"))).text
    assert "waits to be published" in page
    assert re.search(r'href="/releases/[0-9a-f-]{36}/publish"', page)
    here = place_of(draft(look, {}, version="27.6", built="on", os_abi="7", security_version="2"))
    made = hub_scene.running.service.releases.get(UUID(here.rpartition("/")[2]))
    assert (made.os_abi, {one.security_version for one in made.components}) == (7, {2})


def test_readers_look_and_contributors_change_no_release(hub_scene: HubScene) -> None:
    release = hub_scene.running.service.releases.newest(CHIP)
    here = f"/releases/{release.release_id}"
    for role in ("Reader", "Contributor"):
        look = hub_scene.browser(role)
        assert "New draft" not in look.get("/releases").text
        assert "/revoke" not in look.get(here).text
        assert look.get(f"{here}/revoke").status == 403
        assert look.post(f"{here}/revoke", word="revoke").status == 403
        assert draft(look, {}, built="on", version="27.4").status == 403
    assert hub_scene.browser().get(f"{here}/explode").status == 404
    assert hub_scene.browser().get("/releases/none").status == 404


def test_a_person_makes_a_feed_and_takes_it_away(hub_scene: HubScene) -> None:
    look, service = hub_scene.browser(), hub_scene.running.service
    look.get("/releases")
    refused = look.post("/os-feeds", name="7th", follows="Retail")
    assert (refused.status, "1 to 16 letters" in refused.text, 'value="7th"' in refused.text) == (400, True, True)
    assert look.post("/os-feeds", name="Canary", follows="RetailEval").status == 303
    assert ">Canary</option>" in look.get(f"/new-release?chip={CHIP}").text
    assert "/os-feeds/Canary/delete" in look.get("/releases").text
    assert "/os-feeds/Canary/delete" not in hub_scene.browser("Contributor").get("/releases").text
    assert look.confirm("/os-feeds/Canary/delete").status == 303
    assert [each.name for each in service.registry.os_feeds.list()] == ["Retail", "RetailEval"]
    assert look.post("/os-feeds/Retail/delete").status == 404
    assert look.get("/os-feeds/Canary/delete").status == 404

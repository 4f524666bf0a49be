# SPDX-License-Identifier: Apache-2.0
"""People, sessions and one's account in a real Chromium: in light, in the dark and on a phone, and without script."""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from tests.api.running_service import RunningService, running_service
from tests.console.page_check import reads_well
from tests.console.watched_browser import LOOKS, Watched, some_of

from armillary.identity.signed_in import SignedIn
from armillary.service.people.sessions import From

pytestmark = pytest.mark.console

PEOPLE = "/api/v1/people"
SAFARI = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 Version/17.0 Safari/604.1"
# Of 120 characters without a space: what a provider may call somebody.
LONG = "a-person-of-the-night-shift-" * 4 + "of-alpha"


class Place:
    """A service with people of two catalogs, of whom one acts now; ``boss`` is a token of an administrator of alpha."""

    def __init__(self, running: RunningService) -> None:
        self.running, self.url = running, running.address
        self.context = ssl.create_default_context(cafile=str(running.root))
        for name in ("alpha", "beta"):
            running.make_catalog(name)
        body = {"name": "Oslo", "catalog": "alpha"}
        assert running.call("PUT", "/api/v1/organisations/oslo", body).status == 200
        tokens = running.service.tokens
        self.boss = tokens.create("boss of alpha", "Administrator", actor="test", catalog="alpha").secret
        self.ann = self.invite("ann@people.example", catalog="alpha", role="Reader")
        self.invite("bea@people.example", catalog="beta", role="Administrator")
        self.long = self.invite(f"{LONG}@people.example", catalog="alpha", organisation="oslo", role="Contributor")
        self.invite("cy@people.example")
        grant, catalog = self.ann["grants"][0], running.service.registry.catalogs.get("alpha").catalog_id
        login = ("ann@people.example", "Reader", catalog, None)
        who = SignedIn(*login, "", "alpha", None, self.ann["person_id"], grant["grant_id"])
        running.service.sessions.open(who, int(time.time()), From("192.0.2.7", SAFARI, "provider"))

    def invite(self, email: str, **granted: str) -> dict[str, Any]:
        made = self.running.call("POST", PEOPLE, {"email": email, **granted})
        assert made.status == 201, made.raw
        return dict(made.body)

    def seen(self, login: str) -> str:
        """The id by which alpha's administrators know somebody."""
        items = self.running.call("GET", f"{PEOPLE}?catalog=alpha").body["items"]
        return next(str(each["person_id"]) for each in items if each["login"] == login)

    def logins(self) -> set[str]:
        return {each["login"] for each in self.running.call("GET", PEOPLE).body["items"]}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    settings = {"oidc_issuer": "https://login.example", "oidc_client_id": "armillary"}
    with running_service(tmp_path_factory.mktemp("people"), console=True, **settings) as running:
        yield Place(running)


def look_at(page: Page, look: str, who: str, found: list[tuple[str, str, str | re.Pattern[str]]]) -> None:
    for name, path, says in some_of(found, look):
        page.goto(path)
        expect(page.get_by_role("heading", level=1)).to_contain_text(says)
        reads_well(page, f"people-{who}-{name}-{look}")


@LOOKS
def test_people_and_sessions_read_well_and_are_accessible(
    place: Place, watch: Callable[..., Watched], look: str, options: dict[str, object]
):
    page = watch(place, **options).sign_in(place.running.token)
    one, long = f"/people/{place.ann['person_id']}", f"/people/{place.long['person_id']}"
    grant = place.ann["grants"][0]["grant_id"]
    look_at(page, look, "all", [
        ("list", "/people", re.compile(r"\d+ people, \d+ of them may sign in\.")),
        ("one", one, "ann@people.example is invited and has not signed in yet."),
        ("long", long, LONG[:20]),
        ("disable", f"{one}/disable", "Disable ann@people.example?"),
        ("remove", f"{one}/remove", "Remove ann@people.example?"),
        ("revoke", f"{one}/grants/{grant}/revoke", "Revoke Reader of alpha from ann@people.example?"),
        ("sessions", "/sessions", re.compile(r"\d+ sessions of \d+ people and tokens\.")),
        ("account", "/account", "Administrator of all catalogs."),
    ])  # fmt: skip


@LOOKS
def test_an_administrator_of_one_catalog_sees_its_people_alone(
    place: Place, watch: Callable[..., Watched], look: str, options: dict[str, object]
):
    page = watch(place, **options).sign_in(place.boss)
    one = f"/people/{place.seen('ann@people.example')}"
    look_at(page, look, "alpha", [
        ("list", "/people", re.compile(r"\d+ people of alpha, \d+ of them may sign in\.")),
        ("one", one, "ann@people.example is invited and has not signed in yet."),
        ("remove", f"{one}/remove", "Remove ann@people.example?"),
        ("sessions", "/sessions", re.compile(r"\d+ sessions of \d+ people and tokens\.")),
    ])  # fmt: skip
    page.goto("/settings")
    page.get_by_role("link", name="People", exact=True).click()
    page.wait_for_url("**/people")
    for text in ("bea@people.example", "cy@people.example", "beta"):
        expect(page.get_by_text(text)).to_have_count(0)
    expect(page.locator("select[name=of]").locator("option")).to_have_text(["alpha", "Oslo of alpha"])
    expect(page.locator("input[name=name]")).to_have_count(0)
    page.goto(one)
    expect(page.get_by_role("link", name="Disable")).to_have_count(0)
    page.goto("/sessions")
    expect(page.get_by_role("cell", name="Safari on iPhone")).to_have_count(1)


@pytest.mark.parametrize("script", [True, False])
def test_somebody_is_invited_granted_more_and_ended_in_a_catalog(
    place: Place, watch: Callable[..., Watched], *, script: bool
):
    """All of it by forms and links, with script and without."""
    page = watch(place, java_script_enabled=script, allowed=("status of 400",)).sign_in(place.boss)
    who = f"kim-{script}@people.example".lower()
    page.goto("/people")
    page.get_by_label("Address or subject").fill("not an address@")
    page.get_by_role("button", name="Invite").click()
    expect(page.locator("main")).to_contain_text("expected an address")
    expect(page.get_by_label("Address or subject")).to_have_value("not an address@")
    page.get_by_label("Address or subject").fill(who)
    page.get_by_label("Role").select_option("Contributor")
    page.get_by_role("button", name="Invite").click()
    page.wait_for_url("**/people/*?told=person-invited")
    expect(page.get_by_role("heading", level=1)).to_contain_text(f"{who} is invited")
    page.locator("select[name=of]").select_option("alpha/oslo")
    page.get_by_label("Role").select_option("Administrator")
    page.get_by_role("button", name="Grant").click()
    page.wait_for_url("**/people/*?told=person-granted")
    rows = page.get_by_role("row").filter(has=page.get_by_role("link", name="Revoke"))
    expect(rows).to_have_count(2)
    rows.filter(has_text="Contributor").get_by_role("link", name="Revoke").click()
    page.get_by_role("button", name="Revoke").click()
    page.wait_for_url("**/people/*?told=grant-revoked")
    expect(rows).to_have_count(1)
    rows.get_by_role("link", name="Revoke").click()
    page.get_by_role("button", name="Revoke").click()
    page.wait_for_url("**/people?told=grant-revoked")  # with the last one, the catalog knows the person no more
    assert who not in place.logins()


def test_somebody_is_removed_from_a_catalog_and_stays_elsewhere(place: Place, watch: Callable[..., Watched]):
    known = place.invite("dee@people.example", catalog="beta", role="Reader")
    page = watch(place).sign_in(place.boss)
    page.goto("/people")
    page.get_by_label("Address or subject").fill("dee@people.example")
    page.get_by_role("button", name="Invite").click()
    page.wait_for_url("**/people/*?told=person-invited")
    page.get_by_role("link", name="Remove").click()
    expect(page.locator(".touches")).to_contain_text("what was granted in alpha is revoked")
    page.get_by_role("button", name="Remove").click()
    page.wait_for_url("**/people?told=person-removed")
    expect(page.get_by_text("dee@people.example")).to_have_count(0)
    left = place.running.call("GET", f"{PEOPLE}/{known['person_id']}").body
    assert left == known
    assert place.running.call("DELETE", f"{PEOPLE}/{known['person_id']}").status == 204


def test_a_session_of_the_catalog_is_ended_on_a_phone_without_script(place: Place, watch: Callable[..., Watched]):
    sessions, catalog = place.running.service.sessions, place.running.service.registry.catalogs.get("alpha").catalog_id
    who = SignedIn("fay@people.example", "Reader", catalog, None, "", "alpha", None, "fay", "none")
    cookie = sessions.open(who, int(time.time()))
    page = watch(place, java_script_enabled=False, viewport={"width": 390, "height": 844}).sign_in(place.boss)
    page.goto("/sessions")
    page.get_by_role("row").filter(has_text="fay@people.example").get_by_role("link", name="End").click()
    page.get_by_role("button", name="End").click()
    page.wait_for_url("**/sessions?told=session-ended")
    expect(page.get_by_text("fay@people.example")).to_have_count(0)
    assert sessions.find(cookie, int(time.time())) is None

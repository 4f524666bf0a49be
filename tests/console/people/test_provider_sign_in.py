# SPDX-License-Identifier: Apache-2.0
"""Signing in to the console by a certified provider, from the link on our page to the first page that is shown."""

from __future__ import annotations

import dataclasses
import ssl
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser as Chromium, expect
from tests.api.running_service import RunningService, running_service
from tests.console.plain_browser import Answer, Browser
from tests.console.watched_browser import DESKTOP
from tests.fixtures.ports import reserved_port
from tests.fixtures.sign_in_provider import PersonAtProvider, RunningProvider, running_provider
from tests.fixtures.waiting import DEADLINE_S

ATTEMPT = "__Host-armillary-provider"
SESSION = "__Host-armillary"


@dataclasses.dataclass(frozen=True)
class Place:
    """A service whose people sign in at a provider."""

    running: RunningService
    provider: RunningProvider

    def browser(self) -> Browser:
        context = ssl.create_default_context(cafile=str(self.running.root))
        return Browser(dataclasses.make_dataclass("Served", ["url", "context"])(self.running.address, context))

    def begun(self, browser: Browser, back: str = "/fleet") -> str:
        """Where a browser is led that follows the link of the sign-in page."""
        answer = browser.get(f"/sign-in/provider?back={back}", Sec_Fetch_Site="same-origin")
        assert answer.status == 303, answer.text
        return str(answer.headers["location"])

    def callback(self, browser: Browser, login: str, back: str = "/fleet") -> str:
        """The path with which the provider leads a browser back."""
        back_at = urlsplit(PersonAtProvider(self.provider).sign_in(self.begun(browser, back), login))
        assert f"https://{back_at.netloc}" == self.running.address
        return f"{back_at.path}?{back_at.query}"

    def sign_in(self, login: str, back: str = "/fleet") -> tuple[Browser, Answer]:
        browser = self.browser()
        return browser, browser.get(self.callback(browser, login, back))

    def person(self, login: str) -> dict[str, object]:
        items = self.running.call("GET", "/api/v1/people").body["items"]
        return next(each for each in items if each["login"] == login)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder, port = tmp_path_factory.mktemp("provider"), reserved_port()
    (folder / "secret").write_text("of-armillary\n")
    (folder / "secret").chmod(0o600)
    with running_provider(folder, f"https://localhost:{port}/sign-in/callback") as provider:
        settings = {
            "oidc_issuer": provider.issuer, "oidc_client_id": "armillary", "api_port": port,
            "oidc_client_secret_file": str(folder / "secret"), "oidc_ca_file": str(provider.certificate),
            "oidc_grants": "fleet-admins=Administrator, makers=Contributor@alpha, makers=Reader@beta",
            "oidc_label": "Example",
        }  # fmt: skip
        with running_service(folder, console=True, **settings) as running:
            running.make_catalog("alpha", product="Coffee")
            running.make_catalog("beta", product="Tea")
            yield Place(running, provider)


@pytest.fixture
def mia(place: Place) -> str:
    """Who signs in as if never before: where she acted last, and that she was disabled, go with her."""
    for each in place.running.call("GET", "/api/v1/people").body["items"]:
        if each["login"] == "mia@people.example":
            assert place.running.call("DELETE", f"/api/v1/people/{each['person_id']}").status in (200, 204)
    return "mia"


def test_somebody_who_was_invited_signs_in_and_sees_what_was_granted(place: Place) -> None:
    body = {"email": "Ann@people.example", "role": "Reader", "catalog": "alpha"}
    assert place.running.call("POST", "/api/v1/people", body).status == 201
    assert "Sign in with Example" in place.browser().get("/sign-in").text
    browser, answer = place.sign_in("ann", back="/help")
    assert answer.status == 200, answer.text
    assert 'http-equiv="refresh" content="0; url=/help"' in answer.text
    assert ATTEMPT not in browser.cookies
    page = browser.get("/account").text
    assert "You are Ann Example, Reader of alpha." in page
    found = place.person("ann@people.example")
    assert (found["name"], found["subject"], found["issuer"]) == ("Ann Example", "ann", place.provider.issuer)
    lines = place.running.call("GET", "/api/v1/audit?target=ann@people.example").body["items"]
    assert [each["operation"] for each in lines] == ["person.sign-in", "person.grant", "person.invite"]
    assert lines[0]["actor"] == "ann@people.example"


def test_groups_grant_roles_and_one_acts_by_one_of_them_at_a_time(place: Place, mia: str) -> None:
    browser, answer = place.sign_in(mia)
    assert answer.status == 200, answer.text
    page = browser.get("/account").text
    assert "Contributor of alpha" in page
    other = next(each for each in place.person("mia@people.example")["grants"] if each["role"] == "Reader")
    assert (other["catalog"], other["origin"]) == ("beta", "provider")
    before, old = browser.form_token, place.browser()
    old.cookies = dict(browser.cookies)
    assert old.get("/account").status == 200
    assert browser.post("/account/act", grant=str(other["grant_id"])).status == 303
    assert old.get("/account").headers["location"].startswith("/sign-in")  # the name that the session had
    assert browser.post("/account/act", grant=str(other["grant_id"])).status == 403  # a form opened before
    assert browser.form_token == before
    assert "Reader of beta" in browser.get("/account").text
    assert "alpha" not in browser.get("/settings").text
    assert browser.post("/account/act", grant="0" * 32).status == 404


@pytest.mark.console
def test_a_real_browser_signs_in_acts_by_another_grant_and_signs_out_everywhere(
    place: Place, mia: str, chromium: Chromium
) -> None:
    context = chromium.new_context(ignore_https_errors=True, viewport=DESKTOP, base_url=place.running.address)
    context.set_default_timeout(DEADLINE_S * 1000)
    errors: list[str] = []
    context.on("weberror", lambda error: errors.append(str(error.error)))
    page = context.new_page()
    page.goto("/settings")
    page.get_by_role("link", name="Sign in with Example").click()
    page.locator("input[name=login]").fill(mia)
    page.locator("input[name=password]").fill("any")
    page.locator("[type=submit]").click()
    page.get_by_role("button", name="Continue").click()  # what the provider may tell us
    page.wait_for_url("**/settings")  # where the person wanted to go
    page.get_by_role("link", name="Mia Example").click()
    expect(page.get_by_role("heading", name="You are Mia Example, Contributor of alpha.")).to_be_visible()
    page.get_by_role("button", name="Use this").click()
    page.wait_for_url("**/fleet*")
    page.goto("/account")
    expect(page.get_by_role("heading", name="You are Mia Example, Reader of beta.")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("link", name="Sign out at Example, too").click()
    page.get_by_role("button", name="Yes, sign me out").click()
    page.wait_for_url(f"{place.running.address}/sign-in*")
    page.goto("/account")
    page.wait_for_url("**/sign-in?back=/account")
    page.get_by_role("link", name="Sign in with Example").click()
    expect(page.locator("input[name=login]")).to_be_visible()  # the provider asks again
    assert errors == []
    context.close()


def test_who_is_not_known_is_told_what_an_administrator_has_to_do(place: Place) -> None:
    browser, answer = place.sign_in("zoe")
    assert answer.status == 403
    assert "You have no access here." in answer.text
    assert "armillary person invite --subject zoe" in answer.text
    assert SESSION not in browser.cookies
    assert "zoe" not in str(place.running.call("GET", "/api/v1/people").body)


def test_an_address_that_the_provider_has_not_verified_opens_nobodys_place(place: Place) -> None:
    assert place.sign_in("eve")[1].status == 403  # she says that she is ann@people.example


def test_an_answer_is_for_the_browser_that_began_and_for_once(place: Place) -> None:
    mine, theirs = place.browser(), place.browser()
    path = place.callback(mine, "bob")
    place.begun(theirs)
    for victim in (theirs, place.browser()):  # with an attempt of its own, and with none
        answer = victim.get(path)
        assert (answer.status, SESSION in victim.cookies) == (403, False)
    kept = mine.cookies[ATTEMPT]
    assert mine.get(path).status == 200
    again = place.browser()
    again.cookies[ATTEMPT] = kept
    answer = again.get(path)
    assert (answer.status, "was used before" in answer.text, SESSION in again.cookies) == (403, True, False)


def test_the_provider_takes_a_code_once_whatever_we_remember(place: Place) -> None:
    browser = place.browser()
    path, provider = place.callback(browser, "bob"), place.running.service.sign_in_provider
    kept = browser.cookies[ATTEMPT]
    assert browser.get(path).status == 200
    provider._used.clear()
    browser.cookies[ATTEMPT] = kept
    answer = browser.get(path)
    assert (answer.status, "does not take this code" in answer.text) == (403, True)


@pytest.mark.parametrize(
    ("name", "value"),
    [("state", "x"), ("iss", "https://evil.example"), ("iss", None), ("code", ""), ("code", "made-up")],
)
def test_what_is_changed_on_the_way_back_is_refused(place: Place, name: str, value: str | None) -> None:
    browser = place.browser()
    path = place.callback(browser, "bob")
    query = {key: found[0] for key, found in parse_qs(urlsplit(path).query).items()}
    assert query["iss"] == place.provider.issuer  # RFC 9207: the provider says that it names itself
    given = {key: each for key, each in {**query, name: value}.items() if each is not None}
    answer = browser.get("/sign-in/callback?" + "&".join(f"{key}={each}" for key, each in given.items()))
    assert (answer.status, SESSION in browser.cookies) == (403, False)
    doubled = place.browser()
    doubled.cookies[ATTEMPT] = browser.cookies.get(ATTEMPT, "")
    assert doubled.get(f"{path}&state=x").status == 403


def test_it_leads_to_no_other_site(place: Place) -> None:
    for evil in ("https://evil.example/", "//evil.example", "/%5Cevil.example"):
        _, answer = place.sign_in("bob", back=evil)
        assert 'content="0; url=/fleet"' in answer.text
    browser = place.browser()
    sent = browser.get("/sign-in/provider", Host="evil.example", Sec_Fetch_Site="same-origin")
    assert parse_qs(urlsplit(sent.headers["location"]).query)["redirect_uri"] == [
        f"{place.running.address}/sign-in/callback"
    ]
    assert browser.get("/sign-in/provider", Sec_Fetch_Site="cross-site").headers["location"] == "/sign-in"


def test_a_session_never_keeps_a_name_that_the_browser_brought(place: Place) -> None:
    browser = place.browser()
    path = place.callback(browser, "bob")
    browser.cookies[SESSION] = "planted"
    browser.get(path)
    first = browser.cookies[SESSION]
    assert first != "planted"
    place.running.call("GET", "/api/v1/sessions")
    browser.get(place.callback(browser, "bob"))
    old = place.browser()
    old.cookies[SESSION] = first
    assert old.get("/account").status == 303  # the one before has ended


def test_who_is_disabled_or_loses_the_grant_is_out_at_once(place: Place, mia: str) -> None:
    ends = [
        lambda found: ("POST", f"/people/{found['person_id']}/disable", {}),
        lambda found: ("DELETE", f"/people/{found['person_id']}/grants/{found['grants'][0]['grant_id']}", None),
    ]
    for number, end in enumerate(ends):
        if number:  # the provider's groups would grant it again
            body = {"subject": "kim", "role": "Reader"}
            assert place.running.call("POST", "/api/v1/people", body).status == 201
        login, who = ("mia@people.example", mia) if not number else ("kim@localhost", "kim")
        browser, answer = place.sign_in(who)
        assert answer.status == 200, answer.text
        assert browser.get("/account").status == 200
        method, path, sent = end(place.person(login))
        assert place.running.call(method, f"/api/v1{path}", sent).status in (200, 204)
        assert browser.get("/account").status == 303
        assert place.sign_in(who)[1].status == 403
        names = [each["name"] for each in place.running.call("GET", "/api/v1/sessions").body["items"]]
        assert login not in names


def test_signing_out_ends_the_session_here_and_leads_to_the_provider(place: Place) -> None:
    browser, _ = place.sign_in("bob")
    kept = dict(browser.cookies)
    assert browser.send("POST", "/sign-out", b"", Content_Type="application/x-www-form-urlencoded").status == 403
    browser.get("/account")
    assert browser.post("/sign-out").headers["location"] == "/signed-out"
    page = browser.get("/signed-out").text
    assert f"{place.provider.issuer}/session/end?client_id=armillary" in page
    stolen = place.browser()
    stolen.cookies.update(kept)
    assert stolen.get("/account").status == 303

# SPDX-License-Identifier: Apache-2.0
"""Passkeys of a token: registered and used with Chromium's own authenticator, and every way past them that is refused."""

from __future__ import annotations

import html
import json
import re
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, make_dataclass
from typing import Any
from uuid import UUID

import pytest
from playwright.sync_api import Page, expect
from tests.api.running_service import RunningService, fresh, running_service
from tests.console.plain_browser import Answer, Browser, Served
from tests.console.watched_browser import Watched
from tests.fixtures.authenticator import VERIFIED, Authenticator

from armillary.errors import NotFoundError
from armillary.service.people import host_code
from armillary.wire.sign_in.faults import SignInRefusedError

SESSION = "__Host-armillary"
STEP = "__Host-armillary-second-step"


@dataclass
class Keyed:
    """A token with one passkey, and the recovery codes that it was given."""

    secret: str
    token_id: str
    key: Authenticator
    codes: list[str]
    browser: Browser


@dataclass(frozen=True)
class Place:
    running: RunningService

    @property
    def served(self) -> Served:
        context = ssl.create_default_context(cafile=str(self.running.root))
        found: Served = make_dataclass("Served", ["url", "context"])(self.running.address, context)
        return found

    def browser(self) -> Browser:
        return Browser(self.served)

    def key(self) -> Authenticator:
        return Authenticator(self.running.address)

    def token(self) -> tuple[str, str]:
        made = self.running.service.tokens.create(fresh("admin"), "Administrator", actor="test")
        return made.secret, str(made.token.token_id)

    def register(self, browser: Browser, key: Authenticator, name: str = "blue key", **wrong: Any) -> Answer:
        answer = key.create(options_of(browser.get("/account/new-passkey")), **wrong)
        return browser.post("/account/new-passkey", name=name, answer=answer)

    def keyed(self) -> Keyed:
        """A token that has a passkey, and the browser that registered it."""
        secret, token_id = self.token()
        browser, key = self.browser(), self.key()
        assert browser.sign_in(secret).status == 303
        answer = self.register(browser, key)
        assert answer.status == 200, answer.text
        codes = re.findall(r"\b(?:[A-Z2-7]{4}-){3}[A-Z2-7]{4}\b", _first_pre(answer))
        assert len(set(codes)) == 10
        return Keyed(secret, token_id, key, codes, browser)

    def first_step(self, secret: str) -> tuple[Browser, dict[str, Any]]:
        """A browser that has shown its token, and what it is asked for then."""
        browser = self.browser()
        browser.get("/sign-in")
        answer = browser._sign_in(secret)
        assert (answer.status, answer.headers["location"]) == (303, "/sign-in/passkey")
        assert SESSION not in browser.cookies
        return browser, options_of(browser.get("/sign-in/passkey"))

    def second_step(self, browser: Browser, answer: str) -> Answer:
        return browser.post("/sign-in/passkey", answer=answer)

    def operations(self, token_id: str) -> list[str]:
        lines = self.running.call("GET", f"/api/v1/audit?target={token_id}").body["items"]
        return [each["operation"] for each in lines]


def _first_pre(answer: Answer) -> str:
    return answer.text.partition("<pre")[2].partition("</pre>")[0]


def options_of(page: Answer) -> dict[str, Any]:
    found = re.search(r'data-options="([^"]+)"', page.text)
    assert found is not None, page.text
    options: dict[str, Any] = json.loads(html.unescape(found[1]))
    return options


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with running_service(tmp_path_factory.mktemp("passkeys"), console=True) as running:
        yield Place(running)


def virtual_key(page: Page) -> None:
    """Chromium's own authenticator, which has a finger that is always right."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    session.send(
        "WebAuthn.addVirtualAuthenticator",
        {
            "options": {
                "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
                "isUserVerified": True, "automaticPresenceSimulation": True,
            }
        },
    )  # fmt: skip


@pytest.mark.console
def test_a_browser_registers_a_passkey_and_is_asked_for_it(place: Place, watch: Callable[..., Watched]) -> None:
    secret, token_id = place.token()
    page = watch(place.served).sign_in(secret)
    virtual_key(page)
    page.goto("/account")
    page.get_by_role("link", name="Register a passkey").click()
    page.get_by_label("Name of the passkey").fill("this laptop")
    page.get_by_role("button", name="Register").click()
    expect(page.get_by_text("recovery codes are shown this once")).to_be_visible()
    assert len(page.locator(".command pre").first.inner_text().split()) == 10
    page.get_by_role("button", name=re.compile("Sign out")).click()
    page.get_by_label("Operator token").fill(secret)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Use your passkey").click()
    page.wait_for_url("**/fleet")
    page.goto("/account")
    expect(page.get_by_text("token and passkey", exact=True)).to_be_visible()
    assert place.operations(token_id)[:2] == ["passkey.sign-in", "passkey.register"]


def test_the_token_alone_opens_the_console_no_longer_and_the_api_as_before(place: Place) -> None:
    secret, token_id = place.token()
    others = place.browser()
    assert others.sign_in(secret).status == 303  # by the token alone
    browser, key = place.browser(), place.key()
    browser.sign_in(secret)
    assert place.register(browser, key).status == 200
    assert browser.get("/account").status == 200
    assert others.get("/account").status == 303  # ended: the token alone had opened it
    assert place.running.call("GET", "/api/v1/me", token=secret).status == 200
    asked, options = place.first_step(secret)
    assert (options["userVerification"], options["rpId"]) == ("required", "localhost")
    assert asked.get("/account").status == 303  # past the second step
    assert asked.post("/sign-in/passkey", answer="").status == 403
    answer = place.second_step(asked, key.get(options_of(asked.get("/sign-in/passkey"))))
    assert (answer.status, answer.headers["location"]) == (303, "/fleet")
    assert "token and passkey" in asked.get("/account").text
    assert place.operations(token_id)[:-1] == ["passkey.sign-in", "passkey.refuse", "passkey.register"]


@pytest.fixture(scope="module")
def keyed(place: Place) -> Keyed:
    return place.keyed()


@pytest.mark.parametrize(
    "wrong",
    [{"origin": "https://evil.example"}, {"without": VERIFIED}, {"count": 3}],
    ids=["another origin", "no user verification", "a count that goes back"],
)
def test_a_wrong_answer_is_refused_and_the_right_one_after_it_is_taken(
    place: Place, keyed: Keyed, wrong: dict[str, Any]
) -> None:
    browser, options = place.first_step(keyed.secret)
    count = max(keyed.key.count, 10)
    keyed.key.count = count
    assert place.second_step(browser, keyed.key.get(options)).status == 303
    browser, options = place.first_step(keyed.secret)
    answer = place.second_step(browser, keyed.key.get(options, **wrong))
    assert (answer.status, SESSION in browser.cookies) == (403, False), answer.text
    assert "Passkey, step " in answer.text
    assert place.operations(keyed.token_id)[0] == "passkey.refuse"
    keyed.key.count = count + 1
    assert options_of(answer)["challenge"] != options["challenge"]
    assert place.second_step(browser, keyed.key.get(options_of(answer))).status == 303


def test_an_answer_is_for_one_browser_and_for_once(place: Place, keyed: Keyed) -> None:
    mine, options = place.first_step(keyed.secret)
    theirs, _ = place.first_step(keyed.secret)
    answer = keyed.key.get(options)
    assert place.second_step(theirs, answer).status == 403  # the challenge of another browser
    kept = dict(mine.cookies), mine.form_token
    assert place.second_step(mine, answer).status == 303
    again = place.browser()
    again.cookies, again.form_token = kept
    replayed = place.second_step(again, answer)
    assert (replayed.status, SESSION in again.cookies) == (403, False)
    assert "has begun no sign-in" in replayed.text
    nobody = place.browser()
    nobody.get("/sign-in")
    assert place.second_step(nobody, answer).status == 403  # without the first step


def test_a_passkey_of_another_token_opens_nothing(place: Place, keyed: Keyed) -> None:
    other = place.keyed()
    browser, options = place.first_step(keyed.secret)
    assert place.second_step(browser, other.key.get(options)).status == 403
    browser, options = place.first_step(other.secret)
    assert place.second_step(browser, other.key.get(options)).status == 303
    mine = keyed.browser.get("/account").text
    theirs = re.search(r"/account/passkeys/[0-9a-f-]+/remove", other.browser.get("/account").text)[0]
    assert theirs not in mine
    assert keyed.browser.get(theirs).status == 404
    assert keyed.browser.post(theirs).status == 404
    assert other.browser.get(theirs).status == 200


def test_what_changes_between_the_steps_counts(place: Place) -> None:
    mine = place.keyed()
    browser, options = place.first_step(mine.secret)
    removal = re.search(r"/account/passkeys/[0-9a-f-]+/remove", mine.browser.get("/account").text)[0]
    assert mine.browser.confirm(removal).status == 303
    answer = place.second_step(browser, mine.key.get(options))
    assert (answer.status, SESSION in browser.cookies) == (403, False)
    assert place.browser().sign_in(mine.secret).headers["location"] == "/fleet"  # the token alone again
    revoked = place.keyed()
    browser, options = place.first_step(revoked.secret)
    assert place.running.call("DELETE", f"/api/v1/tokens/{revoked.token_id}").status == 204
    answer = place.second_step(browser, revoked.key.get(options))
    assert (answer.status, SESSION in browser.cookies) == (401, False)


def test_after_some_wrong_answers_the_token_is_asked_for_again(place: Place, keyed: Keyed) -> None:
    browser, _ = place.first_step(keyed.secret)
    for number in range(5):
        answer = browser.post("/sign-in/recovery", code="WRONG")
        assert answer.status == 403
        assert ("Now your passkey" in answer.text) is (number < 4)
    assert browser.post("/sign-in/recovery", code=keyed.codes[9]).status == 403
    browser, _ = place.first_step(keyed.secret)
    assert browser.post("/sign-in/recovery", code=keyed.codes[9].lower().replace("-", " ")).status == 303


def test_a_recovery_code_opens_the_console_once(place: Place) -> None:
    mine = place.keyed()
    browser, _ = place.first_step(mine.secret)
    answer = browser.post("/sign-in/recovery", code=mine.codes[0])
    assert answer.headers["location"] == "/account?told=recovered"
    assert "token and recovery code" in browser.get("/account").text
    again, _ = place.first_step(mine.secret)
    assert again.post("/sign-in/recovery", code=mine.codes[0]).status == 403
    made = browser.confirm("/account/recovery-codes")
    assert made.status == 200
    assert again.post("/sign-in/recovery", code=mine.codes[1]).status == 403  # void by the new ones
    new = re.search(r"<pre[^>]*>((?:[A-Z2-7]{4}-?)+)", made.text)[1]
    assert again.post("/sign-in/recovery", code=new).status == 303
    assert place.operations(mine.token_id)[:2] == ["passkey.recover", "passkey.refuse"]
    assert not any(code in str(place.running.call("GET", "/api/v1/audit").body) for code in (new, *mine.codes))


def test_a_code_of_the_host_opens_it_once_within_its_time(place: Place) -> None:
    mine, folder = place.keyed(), place.running.service.context.folder.path
    now = place.running.service.context.now()
    host_code.write_host_code(folder, "AAAA-BBBB-CCCC-DDDD", now - host_code.LIFETIME_S - 60)
    browser, _ = place.first_step(mine.secret)
    assert browser.post("/sign-in/recovery", code="AAAA-BBBB-CCCC-DDDD").status == 403
    host_code.write_host_code(folder, "AAAA-BBBB-CCCC-DDDD", now)
    assert (folder / host_code.FILE).stat().st_mode & 0o777 == 0o600
    assert browser.post("/sign-in/recovery", code="AAAA-BBBB-CCCC-DDDE").status == 403
    assert browser.post("/sign-in/recovery", code="AAAA-BBBB-CCCC-DDDD").status == 303
    browser, _ = place.first_step(mine.secret)
    assert browser.post("/sign-in/recovery", code="AAAA-BBBB-CCCC-DDDD").status == 403


def test_a_registration_is_bound_to_its_session_and_to_one_use(place: Place, keyed: Keyed) -> None:
    key, other = place.key(), place.keyed()
    assert place.register(keyed.browser, key, "red key", origin="https://evil.example").status == 400
    assert "red key" not in keyed.browser.get("/account").text
    mine = key.create(options_of(keyed.browser.get("/account/new-passkey")))
    other.browser.get("/account")
    assert other.browser.post("/account/new-passkey", name="theirs", answer=mine).status == 400
    keyed.browser.get("/account/new-passkey")  # asks for another
    assert keyed.browser.post("/account/new-passkey", name="late", answer=mine).status == 400
    assert place.register(keyed.browser, key, "second").status == 303
    assert place.register(keyed.browser, key, "third").status == 400  # this key a second time
    assert place.register(keyed.browser, place.key(), "second").status == 400  # this name a second time
    assert place.register(keyed.browser, place.key(), "x" * 65).status == 400
    assert "Last used" in keyed.browser.get("/account").text


def test_a_passkey_is_registered_and_removed_by_its_own_token_alone(place: Place, keyed: Keyed) -> None:
    other, passkeys = place.keyed(), place.running.service.passkeys
    assert passkeys is not None
    theirs = passkeys.list(UUID(other.token_id))[0].passkey_id
    keyed.browser.get("/account")
    assert keyed.browser.post(f"/account/passkeys/{theirs}/remove").status == 404
    with pytest.raises(NotFoundError):
        passkeys.remove(UUID(keyed.token_id), theirs, actor="t")
    assert len(passkeys.list(UUID(other.token_id))) == 1
    key = place.key()
    answer = key.create(passkeys.begin_registration("a browser", UUID(keyed.token_id), "Ann"))
    with pytest.raises(SignInRefusedError, match="was not asked"):
        passkeys.register("a browser", UUID(other.token_id), name="x", answer=answer, actor="t")


def test_who_signs_in_without_a_session_is_led_to_signing_in(place: Place) -> None:
    browser = place.browser()
    assert browser.get("/sign-in/passkey").headers["location"] == "/sign-in"
    assert browser.get("/account/new-passkey").status == 303
    assert browser.post("/sign-in/passkey", answer="{}").status == 403
    assert browser.send("POST", "/sign-in/recovery", b"code=x").status == 400

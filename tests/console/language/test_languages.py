# SPDX-License-Identifier: Apache-2.0
"""A person reads the console in the language that they chose, and others in theirs."""

from __future__ import annotations

from tests.console.console_server import RunningConsole
from tests.console.plain_browser import Browser, signed_in

LANGUAGE = "__Host-armillary-language"


def test_a_language_is_chosen_on_a_page_and_kept_by_the_browser(console: RunningConsole) -> None:
    browser = signed_in(console)
    assert '<html lang="en"' in browser.get("/help").text
    assert '<button class="plain" name="language" value="de" lang="de">Deutsch</button>' in browser.get("/help").text
    answer = browser.post("/language", language="de", back="/help")
    assert (answer.status, answer.headers["location"]) == (303, "/help")
    german = browser.get("/help").text
    assert '<html lang="de"' in german
    assert ">Flotte<" in german
    assert "<h1>Die Tasten gelten auf jeder Seite, außerhalb von Textfeldern.</h1>" in german
    assert ">English</button>" in german
    other = signed_in(console)
    assert ">Fleet<" in other.get("/help").text
    browser.post("/sign-out")
    assert "Bei Armillary anmelden" in browser.get("/sign-in").text
    assert "Dieses Token gilt nicht" in browser._sign_in("wrong").text


def test_a_language_that_there_is_not_is_refused_and_a_foreign_cookie_is_english(console: RunningConsole) -> None:
    browser = signed_in(console)
    for asked in ("", "fr", "../de", "x" * 5000):
        answer = browser.post("/language", language=asked)
        assert answer.status == 400
        assert "expected en or de" in answer.text
    stranger = Browser(console)
    for kept in ("fr", "../texts/de", "DE"):
        stranger.cookies[LANGUAGE] = kept
        assert '<html lang="en"' in stranger.get("/sign-in").text

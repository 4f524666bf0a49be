# SPDX-License-Identifier: Apache-2.0
"""A person reads the console in the language that they chose, and others in theirs."""

from __future__ import annotations

import pytest
from tests.console.console_server import RunningConsole
from tests.console.plain_browser import Browser, signed_in

from armillary.console.language.preference import preferred

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


def test_who_chose_none_reads_the_language_of_their_browser(console: RunningConsole) -> None:
    browser = Browser(console)
    for header, language in (("de-CH,de;q=0.9,en;q=0.8", "de"), ("en-GB", "en"), ("fr", "en"), ("en;q=0.1, de", "de")):
        assert f'<html lang="{language}"' in browser.get("/sign-in", Accept_Language=header).text
    page = browser.get("/sign-in?back=/alerts", Accept_Language="de").text
    assert '<button class="plain" name="language" value="en" lang="en">English</button>' in page
    answer = browser.post("/sign-in/language", language="en", back="/sign-in?back=/alerts")
    assert (answer.status, answer.headers["location"]) == (303, "/sign-in?back=/alerts")
    assert '<html lang="en"' in browser.get("/sign-in", Accept_Language="de").text, "what was chosen counts"


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("de", "de"),
        ("DE-at", "de"),
        ("en, de", "en"),
        ("de;q=0.5, en;q=0.6", "en"),
        ("de;q=0", "en"),
        ("fr-CH, de;q=0.9, *;q=0.5", "de"),
        ("*", "en"),
        ("de;q=2", "en"),
        ("de;q=x, de;q=0.001", "de"),
        ("../texts/de", "en"),
        (";;,,;q=1", "en"),
        ("x," * 100_000 + "de", "en"),
    ],
)
def test_the_language_that_a_header_prefers(header: str, language: str) -> None:
    assert preferred(header) == language


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

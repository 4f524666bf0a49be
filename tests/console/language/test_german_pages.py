# SPDX-License-Identifier: Apache-2.0
"""Every page that a link leads to is read in German: what the console says is said in German."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from babel.messages.pofile import read_po
from playwright.sync_api import expect
from starlette.routing import compile_path
from tests.api.running_service import running_service, wait_until
from tests.console.console_server import RunningConsole
from tests.console.hub_scene import HubScene
from tests.console.language.page_texts import PageTexts, read, walked
from tests.console.language.test_languages import LANGUAGE
from tests.console.page_check import reads_well
from tests.console.plain_browser import signed_in
from tests.console.scene import Scene
from tests.console.security_scene import SecurityScene
from tests.console.watched_browser import PHONE, Watched
from tests.console.water_scene import WaterScene

import armillary.console
from armillary.console.application import EDIT, READ
from armillary.console.language.translation import translation

CONSOLE: Final = Path(armillary.console.__file__).parent
STATIC: Final = CONSOLE / "static"
CATALOG: Final = CONSOLE / "texts" / "de.po"
# Addresses without names first: they count before one whose name they could be.
KINDS: Final = [
    (path, compile_path(path)[0])
    for path in sorted({path for path, *_ in (*READ, *EDIT)}, key=lambda path: (path.count("{"), path))
]
BEGIN: Final = ("/fleet", "/alerts?status=all", "/audit", "/settings", "/search?q=a", "/people", "/help", "/account")
# Words of English sentences that are no words of German ones.
_ENGLISH: Final = (
    "the of is are and by with this it has have not to from its which that they cannot does yet none never "
    "your you nothing each every who what when where how than then there their them or be been at as for into "
    "out"
)
ENGLISH: Final = frozenset(_ENGLISH.split())
# What is no text of the console: names and words that the scenes give, codes, titles of standards, and sentences that the
# service itself writes, the same in the API.
DATA: Final = frozenset(
    (
        "A group that is gone", "Crew and limits", "Flow and pressure over the day", "Flow by the hour",
        "Flow on its scale", "Flush the pump", "Flush the pump?", "Three pumps and a tank.", "What nobody has sent",
        "Where the pumps are", "Field", "Kind", "Target", "at.lat", "true", "false", "open",
        "aware", "devices", "product", "severity", "measures-of-users",
        "ETSI EN 303 645 V2.1.1, provisions; the table is the ICS of ETSI TS 103 701",
        "NIST IR 8259A, core baseline of device cybersecurity capabilities",
        "Django has a fault.", "It tried to reach scene.example", "It tried to reach scene.example.",
        "Kept for 1 channels.", "There is no channel: armillary notification-channel.",
        "List them: armillary segment list, or make it first.", "Not in its manifest.",
        "The device group has no deployment.",
    )
)  # fmt: skip
SCENES: Final = {"hub": HubScene, "security": SecurityScene, "water": WaterScene}


def forms_of(said: str | tuple[str, ...]) -> tuple[str, ...]:
    """A translation's forms."""
    return (said,) if isinstance(said, str) else said


def is_english(text: str) -> bool:
    """Whether a text is a sentence in English, or part of one."""
    return bool(ENGLISH & frozenset(re.findall(r"\b[a-z]+\b", text.lower())))


def left_in_english(english: PageTexts, german: PageTexts) -> list[str]:
    """Texts of a page that are the same in both languages, and English or known in German."""
    of_both, say = frozenset(english.texts) & frozenset(german.texts), translation("de").say
    said = {each.removesuffix(" · Armillary") for each in of_both} - DATA
    return sorted(each for each in said if is_english(each) or ("{" not in each and say(each) != each))


def english_pages(scene: Scene, begin: tuple[str, ...] = BEGIN) -> tuple[dict[str, list[str]], int]:
    """Kinds of pages with what they say in English though German is chosen; and how many pages were read."""
    here, there = scene.browser(), scene.browser()
    there.cookies[LANGUAGE] = "de"
    found, count = {}, 0
    for kind, href, english in walked(here, begin, KINDS):
        german = read(there.get(href).text)
        assert (english.language, german.language) == ("en", "de"), href
        count += 1
        if left := left_in_english(english, german):
            found[kind] = left
    return found, count


def raise_alert(scene: WaterScene) -> None:
    """One alert, so that their table is there."""
    rule = {"name": "Überlauf", "catalog": "northwind", "conditions": [{"telemetry": "flow", "op": ">", "value": 1000}]}
    assert scene.running.call("PUT", "/api/v1/rules/overflow", rule).status == 200
    wait_until(lambda: scene.running.platform.rules.loaded.get("overflow") is not None, "the rule")
    scene.send(0, {"flow": 2000})
    wait_until(lambda: scene.running.call("GET", "/api/v1/alerts").body["items"], "the alert")


def test_words_of_german_have_no_english_meaning_and_one_thing_has_one_word() -> None:
    german = translation("de")
    assert german.say("Tag") == "Kennzeichnen", "a tag is no day"
    assert german.say("Release") == "Freigeben", "a button lets a device go"
    catalog = read_po(CATALOG.open("rb"), locale="de")
    said = [(each.id, form) for each in catalog for form in forms_of(each.string)]
    assert [each for each in said if re.search(r"\bAbbild", each[1])] == []
    assert len(said) > 3000


def test_no_findings_are_said_with_their_state_in_german(console: RunningConsole) -> None:
    console.fleet.seen.clear()
    reader = signed_in(console)
    reader.cookies[LANGUAGE] = "de"
    for status, word in (("open", "offen"), ("acknowledged", "bestätigt"), ("closed", "geschlossen")):
        page = reader.get(f"/findings?status={status}").text
        assert f"Kein Befund: {word}" in page


@pytest.mark.console
def test_what_a_style_writes_is_german(scene: WaterScene, watch: Callable[..., Watched]) -> None:
    page = scene.sign_in(watch(scene, viewport=PHONE, has_touch=True, is_mobile=True))
    page.context.add_cookies([{"name": LANGUAGE, "value": "de", "url": scene.url, "secure": True}])
    page.goto("/fleet")
    said = page.evaluate("getComputedStyle(document.querySelector('thead.sorts tr'), '::before').content")
    assert said == '"Sortieren nach"'
    style = (STATIC / "style.css").read_text("utf-8") + (STATIC / "dashboard.css").read_text("utf-8")
    assert re.findall(r'content: "([^"]*[A-Za-z]{2}[^"]*)"', style) == [], (
        "a style speaks no language: attr(data-label)"
    )


@pytest.mark.parametrize("named", SCENES)
def test_what_the_console_says_on_its_pages_is_german(named: str, tmp_path: Path) -> None:
    with running_service(tmp_path) as running:
        scene = SCENES[named](running)
        if isinstance(scene, WaterScene):
            raise_alert(scene)
        found, count = english_pages(scene)
        if not isinstance(scene, SecurityScene):
            scene.close()
    assert count > 80, "pages were read"
    assert not found, "mark these by say, or name them as data (docs/concepts/languages.md)"


def test_what_is_english_in_german_pages_is_found() -> None:
    english = (
        "<html lang=en><h1>No device is here.</h1><p>Ada <b>Name</b></p><td data-label=State>x</td><button>Go</button>"
    )
    german = "<html lang=de><h1>No device is here.</h1><p>Ada <b>Name</b></p><td data-label=Zustand>x</td><button>Los</button>"
    assert left_in_english(read(english), read(german)) == ["No device is here."]
    unmarked = "<html lang=de><h1>Kein Gerät.</h1><p>Ada</p><td data-label=State>x</td><button>Los</button>"
    assert left_in_english(read(english), read(unmarked)) == ["State"], "it has a translation"
    data = "<html><p><code>none of it</code><span lang=en>is that</span></p><td>what is sent</td>"
    assert left_in_english(read(data), read(data)) == []


LOOKED_AT: Final = ("/fleet", "/alerts?status=all", "/dashboards/water", "/rules/new", "/settings")


@pytest.mark.console
@pytest.mark.parametrize("look", ["desktop", "phone"])
def test_pages_in_german_are_accessible_and_fit_on_a_phone(
    scene: WaterScene, watch: Callable[..., Watched], look: str
) -> None:
    phone = {"viewport": PHONE, "has_touch": True, "is_mobile": True} if look == "phone" else {}
    page = scene.sign_in(watch(scene, **phone))
    page.context.add_cookies([{"name": LANGUAGE, "value": "de", "url": scene.url, "secure": True}])
    for number, path in enumerate(LOOKED_AT):
        page.goto(path)
        expect(page.locator("html")).to_have_attribute("lang", "de")
        expect(page.get_by_role("heading", level=1)).to_have_count(1)
        reads_well(page, f"german-{number}-{look}")

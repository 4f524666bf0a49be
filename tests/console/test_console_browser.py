# SPDX-License-Identifier: Apache-2.0
"""The console in a real Chromium: every place with data, live values, an action taken and undone, keys, phone, dark."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect
from tests.console.console_server import RunningConsole
from tests.console.page_check import asks_each_second, problems_of
from tests.console.rehearsed_data import device_id, hold, transfer, uid
from tests.console.watched_browser import ARTEFACTS, LOOKS, Watched, picture, some_of, wait_true

pytestmark = pytest.mark.console

DEVICE = f"/devices/{device_id(0)}"
VALUES = f"{DEVICE}/values"
ROLLOUT = f"/updates/{uid('rollout running')}"
PLACES = {
    "fleet": ("/fleet", r"64 devices: 58 attested"),
    "device": (DEVICE, r"Attested .* software root of trust, running OS 24\.06 and 3 applications\."),
    "device-values": (VALUES, r"It sends 6 values, 1 of them stale\."),
    "device-software": (f"{DEVICE}/software", r"It has OS 24\.06 and 3 applications\."),
    "device-containment": (f"{DEVICE}/containment", r"6 of 8 mechanisms enforced"),
    "device-log": (f"{DEVICE}/log", r"Nothing of this device's log is here"),
    "device-history": (f"{DEVICE}/history", r"entries, newest first\."),
    "device-not-trusted": (f"/devices/{device_id(8)}", r"Not trusted: .* step 13 failed"),
    "device-never-seen": (f"/devices/{device_id(13)}", r"Never checked in"),
    "updates": ("/updates", r"Roll-outs: 1 running\."),
    "roll-out": (ROLLOUT, r"Rolling coffee-control out to 1,204 devices"),
    "halt": (f"{ROLLOUT}/halt", r"Halt coffee-control on Coffee machine / Production\?"),
    "findings": ("/findings", r"4 findings need you"),
    "audit": ("/audit?verify=now", r"5 operations are recorded\."),
    "settings": ("/settings", r"1 catalog and 3 valid tokens\."),
    "help": ("/help", r"Keys work on every page"),
    "not-found": ("/nowhere", r"Page not found\."),
}

HELD = device_id(4)
CATALOG = "/settings/catalogs/northwind"
# After play_out_a_life.
LIFE = {
    "device-held": (f"/devices/{HELD}", r"Held for 2 h: a copy was found"),
    "device-release": (f"/devices/{HELD}/release", r"Release device .*\?"),
    "device-offered": (f"/devices/{device_id(2)}", r"Attested"),
    "device-changed-hands": (f"/devices/{device_id(6)}", r"Attested"),
    "device-out-of-service": (f"/devices/{device_id(10)}", r"Out of service: decommissioned 2 h ago, scrapped\."),
    "accept": (f"{CATALOG}/transfers/{uid('transfer 100')}/accept", r"Accept device .* from contoso\?"),
    "cancel": (f"{CATALOG}/transfers/{uid('transfer 2')}/cancel", r"Cancel the offer of device .* to contoso\?"),
    "enrolment-revoke": (f"{CATALOG}/enrolment-tokens/{uid('enrolment 2')}/revoke", r"Revoke the enrolment token"),
    "fleet-held": ("/fleet?health=update-only", r"64 devices: 56 attested"),
}


@LOOKS
def test_every_place_opens_with_data_reads_well_and_is_accessible(
    console: RunningConsole, watch: Callable[..., Watched], look: str, options: dict[str, object]
):
    watched = watch(console, **options)
    page = watched.context.new_page()
    page.goto("/sign-in")
    assert problems_of(page) == []
    picture(page, ARTEFACTS / f"{look}-sign-in.png")
    page.close()
    page = watched.sign_in()
    look_at(page, look, PLACES)
    play_out_a_life(console)
    look_at(page, look, LIFE)


def look_at(page: Page, look: str, places: dict[str, tuple[str, str]]) -> None:
    for name, (path, says) in some_of(places.items(), look):
        page.goto(path)
        expect(page.locator("h1")).to_contain_text(re.compile(says))
        if name == "device-values":
            expect(page.locator(".uplot canvas")).to_be_visible()
        assert problems_of(page) == [], f"{look} {name}"
        wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wider <= 0, f"{look} {name} is {wider} px wider than the window"
        whole = (name.startswith("device") and look != "phone") or name == "settings"
        picture(page, ARTEFACTS / f"{look}-{name}.png", full_page=whole)


def play_out_a_life(console: RunningConsole) -> None:
    """One device is held, one has changed hands, one is out of service; one is on offer from the beginning."""
    fleet = console.fleet
    hold(fleet.now, fleet.all[HELD])
    fleet.all[device_id(6)]["transfer"] = transfer(fleet.now, 6, "accepted", of="contoso", to="northwind")
    fleet.all[device_id(10)].update(
        health="revoked", revoked_at=fleet.now - 7200, revoked_reason="scrapped", decommissioned_at=fleet.now - 7200,
        catalog=None, product=None, group=None,
    )  # fmt: skip


def test_each_place_of_the_rail_is_one_click_away(console: RunningConsole, watch: Callable[..., Watched]):
    page = watch(console).sign_in()
    for place in ("Updates", "Findings", "Audit", "Settings", "Fleet"):
        page.get_by_role("navigation", name="Places").get_by_role("link", name=place).click()
        expect(page.locator("nav.places a[aria-current=page]")).to_contain_text(place)
        expect(page.locator("h1")).to_be_visible()


def test_a_live_value_is_seen_to_change(console: RunningConsole, watch: Callable[..., Watched]):
    page = watch(console).sign_in()
    page.goto(VALUES)
    value = page.locator("[data-metric-row=boiler_celsius] [data-value]")
    expect(value).to_have_text("92.4 °C")
    expect(page.locator("#live-status")).to_have_text("live")
    before = page.evaluate("document.querySelector('.uplot canvas').toDataURL()")
    at_ms = int(time.time() * 1000)
    for step, celsius in enumerate((120.5, 121.5, 131.25)):
        console.say("boiler_celsius", celsius, at_ms + 1000 * step)
    expect(value).to_have_text("131.25 °C")
    wait_true(page, "(before) => document.querySelector('.uplot canvas').toDataURL() !== before", arg=before)


def test_a_halt_is_taken_and_undone_and_leaves_two_audit_lines(console: RunningConsole, watch: Callable[..., Watched]):
    page = watch(console).sign_in("contributor-secret")
    page.goto(ROLLOUT)
    page.get_by_role("link", name="Halt").click()
    expect(page.get_by_text("923 devices not yet offered the update stay on what they have.")).to_be_visible()
    page.get_by_label("Reason").fill("crashes in ring 2")
    page.get_by_role("button", name="Halt").click()
    expect(page.locator(".notice")).to_contain_text("Halted.")
    expect(page.locator("h1")).to_contain_text("Halted at 19 %")
    expect(page.get_by_text("Crashes in ring 2.")).to_be_visible()

    page.get_by_role("link", name="Resume").click()
    page.get_by_role("button", name="Resume").click()  # the word is asked for: the form does not go
    assert console.fleet.roll[0]["state"] == "held"
    page.get_by_label("Type resume").fill("resume")
    page.get_by_role("button", name="Resume").click()
    expect(page.locator("h1")).to_contain_text("Rolling coffee-control out")

    page.get_by_role("link", name="Audit line").click()
    expect(page.locator("main tbody tr").nth(0)).to_contain_text("rollout.resume")
    expect(page.locator("main tbody tr").nth(1)).to_contain_text("rollout.halt")
    expect(page.locator("main tbody tr").nth(1)).to_contain_text("contributor")
    page.get_by_role("button", name="Verify chain").click()
    expect(page.locator(".notice")).to_contain_text("All 7 lines fit")


def test_a_page_follows_the_service_without_a_reload(console: RunningConsole, watch: Callable[..., Watched]):
    page = watch(console).sign_in()
    page.goto(ROLLOUT)
    asks_each_second(page, "5")
    page.evaluate("window.kept = true")
    console.fleet.roll[0]["counts"].update(confirmed=842, waiting=294)
    expect(page.locator("h1")).to_contain_text("70 % updated")
    assert page.evaluate("window.kept") is True


def test_a_revoked_token_ends_an_open_page(console: RunningConsole, watch: Callable[..., Watched]):
    page = watch(console, allowed=("status of 401",)).sign_in("reader-secret")
    page.goto(VALUES)
    expect(page.locator("#live-status")).to_have_text("live")
    console.fleet.revoked_tokens.add(uid("reader-secret"))
    expect(page.locator("#live-status")).to_have_text("signed out")
    asks_each_second(page, "10")
    page.wait_for_url(re.compile(r"/sign-in\?back="))


def test_keys_work(console: RunningConsole, watch: Callable[..., Watched]):
    page = watch(console).sign_in()
    page.keyboard.press("g")
    page.keyboard.press("u")
    page.wait_for_url("**/updates")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.keyboard.press("/")
    field = page.get_by_role("searchbox", name="Search everything")
    expect(field).to_be_focused()
    page.keyboard.type("g f")  # inside a field they are letters
    expect(field).to_have_value("g f")


def test_a_filter_lives_in_the_address(console: RunningConsole, watch: Callable[..., Watched]):
    page = watch(console).sign_in()
    page.get_by_role("combobox", name="State").select_option("silent")
    page.wait_for_url(re.compile(r"/fleet\?.*health=silent"))
    expect(page.locator("main tbody tr")).to_have_count(2)
    page.reload()
    expect(page.locator("main tbody tr")).to_have_count(2)
    page.get_by_role("link", name="2 silent").click()
    page.wait_for_url("**/fleet")


def test_an_id_is_copied_whole(console: RunningConsole, watch: Callable[..., Watched]):
    page = watch(console).sign_in()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(DEVICE)
    page.locator(".crumbs").get_by_role("button", name="Copy device id").click()
    expect(page.locator("#said")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == device_id(0)


def test_the_theme_is_kept_and_needs_no_script(console: RunningConsole, watch: Callable[..., Watched]):
    page = watch(console, java_script_enabled=False, color_scheme="light").sign_in()
    page.get_by_role("button", name="Theme: auto").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.goto("/findings")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_pages_read_and_forms_work_without_script(console: RunningConsole, watch: Callable[..., Watched]):
    page = watch(console, java_script_enabled=False).sign_in()
    for path, says in PLACES.values():
        page.goto(path)
        expect(page.locator("h1")).to_contain_text(re.compile(says))
    page.goto(VALUES)
    expect(page.locator("[data-metric-row=boiler_celsius] [data-value]")).to_have_text("92.4 °C")
    page.get_by_role("link", name="Overview").click()
    page.get_by_role("link", name="Revoke").click()
    page.get_by_label("Reason").fill("lost")
    page.get_by_role("button", name="Revoke").click()
    expect(page.locator("h1")).to_contain_text("Revoked")
    assert console.fleet.device(device_id(0))["revoked_reason"] == "lost"


def test_a_device_is_revoked_and_restored(console: RunningConsole, watch: Callable[..., Watched]):
    page = watch(console).sign_in()
    page.goto(DEVICE)
    page.get_by_role("link", name="Revoke").click()
    page.get_by_label("Reason").fill("lost in the depot")
    page.get_by_role("button", name="Revoke").click()
    expect(page.locator("h1")).to_contain_text(re.compile(r"Revoked (just now|\d+ s ago): lost in the depot\."))
    page.get_by_role("link", name="Restore").click()
    page.get_by_role("button", name="Restore").click()
    expect(page.locator("h1")).to_contain_text("Attested")


def test_a_device_is_offered_to_another_catalog_and_taken_out_of_service(
    console: RunningConsole, watch: Callable[..., Watched]
):
    console.fleet.neighbours.append("contoso")
    page = watch(console).sign_in()
    page.goto(DEVICE)
    page.get_by_role("link", name="Give to another catalog").click()
    expect(page.get_by_text("works as before until somebody accepts")).to_be_visible()
    page.get_by_role("button", name="Offer").click()  # the browser itself asks for a choice
    expect(page).to_have_url(re.compile(r"/offer$"))
    page.get_by_label("To").select_option("contoso")
    page.get_by_role("button", name="Offer").click()
    expect(page.get_by_text("Offered to contoso")).to_be_visible()
    expect(page.locator("[aria-disabled]", has_text="Give to another catalog")).to_be_visible()
    page.get_by_role("link", name="Decommission").click()
    page.get_by_label("Reason").fill("scrapped")
    page.get_by_role("button", name="Decommission").click()
    expect(page.locator("h1")).to_contain_text(
        re.compile(r"Out of service: decommissioned (just now|\d+ s ago), scrapped\.")
    )
    expect(page.get_by_role("link", name="Decommission")).to_have_count(0)
    assert [line["operation"] for line in console.fleet.lines[-2:]] == ["device.transfer-offer", "device.decommission"]


def test_a_held_device_is_released(console: RunningConsole, watch: Callable[..., Watched]):
    hold(console.fleet.now, console.fleet.all[HELD])
    page = watch(console).sign_in()
    page.goto(f"/devices/{HELD}")
    expect(page.locator("h1")).to_contain_text("Held for 2 h: a copy was found")
    expect(page.locator("#trust .state.bad")).to_have_text("fail")
    page.get_by_role("link", name="Release").click()
    expect(page.get_by_text("The next machine that proves this identity becomes the device")).to_be_visible()
    page.get_by_role("link", name="Cancel").click()
    assert console.fleet.all[HELD]["held_at"] is not None
    page.get_by_role("link", name="Release").click()
    page.get_by_role("button", name="Release").click()
    expect(page.locator(".notice").first).to_contain_text("Released.")
    expect(page.locator("h1")).to_contain_text("Attested")
    expect(page.get_by_role("link", name="Release")).to_have_count(0)
    assert console.fleet.lines[-1]["operation"] == "device.release"


def test_offers_are_accepted_declined_and_cancelled(console: RunningConsole, watch: Callable[..., Watched]):
    console.fleet.offers.append(transfer(console.fleet.now, 101, of="contoso", to="northwind"))
    page = watch(console).sign_in("contributor-secret")
    page.goto(f"/devices/{device_id(2)}")
    page.get_by_role("link", name="Offers that wait").click()
    expect(page.get_by_text("2 devices offered to this catalog, 1 offered by it")).to_be_visible()
    rows = page.locator("table", has=page.get_by_text("Offered", exact=True)).locator("tbody tr")
    for row, verb, button, says in (
        (0, "Accept", "Accept", "Accepted"),
        (1, "Decline", "Decline", "Declined"),
        (0, "Cancel", "Cancel the offer", "Cancelled"),
    ):
        rows.nth(row).get_by_role("link", name=verb).click()
        page.get_by_role("button", name=button).click()
        expect(page.locator(".notice").first).to_contain_text(says)
    expect(page.get_by_text("none pending")).to_be_visible()
    assert [item["state"] for item in console.fleet.offers] == ["accepted", "cancelled", "declined"]


def test_an_enrolment_token_is_made_shown_once_and_revoked(console: RunningConsole, watch: Callable[..., Watched]):
    page = watch(console).sign_in("contributor-secret")
    page.goto("/settings")
    page.get_by_label("Into").select_option("Coffee machine / Production")
    page.get_by_label("Devices").fill("3")
    page.get_by_label("Ends in").select_option("7 days")
    page.get_by_role("button", name="Create an enrolment token").click()
    said = page.locator(".notice", has_text="It is shown this once")
    expect(said).to_contain_text("It enrols 3 devices into northwind, Coffee machine / Production, and ends 20")
    expect(said.locator("pre").first).to_have_text(re.compile(r"^arme_[0-9a-f-]{36}$"))
    assert problems_of(page) == []
    picture(page, ARTEFACTS / "light-enrolment-made.png")
    page.goto("/settings")
    expect(page.get_by_text("arme_")).to_have_count(0)
    row = page.locator("tr", has_text="Coffee machine / Production").filter(has_text="0 of 3")
    row.get_by_role("link", name="Revoke").click()
    page.get_by_role("button", name="Revoke").click()
    expect(row.locator(".state")).to_have_text("revoked")
    assert [line["operation"] for line in console.fleet.lines[-2:]] == [
        "enrolment-token.create",
        "enrolment-token.revoke",
    ]


def test_script_and_server_say_the_same_ages(console: RunningConsole, watch: Callable[..., Watched]):
    from armillary.console.frame.words import moment  # noqa: PLC0415 - only this test compares the two

    page = watch(console).sign_in()
    address = page.evaluate("[...document.scripts].map((script) => script.src).find((src) => src.includes('/shell.'))")
    ages = [0, 4, 5, 59, 119, 120, 7199, 7200, 172_799, 172_800, 86_400 * 1500, -5, -7200]
    now = console.fleet.now
    said = page.evaluate(
        "async ([address, ages, now]) => { const { relative } = await import(address); return ages.map((age) => relative(now - age, now)); }",
        [address, ages, now],
    )
    assert said == [moment(now - age, now).relative for age in ages]  # type: ignore[union-attr]


def test_an_empty_fleet_is_a_designed_page(empty_console: RunningConsole, watch: Callable[..., Watched]):
    page = watch(empty_console).sign_in()
    expect(page.locator("h1")).to_have_text("No devices yet.")
    expect(page.locator(".command").first).to_contain_text("armillary catalog create")
    assert problems_of(page) == []
    picture(page, ARTEFACTS / "light-empty.png")


def test_the_accessibility_check_finds_what_it_is_for(console: RunningConsole, watch: Callable[..., Watched]):
    page = watch(console).sign_in()
    page.evaluate(
        """() => {
          const main = document.querySelector("main");
          const add = (html) => main.insertAdjacentHTML("beforeend", html);
          add('<button id="nameless"></button>');
          add('<input id="unlabelled">');
          add('<a id="empty" href="/fleet"></a>');
          add('<h3 id="skipped">x</h3>');
          add('<p id="pale">pale</p>');
          document.getElementById("pale").style.color = "#bbb";
          add('<i id="twice"></i><i id="twice"></i>');
        }"""
    )
    found = " | ".join(problems_of(page))
    for expected in ("nameless", "unlabelled", "empty", "skipped", "pale", "twice"):
        assert expected in found

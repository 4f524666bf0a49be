# SPDX-License-Identifier: Apache-2.0
"""Lists that keep up in a real Chromium: rows that are read stay, new ones wait behind a bar that loads them."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect
from tests.console import rehearsed_data
from tests.console.console_server import RunningConsole
from tests.console.page_check import reads_well
from tests.console.rehearsed_data import uid
from tests.console.watched_browser import LOOKS, Watched
from tests.console.water_scene import WaterScene

from armillary.console.device import pages_fleet

pytestmark = pytest.mark.console

ROWS = "[...document.querySelectorAll('tr[data-row]')].map((row) => row.dataset.row)"


def asks_again(page: Page, part: str) -> None:
    """The part asks for itself, as it does every few seconds, and what came is there."""
    page.evaluate(
        """(part) => new Promise((done) => {
          document.addEventListener("htmx:afterSettle", () => done(null), { once: true });
          htmx.trigger(document.getElementById(part), "refresh");
        })""",
        part,
    )


def finding(console: RunningConsole, name: str) -> dict[str, Any]:
    made = deepcopy(console.fleet.seen[0])
    return {**made, "finding_id": uid(name), "title": f"Finding {name}", "status": "open"}


def bar(page: Page) -> Locator:
    return page.locator("[data-load-rows]")


def test_a_new_finding_waits_behind_a_bar_while_the_list_is_read(
    console: RunningConsole, watch: Callable[..., Watched]
) -> None:
    page = watch(console).sign_in("admin-secret")
    page.goto("/findings")
    shown = page.evaluate(ROWS)
    assert shown
    expect(bar(page)).to_be_hidden()
    asks_again(page, "findings")
    expect(bar(page)).to_be_hidden()
    assert page.evaluate(ROWS) == shown

    page.evaluate("document.querySelector('tr[data-row]').dataset.mark = 'before'")
    sentence = page.get_by_role("heading", level=1).inner_text()
    console.fleet.seen += [finding(console, "one"), finding(console, "two")]
    asks_again(page, "findings")
    assert page.evaluate(ROWS) == shown
    expect(bar(page)).to_have_text("2 newShow")
    assert page.get_by_role("heading", level=1).inner_text() != sentence  # what is around the rows keeps up
    assert page.locator("tr[data-mark]").count() == 0  # so does what a row says

    console.fleet.seen.append(finding(console, "three"))
    asks_again(page, "findings")
    expect(bar(page)).to_have_text("3 newShow")
    bar(page).click()
    expect(page.locator("tr.fresh")).to_have_count(3)
    assert set(page.evaluate(ROWS)) == {*shown, *(uid(each) for each in ("one", "two", "three"))}
    expect(bar(page)).to_be_hidden()
    asks_again(page, "findings")
    expect(bar(page)).to_be_hidden()


def test_what_has_gone_stays_says_so_and_can_no_longer_be_changed(
    console: RunningConsole, watch: Callable[..., Watched]
) -> None:
    page = watch(console).sign_in("admin-secret")
    page.goto("/findings")
    shown = page.evaluate(ROWS)
    gone = next(each for each in console.fleet.seen if each["finding_id"] == shown[0])
    row = page.locator(f"tr[data-row='{shown[0]}']")
    assert row.get_by_role("button").count()  # the control
    gone["status"] = "closed"
    for _ in range(2):
        asks_again(page, "findings")
        assert page.evaluate(ROWS) == shown
        expect(row.locator("[data-gone]")).to_have_text("no longer in this list")
        assert row.get_by_role("button").count() == 0
        expect(bar(page)).to_have_text("1 no longer listedShow")
    console.fleet.seen.append(finding(console, "late"))
    asks_again(page, "findings")
    expect(bar(page)).to_have_text("1 new, 1 no longer listedShow")
    bar(page).click()
    expect(row).to_have_count(0)
    expect(page.locator(f"tr[data-row='{uid('late')}']")).to_have_count(1)


def test_devices_that_a_new_one_pushes_to_the_next_page_are_not_said_to_be_gone(
    console: RunningConsole, watch: Callable[..., Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages_fleet, "PAGE_SIZE", 5)
    page = watch(console).sign_in("reader-secret")
    page.goto("/fleet")
    shown = page.evaluate(ROWS)
    assert len(shown) == 5
    first = "0" * 128
    console.fleet.all[first] = {**rehearsed_data.device(console.fleet.now, 1), "device_id": first}
    asks_again(page, "fleet")
    assert page.evaluate(ROWS) == shown
    expect(bar(page)).to_have_text("1 newShow")
    bar(page).click()
    expect(page.locator(f"tr[data-row='{first}']")).to_have_count(1)
    assert page.evaluate(ROWS) == [first, *shown[:4]]


def test_the_audit_log_keeps_up_unless_it_is_verified_or_paged(
    console: RunningConsole, watch: Callable[..., Watched]
) -> None:
    page = watch(console).sign_in("admin-secret")
    page.goto("/audit?verify=now")
    assert page.locator("#audit[data-every]").count() == 0
    page.goto("/audit?after=3")
    assert page.locator("#audit[data-every]").count() == 0
    page.goto("/audit")
    assert page.locator("#audit").get_attribute("data-every") == "15"
    shown = page.evaluate(ROWS)
    console.fleet._audit("maren", "rollout.halt", uid("rollout running"), {})
    asks_again(page, "audit")
    assert page.evaluate(ROWS) == shown
    expect(bar(page)).to_have_text("1 newShow")
    expect(page.get_by_role("heading", level=1)).to_have_text(f"{len(shown) + 1} operations are recorded.")
    bar(page).click()
    expect(page.locator("tr[data-row]")).to_have_count(len(shown) + 1)


def test_lists_that_are_sheets_keep_their_rows_as_well(scene: WaterScene, watch: Callable[..., Watched]) -> None:
    store, page = scene.running.platform.documents, scene.sign_in(watch(scene))
    rule = {"catalog": "northwind", "conditions": [{"telemetry": "flow", "op": ">", "value": 1e9}], "enabled": False}
    try:
        store.put("rule", "zn-first", {**rule, "name": "Zn first"}, by="test")
        page.goto("/rules?q=zn&sort=-rule")
        assert page.evaluate(ROWS) == ["zn-first"]
        store.put("rule", "zn-second", {**rule, "name": "Zn second"}, by="test")
        asks_again(page, "sheet")
        assert page.evaluate(ROWS) == ["zn-first"]
        expect(bar(page)).to_have_text("1 newShow")
        expect(page.get_by_role("heading", level=1)).to_contain_text("2 rules")
        bar(page).click()
        expect(page.locator("tr.fresh")).to_have_count(1)
        assert page.evaluate(ROWS) == ["zn-second", "zn-first"]
        store.delete("rule", "zn-first", by="test")
        asks_again(page, "sheet")
        expect(page.locator("tr[data-row=zn-first] [data-gone]")).to_have_text("no longer in this list")
        # A page of one thing is none: its tables are as they are now.
        page.goto("/rules/zn-second")
        assert page.evaluate(ROWS) == []
    finally:
        for each in ("zn-first", "zn-second"):
            if store.find("rule", each):
                store.delete("rule", each, by="test")


def test_an_empty_list_shows_what_comes_at_once(console: RunningConsole, watch: Callable[..., Watched]) -> None:
    page = watch(console).sign_in("admin-secret")
    kept = [each for each in console.fleet.seen if each["status"] == "open"]
    console.fleet.seen.clear()
    page.goto("/findings")
    assert page.evaluate(ROWS) == []
    console.fleet.seen += kept
    asks_again(page, "findings")
    assert set(page.evaluate(ROWS)) == {each["finding_id"] for each in kept}
    expect(bar(page)).to_be_hidden()


@LOOKS
def test_the_bar_reads_well(
    console: RunningConsole, watch: Callable[..., Watched], look: str, options: dict[str, object]
) -> None:
    page = watch(console, **options).sign_in("admin-secret")
    page.goto("/findings")
    console.fleet.seen[0]["status"] = "closed"
    console.fleet.seen.append(finding(console, "one"))
    asks_again(page, "findings")
    expect(bar(page)).to_be_visible()
    page.mouse.wheel(0, 400)
    expect(bar(page)).to_be_in_viewport()
    reads_well(page, f"new-rows-{look}")


SOON = "(part) => { document.getElementById(part).dataset.every = '1'; }"


def test_a_list_keeps_up_by_itself_while_rows_are_ticked(
    console: RunningConsole, watch: Callable[..., Watched]
) -> None:
    page = watch(console).sign_in("admin-secret")
    page.goto("/fleet")
    box = page.locator("tr[data-row] [data-pick]").nth(1)
    name = box.get_attribute("name")
    box.check()
    expect(box).to_be_focused()
    new = {**rehearsed_data.device(console.fleet.now, 1)}
    console.fleet.all["0" * 128] = {**new, "device_id": "0" * 128}
    page.evaluate(SOON, "fleet")
    expect(bar(page)).to_have_text("1 newShow")
    kept = page.locator(f"[name='{name}']")
    expect(kept).to_be_checked()
    expect(kept).to_be_focused()
    expect(page.locator("[data-picked]")).to_have_text("1 selected:")
    # Nothing is ticked any more, and somebody is still on the box.
    kept.uncheck()
    console.fleet.all["1" + "0" * 127] = {**new, "device_id": "1" + "0" * 127}
    page.evaluate(SOON, "fleet")
    expect(bar(page)).to_have_text("2 newShow")
    expect(page.locator(f"[name='{name}']")).to_be_focused()
    # All of the page are ticked by one box.
    every = page.locator("[data-pick-all] input")
    every.check()
    console.fleet.all["2" + "0" * 127] = {**new, "device_id": "2" + "0" * 127}
    page.evaluate(SOON, "fleet")
    expect(bar(page)).to_have_text("3 newShow")
    expect(every).to_be_checked()
    expect(every).to_be_focused()
    expect(page.locator("tr[data-row] [data-pick]:not(:checked)")).to_have_count(0)


def test_lists_that_are_sheets_keep_up_by_themselves_while_rows_are_ticked(
    scene: WaterScene, watch: Callable[..., Watched]
) -> None:
    store, page = scene.running.platform.documents, scene.sign_in(watch(scene))
    rule = {"catalog": "northwind", "conditions": [{"telemetry": "flow", "op": ">", "value": 1e9}], "enabled": False}
    try:
        store.put("rule", "zt-first", {**rule, "name": "Zt first"}, by="test")
        page.goto("/rules?q=zt&sort=-rule")
        page.locator("[data-pick]").check()
        store.put("rule", "zt-second", {**rule, "name": "Zt second"}, by="test")
        page.evaluate(SOON, "sheet")
        expect(bar(page)).to_have_text("1 newShow")
        expect(page.locator("[data-pick]")).to_be_checked()
    finally:
        for each in ("zt-first", "zt-second"):
            if store.find("rule", each):
                store.delete("rule", each, by="test")

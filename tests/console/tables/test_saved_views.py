# SPDX-License-Identifier: Apache-2.0
"""Saved views, chosen columns and the filtered audit log as people use them, over a real service."""

from __future__ import annotations

import csv
import io
import re

from tests.console.water_scene import WaterScene


def test_a_view_is_saved_shown_renamed_and_deleted_by_its_owner_alone(scene: WaterScene) -> None:
    browser, other = scene.browser("Reader"), scene.browser("Administrator")
    here = "/audit?what=device&sort=line"
    assert browser.get(here).status == 200
    saved = browser.post("/table-views", here=f"{here}&after=9&told=kept", name="Devices first")
    assert (saved.status, saved.headers["location"]) == (303, f"{here}&told=view-saved")
    page = browser.get(here).text
    assert f'<a href="{here.replace("&", "&amp;")}" aria-current="true">Devices first</a>' in page
    assert "Devices first" not in browser.get("/alerts").text
    assert "Devices first" not in other.get(here).text
    found = re.search(r'"(/table-views/[0-9a-f-]{36})/rename"', page)
    assert found is not None
    for path in (f"{found[1]}/rename", f"{found[1]}/delete"):
        assert other.post(path, name="Mine").status == 404
    assert browser.post(f"{found[1]}/rename", name="Oldest").status == 303
    assert "Delete the view Oldest?" in browser.get(f"{found[1]}/delete").text
    assert browser.post(f"{found[1]}/delete").status == 303
    assert "Oldest" not in browser.get(here).text
    for name in ("", "x" * 41):
        assert browser.post("/table-views", here=here, name=name).status == 400


def test_columns_are_chosen_remembered_and_left_out_of_the_export(scene: WaterScene) -> None:
    browser = scene.browser("Reader")
    page = browser.get("/groups").text
    known = re.search(r'name="known" value="([^"]+)"', page)
    assert known is not None
    names = known[1].split(",")
    chosen = browser.post("/table-columns", here="/groups?a=1", known=known[1], **{f"column_{names[0]}": "on"})
    assert (chosen.status, chosen.headers["location"]) == (303, f"/groups?a=1&columns={names[0]}")
    shown = browser.get("/groups").text  # remembered
    assert shown.count('<th scope="col"') == page.count('<th scope="col"') - len(names) + 1
    (head, *_) = csv.reader(io.StringIO(browser.get(f"/groups?columns={names[0]}&export=csv").text))
    assert len(head) == 2
    everything = browser.post(
        "/table-columns", here="/groups", known=known[1], **{f"column_{each}": "on" for each in names}
    )
    assert everything.headers["location"] == "/groups"
    assert browser.get("/groups").text.count('<th scope="col"') == page.count('<th scope="col"')
    led = browser.post("/table-columns", here="//evil.example", known="a", column_a="on")
    assert led.headers["location"] == "/fleet"


def test_the_audit_log_is_filtered_sorted_and_exported(scene: WaterScene) -> None:
    browser = scene.browser("Reader")
    store = scene.running.platform.documents
    del store
    everything = list(csv.reader(io.StringIO(browser.get("/audit?export=csv").text)))
    head, lines = everything[0], everything[1:]
    what, who = head.index("Operation"), head.index("Who")
    word = lines[0][what].partition(".")[0]
    found = list(csv.reader(io.StringIO(browser.get(f"/audit?what={word}&export=csv").text)))[1:]
    assert found
    assert all(each[what].startswith(f"{word}.") for each in found)
    one = list(csv.reader(io.StringIO(browser.get(f"/audit?who={lines[0][who]}&export=csv").text)))[1:]
    assert one
    assert {each[who] for each in one} == {lines[0][who]}
    numbers = [int(each[0].replace(",", "")) for each in lines]
    assert numbers == sorted(numbers, reverse=True)
    rising = list(csv.reader(io.StringIO(browser.get("/audit?sort=line&export=csv").text)))[1:]
    assert [each[0] for each in rising][: len(lines)] == [each[0] for each in reversed(lines)]
    assert "No operation matches" in browser.get("/audit?who=nobody-of-that-name").text
    assert "No operation matches" in browser.get("/audit?end=2001-01-01").text
    wrong = browser.get("/audit?start=yesterday")
    assert wrong.status == 400
    assert "expected a time such as" in wrong.text

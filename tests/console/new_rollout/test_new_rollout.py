# SPDX-License-Identifier: Apache-2.0
"""From a file to a roll-out, over a real service: the pages, what they refuse, and one whole way in a real browser."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from html import unescape
from pathlib import Path
from uuid import UUID

import pytest
from playwright.sync_api import expect
from tests.api.running_service import application, fresh, fresh_os_version
from tests.console.hub_scene import HubScene
from tests.console.page_check import reads_well
from tests.console.plain_browser import Answer, Browser
from tests.console.watched_browser import LOOKS, Watched, some_of

from armillary.console.frame.confirmation import WIDE_DEVICES
from armillary.console.new_rollout import pages_new_rollout
from armillary.errors import ConflictError

Watch = Callable[..., Watched]


@pytest.fixture
def target(hub_scene: HubScene) -> str:
    """A device group of this test's own, which one device is in."""
    registry, name = hub_scene.running.service.registry, fresh("Group").replace("-", " ")
    registry.groups.create("northwind", "Coolers", name, actor="test")
    device = hub_scene.running.make_device()
    registry.devices.claim("northwind", [device.device_id], product="Coolers", group=name, actor="test")
    registry.names.rename(device.device_id, fresh("bench"), actor="test")
    return f"northwind/Coolers/{name}"


def image_of(scene: HubScene, name: str = "Blink", component: UUID | None = None) -> str:
    image_id, package = application(name, component=component)
    scene.running.service.updates.images.upload("northwind", package, actor="test")
    return str(image_id)


def hidden_of(answer: Answer, action: str) -> dict[str, str]:
    """The hidden fields of the form that goes to an address."""
    form = re.search(rf'<form method="post" action="{re.escape(action)}"(.*?)</form>', answer.text, re.DOTALL)
    assert form is not None, answer.text
    found = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', form[1]))
    found.pop("form_token")
    return {name: unescape(value) for name, value in found.items()}


def form_of(browser: Browser, target: str, **changes: str) -> dict[str, str]:
    """The form as a browser sends it."""
    page = browser.get(pages_new_rollout.new_href(target))
    assert page.status == 200, page.text
    fields = dict(re.findall(r'<input name="([^"]+)" type="(?:text|number)" value="([^"]*)"', page.text))
    return {**fields, "target": target, "rings": "1", "hold_on_severity": "high", **changes}


@LOOKS
def test_the_pages_read_well(hub_scene: HubScene, watch: Watch, target: str, look: str, options: dict[str, object]):
    page = hub_scene.sign_in(watch(hub_scene, **options))
    places = (("form", pages_new_rollout.new_href(target)), ("upload", "/new-image"), ("for-whom", "/new-rollout"))
    image_of(hub_scene)
    for name, path in some_of(places, look):
        page.goto(path)
        reads_well(page, f"rollout-{name}-{look}")


def test_a_file_becomes_a_roll_out_in_a_browser(hub_scene: HubScene, watch: Watch, target: str, tmp_path: Path):
    page = hub_scene.sign_in(watch(hub_scene, allowed=("status of 400",)))
    _, product, group = target.split("/")
    page.goto("/updates")
    page.get_by_role("link", name="New roll-out").first.click()
    page.get_by_role("link", name=f"{product} / {group}").click()
    page.get_by_role("link", name="Upload image packages").click()
    files = []
    for name in ("Kettle", "Lamp"):
        files.append(tmp_path / f"{name}.imagepackage")
        files[-1].write_bytes(application(name)[1])
    page.get_by_label("Image packages").set_input_files(files)
    page.get_by_role("button", name="Upload and look").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(
        "Kettle and Lamp for northwind: 2 images, not kept yet."
    )
    expect(page.get_by_role("row", name="Connect to these hosts").first).to_contain_text("example.com")
    reads_well(page, "rollout-look")
    page.get_by_role("button", name="Save and go on").click()
    expect(page.get_by_label("Kettle").first).to_be_checked()
    page.get_by_label("Soak time").fill("30 min")
    page.get_by_label("Chosen cohort 1: name").fill("Laboratory")
    page.get_by_label("Chosen cohort 1: devices").fill("no such device")
    page.get_by_role("button", name="Review what it does").last.click()
    expect(page.get_by_role("alert")).to_contain_text("no device is called 'no such device'")
    expect(page.get_by_label("Soak time")).to_have_value("30 min")
    expect(page.get_by_label("Lamp").first).to_be_checked()
    page.get_by_label("Chosen cohort 1: devices").fill(_bench(hub_scene, target))
    page.get_by_role("button", name="Review what it does").last.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("1 device in 1 device group would get it.")
    expect(page.get_by_role("row", name="Laboratory")).to_contain_text("at once")
    expect(page.get_by_role("row", name="Kettle")).to_contain_text("nothing")
    reads_well(page, "rollout-review")
    page.get_by_role("button", name="Start the roll-out").click()
    expect(page.get_by_text("Started. The first cohort")).to_be_visible()
    (made, *_) = hub_scene.running.service.updates.rollouts.list(catalog="northwind").items
    assert (made.group, made.policy.soak_s, made.policy.rings[0].name) == (group, 1800, "Laboratory")


def _bench(scene: HubScene, target: str) -> str:
    """The name of the device of a group."""
    registry, (catalog, product, group) = scene.running.service.registry, target.split("/")
    from armillary.engines.records.schema.rows import DeviceFilter  # noqa: PLC0415 - only here

    (device,) = registry.devices.list(DeviceFilter(catalog=catalog, product=product, group=group)).items
    assert device.name
    return device.name


def test_another_ring_and_the_way_back_keep_what_was_typed(hub_scene: HubScene, target: str) -> None:
    browser, image = hub_scene.browser("Contributor"), f"image.{image_of(hub_scene)}"
    form = form_of(browser, target, **{image: "on"}, ring_0_name="Lab", soak_s="2 d")
    more = browser.post("/new-rollout/edit", **form, more="ring")
    assert 'name="ring_1_name"' in more.text
    assert 'name="ring_0_name" type="text" value="Lab"' in more.text
    form |= {"ring_0_name": ""}
    review = browser.post("/new-rollout/review", **form)
    back = browser.post("/new-rollout/edit", **hidden_of(review, "/new-rollout/edit"))
    assert 'value="2 d"' in back.text
    assert f'name="{image}" checked' in back.text


def test_a_changed_fleet_is_shown_again_before_anything_starts(
    hub_scene: HubScene, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser, service = hub_scene.browser(), hub_scene.running.service
    form = form_of(browser, target, **{f"image.{image_of(hub_scene)}": "on"})
    review = browser.post("/new-rollout/review", **form)
    (catalog, product, group) = target.split("/")
    device = hub_scene.running.make_device().device_id
    service.registry.devices.claim(catalog, [device], product=product, group=group, actor="test")
    hidden = hidden_of(review, "/new-rollout/start")
    again = browser.post("/new-rollout/start", **hidden)
    assert (again.status, "2 devices in 1 device group" in again.text) == (409, True)
    assert "This has changed since the page was opened" in again.text
    monkeypatch.setattr("armillary.console.new_rollout.change.WIDE_DEVICES", 1)
    hidden = hidden_of(again, "/new-rollout/start")
    refused = browser.post("/new-rollout/start", **hidden)
    assert (refused.status, "the word to confirm was not typed" in refused.text) == (400, True)
    assert browser.post("/new-rollout/start", **hidden, word="start").status == 303
    assert WIDE_DEVICES >= 100


def test_a_second_person_approves_where_the_catalog_asks_for_one(hub_scene: HubScene) -> None:
    registry, updates = hub_scene.running.service.registry, hub_scene.running.service.updates
    catalog = hub_scene.running.make_catalog(fresh("careful"), product="Kettle")
    updates.rollouts.set_needs_approval(catalog, needed=True, actor="test")
    image_id, package = application()
    updates.images.upload(catalog, package, actor="test")
    browser, target = hub_scene.browser("Contributor"), f"{catalog}/Kettle/Production"
    review = browser.post("/new-rollout/review", **form_of(browser, target, **{f"image.{image_id}": "on"}))
    assert "A second person has to approve it" in review.text
    assert "Propose the roll-out" in review.text
    begun = browser.post("/new-rollout/start", **hidden_of(review, "/new-rollout/start"))
    assert begun.headers["location"].endswith("told=rollout-proposed")
    (made,) = updates.rollouts.list(catalog=catalog).items
    assert made.state == "proposed"
    lines = hub_scene.running.service.audit.list(limit=5).items
    assert ("rollout.propose", str(made.rollout_id)) in {(line.operation, line.target) for line in lines}
    assert registry.groups.get(catalog, "Kettle", "Production").deployment_id is None


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, "Images: expected at least one, got none"),
        ({"image.x": "on"}, "image: expected a GUID, got"),
        ({"image." + "0" * 8 + "-0000-4000-8000-" + "0" * 12: "on"}, "does not exist in this catalog"),
        ({"cohorts": "1, 2"}, "end with 100"),
        ({"ring_0_name": "L" * 65, "ring_0_groups": "Coolers/Field"}, "cohort name: expected 1 to 64"),
    ],
)
def test_a_bad_form_is_refused_with_its_values(
    hub_scene: HubScene, target: str, changes: dict[str, str], says: str
) -> None:
    browser = hub_scene.browser()
    image = {} if says.startswith("Images") or "image" in str(changes) else {f"image.{image_of(hub_scene)}": "on"}
    answer = browser.post("/new-rollout/review", **form_of(browser, target, soak_s="3 h", **image, **changes))
    assert (answer.status, says in unescape(answer.text)) == (400, True), answer.text
    assert 'value="3 h"' in answer.text


def test_an_os_release_is_rolled_out_by_an_administrator(hub_scene: HubScene) -> None:
    service, browser = hub_scene.running.service, hub_scene.browser()
    release = service.releases.publish(
        "mt3620", fresh_os_version(), actor="test", security_version=1, feed="RetailEval"
    )
    place = f"/releases/{release.release_id}"
    assert f'href="{place}/rollout"' in browser.get(place).text
    assert release.version in browser.get("/new-rollout").text
    assert hub_scene.browser("Contributor").get(f"{place}/rollout").status == 403
    page = browser.get(f"{place}/rollout")
    fields = dict(re.findall(r'<input name="([^"]+)" type="(?:text|number)" value="([^"]*)"', page.text))
    form = {**fields, "rings": "1", "hold_on_severity": "high", "feed": "Retail", "only": "northwind"}
    assert browser.post(f"{place}/rollout/review", **{**form, "feed": "x"}).status == 400
    review = browser.post(f"{place}/rollout/review", **form)
    assert "the Retail groups of northwind with OS" in review.text, review.text
    begun = browser.post(f"{place}/rollout/start", **hidden_of(review, f"{place}/rollout/start"))
    assert begun.status == 303
    made = service.updates.rollouts.list(catalog="northwind").items[0]
    assert (made.version, made.feed) == (release.version, "Retail")
    with contextlib.suppress(ConflictError):  # it reaches no device, so that the planner may have completed it
        service.updates.rollouts.cancel(made.rollout_id, reason="over", actor="test")


def test_what_is_held_is_shown_to_who_sent_it_alone_and_may_be_discarded(hub_scene: HubScene) -> None:
    browser, images = hub_scene.browser(), hub_scene.running.service.updates.images
    browser.get("/new-image?catalog=northwind")
    image_id, package = application("Toaster")
    sent = browser.upload("/new-image", {"packages": package}, catalog="northwind", group="")
    where = sent.headers["location"]
    assert "Toaster for northwind: not kept yet." in browser.get(where).text
    assert hub_scene.browser("Contributor").get(where).status == 404
    assert browser.post(f"{where}/drop").headers["location"].endswith("told=images-dropped")
    assert browser.get(where).status == 404
    assert image_id not in {each.image_id for each in images.list("northwind").items}


def test_versions_are_typed_while_packages_are_looked_at_and_stand_where_images_are(hub_scene: HubScene) -> None:
    browser, images = hub_scene.browser(), hub_scene.running.service.updates.images
    browser.get("/new-image?catalog=northwind")
    image_id, package = application("Kettle")
    where = browser.upload("/new-image", {"packages": package}, catalog="northwind", group="").headers["location"]
    assert "Version of Kettle" in browser.get(where).text
    field = f"version_{image_id}"
    refused = browser.post(f"{where}/keep", **{field: "no version"})
    assert (refused.status, "version: expected 1 to 64" in refused.text) == (400, True)
    assert 'value="no version"' in refused.text, "what was typed stays"
    assert browser.post(f"{where}/keep", **{field: " 7.1 "}).status == 303
    try:
        assert images.get("northwind", image_id).version == "7.1"
        listed = browser.get("/images?catalog=northwind").text
        assert re.search(r">Kettle</a>.*?>7\.1<", listed, re.DOTALL)
        assert "unknown" in listed, "the scene's other images have none"
        page = browser.get(f"/images/northwind/{image_id}").text
        assert f'href="/fleet?image={image_id}"' in page
        fleet = browser.get(f"/fleet?image={image_id}").text
        assert ("with Kettle 7.1" in fleet, "No device matches." in fleet) == (True, True)
        assert browser.get("/fleet?image=5").status == 404
    finally:
        images.delete("northwind", image_id, actor="test")


def test_a_file_that_is_no_package_is_refused_where_it_was_chosen(hub_scene: HubScene) -> None:
    browser = hub_scene.browser()
    browser.get("/new-image?catalog=northwind")
    answer = browser.upload("/new-image", {"packages": b"no package"}, catalog="northwind", group="Coolers/Field")
    assert (answer.status, "Nothing was changed." in answer.text) == (400, True)
    assert 'name="group" value="Coolers/Field"' in answer.text
    assert browser.post("/new-image", catalog="northwind").status == 400
    assert hub_scene.browser("Reader").upload("/new-image", {"packages": b"x"}, catalog="northwind").status == 403


def test_a_reader_is_led_to_no_form(hub_scene: HubScene) -> None:
    reader = hub_scene.browser("Reader")
    for path, form in (("/updates", "/new-rollout"), ("/images?catalog=northwind", "/new-image")):
        assert form not in reader.get(path).text
        assert form in hub_scene.browser().get(path).text
        assert reader.get(form).status == 403


def test_what_a_group_has_and_gets_is_said_for_each_application() -> None:
    a, b, c = ({"component_id": each, "image_id": f"{each}1" * 8, "name": each} for each in "abc")
    newer = {**a, "image_id": "a2" * 8, "version": "1.2.0"}
    older = {**a, "version": "1.1.0"}
    assert pages_new_rollout.changes([older, b], [newer, c]) == [
        ("a", "1.1.0", "1.2.0"),
        ("c", "nothing", "image c1c1c1c1"),
        ("b", "image b1b1b1b1", "removed"),
    ]
    assert pages_new_rollout.changes([b], [b]) == [("b", "image b1b1b1b1", "unchanged")]

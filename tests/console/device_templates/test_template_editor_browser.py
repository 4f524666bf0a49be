# SPDX-License-Identifier: Apache-2.0
"""The template editor in a real Chromium over a real service: by keyboard and pointer, from a paste to a moved device."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect
from tests.console.hub_scene import MODEL, HubScene
from tests.console.page_check import reads_well
from tests.console.watched_browser import LOOKS, Watched

pytestmark = pytest.mark.console


def shot(page: Page, name: str, look: str) -> None:
    page.evaluate("scrollTo(0, 0)")
    reads_well(page, f"template-{name}-{look}")


@LOOKS
def test_every_page_of_the_editor_reads_well_and_is_accessible(
    hub_scene: HubScene, watch: Callable[..., Watched], look: str, options: dict[str, object]
):
    name = f"look-{uuid.uuid4().hex[:6]}"
    hub_scene.template(name)
    hub_scene.give("cooler-2", name)
    body = hub_scene.call("GET", f"/templates/{name}")["body"]
    model = {**MODEL, "contents": [*MODEL["contents"][1:], {"@type": "Command", "name": "rinse"}]}
    hub_scene.call(
        "PUT", f"/templates/{name}", {**body, "models": [model], "views": [{"name": "All", "tiles": ["door"]}]}
    )
    hub_scene.call("PATCH", "/devices/cooler-2/cloud-properties", {"Customer": "Ann"})
    page = hub_scene.sign_in(watch(hub_scene, **options))
    for what, path, says in (
        ("list", "/templates", "device template"),
        ("one", f"/templates/{name}", "version 1."),
        ("edit", f"/templates/{name}/edit", "the draft differs from version 1: 1 new and 1 gone."),
        ("publish", f"/templates/{name}/publish", "Publish version 2 of Cooler?"),
        ("draft", f"/templates/{name}/draft/1", f"Begin a draft of {name} from version 1?"),
    ):
        page.goto(path)
        expect(page.get_by_role("heading", level=1)).to_contain_text(says)
        shot(page, what, look)
    page.goto("/new-template")
    page.get_by_label("Models, JSON").fill(json.dumps(model, indent=2).replace('"boolean"', '"yes or no"'))
    expect(page.get_by_role("link", name="Line ").first).to_be_visible()
    shot(page, "new", look)
    hub_scene.give("cooler-2")


def test_a_model_is_pasted_mended_kept_published_and_given(hub_scene: HubScene, watch: Callable[..., Watched]):
    name = f"made-{uuid.uuid4().hex[:6]}"
    page = hub_scene.sign_in(watch(hub_scene), "Contributor")
    page.goto("/templates")
    page.get_by_role("link", name="New template").press("Enter")
    page.get_by_label("Name", exact=True).fill(name)
    model = {**MODEL, "@id": f"dtmi:northwind:{name.replace('-', '')};1", "displayName": "Chest"}
    text = json.dumps(model, indent=2)
    broken = text.replace('"name": "door"', '"name": "1st door"')
    line = broken[: broken.index('"1st door"')].count("\n") + 1
    area = page.get_by_label("Models, JSON")
    area.fill(broken)
    fault = page.get_by_role("link", name=f"Line {line}", exact=True)  # by itself, while somebody types
    fault.click()
    assert (
        area.evaluate("area => area.value.slice(area.selectionStart, area.selectionEnd)").strip()
        == '"name": "1st door",'
    )
    assert page.evaluate("document.activeElement.id") == "model-text"
    assert page.locator(".gutter").inner_text().split()[-1] == str(broken.count("\n") + 1)
    page.keyboard.type('"name": "door",')
    expect(page.locator("#model-report")).to_contain_text("No rule is broken: Chest")
    page.get_by_role("button", name="Create template").click()
    page.wait_for_url(f"**/templates/{name}/edit?told=template-made")
    expect(page.get_by_role("heading", level=1)).to_have_text("Chest: a draft that was never published.")

    page.get_by_label("Capability name").fill("noise")
    page.get_by_label("Means").select_option("SoundPressure/decibel")
    page.get_by_label("Capability name").press("Enter")
    page.wait_for_url("**/edit?told=draft-kept#capabilities")
    row = page.get_by_role("row").filter(has=page.get_by_text("noise", exact=True))
    expect(row.first).to_contain_text("decibel")
    page.get_by_label("Cloud property").fill("Crew")
    page.get_by_role("button", name="Save cloud property").click()
    page.wait_for_url("**/edit?told=draft-kept#cloud")
    page.get_by_role("row").filter(has=page.get_by_text("firmware", exact=True)).get_by_role(
        "link", name="Remove"
    ).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Remove the capability firmware from the draft")
    page.get_by_role("button", name="Remove capability").click()
    page.wait_for_url("**/edit?told=draft-kept#capabilities")
    assert page.get_by_role("row").filter(has=page.get_by_text("firmware", exact=True)).count() == 0

    page.get_by_role("link", name="Publish").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Publish version 1 of Chest?")
    page.get_by_role("button", name="Publish version 1").click()
    page.wait_for_url(f"**/templates/{name}?told=published")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Chest: 10 capabilities, version 1.")
    page.get_by_role("link", name="Edit draft").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Chest: the draft is the same as version 1.")


def test_the_text_of_a_file_is_taken_into_the_editor(hub_scene: HubScene, watch: Callable[..., Watched]):
    page = hub_scene.sign_in(watch(hub_scene), "Contributor")
    page.goto("/new-template")
    file = {"name": "cooler.json", "mimeType": "application/json", "buffer": json.dumps(MODEL).encode()}
    page.get_by_label("Take the text of a file").set_input_files(file)  # type: ignore[arg-type]  # a plain dict will do
    expect(page.get_by_label("Models, JSON")).to_have_value(json.dumps(MODEL))
    expect(page.locator("#model-report")).to_contain_text("No rule is broken: Cooler")


def test_without_script_the_button_checks(hub_scene: HubScene, watch: Callable[..., Watched]):
    page = hub_scene.sign_in(watch(hub_scene, java_script_enabled=False), "Contributor")
    page.goto("/new-template")
    page.get_by_label("Models, JSON").fill('{"@id": "dtmi:x;1"}')
    page.get_by_role("button", name="Check").click()
    expect(page.get_by_role("link", name="Line 1", exact=True).first).to_be_visible()
    expect(page.get_by_label("Models, JSON")).to_have_value('{"@id": "dtmi:x;1"}')

# SPDX-License-Identifier: Apache-2.0
"""Rules, alerts, templates, groups, jobs and exports in a real Chromium over a real service."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import expect
from tests.api.running_service import running_service, wait_until
from tests.console.page_check import asks_each_second, reads_well
from tests.console.watched_browser import LOOKS, Watched, some_of
from tests.console.water_scene import WaterScene

pytestmark = pytest.mark.console

RULE = {
    "name": "High flow",
    "description": "A pipe may have burst.",
    "severity": "high",
    "target": {"template": "pump"},
    "conditions": [{"telemetry": "flow", "op": ">", "value": 70, "clear": 60}],
}
JOB = {"name": "Slower", "group": "pumps", "action": {"kind": "set-property", "properties": {"interval_s": 60}}}
EXPORT = {"name": "To a file", "source": "telemetry", "destination": {"kind": "file"}, "enabled": False}


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WaterScene]:
    with running_service(tmp_path_factory.mktemp("water")) as running:
        made = WaterScene(running)
        for kind, name, body in (("rules", "high-flow", RULE), ("jobs", "slower", JOB), ("exports", "lake", EXPORT)):
            answer = running.call("PUT", f"/api/v1/{kind}/{name}", body)
            assert answer.status == 200, answer.body
        made.send(0, {"flow": 80.5})
        wait_until(lambda: running.call("GET", "/api/v1/alerts").body["items"], "the rule to fire")
        yield made
        made.close()


@LOOKS
def test_every_place_of_the_hub_reads_well_and_is_accessible(
    scene: WaterScene, watch: Callable[..., Watched], look: str, options: dict[str, object]
):
    page = scene.sign_in(watch(scene, **options))
    device = scene.pumps[0].device_id
    places = (
        ("alerts", "/alerts?status=all", "1 open, 1 high: Flow 80.5 > 70, Pump north, for "),
        ("alert", "/alerts/1", "Flow 80.5 > 70, Pump north, for "),
        ("rules", "/rules", "1 rule: 1 on;"),
        ("rule", "/rules/high-flow", "High flow is on; it concerns template pump."),
        ("rule-try", "/rules/high-flow/try", "High flow would have fired 1 time in the last day."),
        ("rule-new", "/rules/new", "New rule"),
        ("trace", f"/rules/high-flow/trace?device={device}", "High flow on Pump north: "),
        ("templates", "/templates", "1 device template."),
        ("template", "/templates/pump", "Pump: 5 capabilities, version 1."),
        ("groups", "/groups", "1 segment."),
        ("group", "/groups/pumps", "Pumps: 3 devices now."),
        ("jobs", "/jobs", "1 job."),
        ("job", "/jobs/slower", "Slower: "),
        ("job-new", "/jobs/new?kind=command", "New job"),
        ("group-new", "/groups/new", "New segment"),
        ("exports", "/exports", "1 data export."),
        ("export", "/exports/lake", "To a file: telemetry to file, off."),
        ("export-new", "/exports/new?kind=kafka", "New data export"),
        ("group-delete", "/groups/pumps/delete", "Delete the segment Pumps?"),
        ("job-run", "/jobs/slower/run", "Run Slower on 3 devices?"),
        ("device-data", f"/devices/{device}/data?name=flow", "Pump north sends "),
    )
    for name, path, says in some_of(places, look):
        page.goto(path)
        expect(page.get_by_role("heading", level=1)).to_contain_text(says)
        reads_well(page, f"hub-{name}-{look}")


def test_a_rule_is_made_fires_says_why_and_is_acknowledged(scene: WaterScene, watch: Callable[..., Watched]):
    page = scene.sign_in(watch(scene, allowed=("status of 400",)), "Contributor")  # the form with a mistake in it
    page.goto("/rules/new")
    page.get_by_label("Name", exact=True).fill("Over pressure")
    expect(page.get_by_label("Catalog")).to_have_value("northwind")  # the only one is chosen
    page.get_by_label("Device template").select_option(label="Pump")
    condition = page.get_by_role("group", name="Condition 1")
    expect(condition.locator("select[name=name_0]")).to_be_visible()  # the template's values are offered
    condition.locator("select[name=name_0]").select_option(label="Pressure (bar)")
    threshold = condition.get_by_label("Threshold (bar)")
    threshold.fill("9")
    expect(threshold).to_have_value("9")
    page.get_by_role("button", name="Add action").click()
    page.get_by_role("button", name="Remove action 1").click()
    expect(page.get_by_role("button", name="Remove action 1")).to_have_count(0)
    expect(threshold).to_have_value("9")  # what is typed stays
    condition.get_by_label("Clears at (bar)").fill("10")
    page.get_by_role("button", name="Create rule").click()
    expect(page.get_by_role("alert")).to_contain_text("Condition 1, clears at: expected at most 9")
    expect(condition.locator(".wrong")).to_contain_text("Expected at most 9")
    page.get_by_label("Clears at (bar)").fill("8")
    page.get_by_role("button", name="Try").click()
    expect(page.locator("#rule-trial")).to_contain_text("Over pressure would have fired 0 times in the last day.")
    assert scene.running.call("GET", "/api/v1/rules/over-pressure").status == 404
    reads_well(page, "hub-rule-builder-tried")
    page.get_by_role("button", name="Create rule").click()
    page.wait_for_url("**/rules/over-pressure?told=created")
    expect(page.locator("main")).to_contain_text("The rule has no actions: it creates an alert, and nobody is told.")
    scene.send(1, {"pressure_bar": 4})
    scene.send(1, {"pressure_bar": 9.5})
    wait_until(lambda: scene.running.call("GET", "/api/v1/alerts?rule=over-pressure").body["items"], "the rule to fire")
    device = scene.pumps[1].device_id
    page.goto("/rules/over-pressure")
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name="Show")).filter(has_text="Pump south")
    row.get_by_role("link", name="Show").click()
    page.wait_for_url(f"**/rules/over-pressure/trace?device={device}")
    main = page.locator("main")
    expect(main).not_to_contain_text("pressure_bar")
    expect(main).to_contain_text("Pressure 9.5 bar was above 9 bar.")
    expect(main).to_contain_text("Pressure 4 bar was not above 9 bar.")
    page.goto("/rules")
    rule = page.get_by_role("row").filter(has_text="Over pressure")
    expect(rule).to_contain_text("Pressure above 9 bar (clears at 8 bar)")
    page.goto("/alerts")
    alert = page.get_by_role("row").filter(has_text="Over pressure")
    expect(alert).to_contain_text("Pump south")
    expect(alert).to_contain_text("Pressure 9.5 bar > 9 bar")
    alert.get_by_role("button", name="Acknowledge").click()
    page.wait_for_url("**/alerts?told=acknowledged-alert")
    assert page.get_by_role("row").filter(has_text="Over pressure").count() == 0
    page.goto("/alerts?status=acknowledged")
    expect(page.get_by_role("row").filter(has_text="Over pressure")).to_contain_text("by Contributor-token")
    page.goto("/rules/over-pressure")
    page.get_by_role("button", name="Switch off").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Over pressure is off")
    page.get_by_role("link", name="Delete").click()
    page.wait_for_url("**/rules/over-pressure/delete")
    expect(main).to_contain_text("When Pressure above 9 bar (clears at 8 bar), it creates an alert only.")
    page.get_by_role("button", name="Delete rule").click()
    page.wait_for_url("**/rules?told=deleted")


def test_a_rule_is_changed_by_its_form_and_keeps_what_the_form_has_no_field_for(
    scene: WaterScene, watch: Callable[..., Watched]
):
    scene.running.call("PUT", "/api/v1/rules/changed", {**RULE, "name": "Changed", "hold_s": 5, "enabled": False})
    page = scene.sign_in(watch(scene))
    page.goto("/rules/changed")
    page.locator("select[name=severity]").select_option("low")
    page.get_by_role("button", name="Save rule").click()
    page.wait_for_url("**/rules/changed?told=kept")
    body = scene.running.call("GET", "/api/v1/rules/changed").body["body"]
    assert (body["severity"], body["hold_s"], body["conditions"]) == ("low", 5, RULE["conditions"])
    scene.running.call("DELETE", "/api/v1/rules/changed")


def test_a_job_is_run_and_its_results_are_shown(scene: WaterScene, watch: Callable[..., Watched]):
    page = scene.sign_in(watch(scene))
    page.goto("/jobs/slower")
    page.get_by_role("link", name="Run now").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Run Slower on 3 devices?")
    page.get_by_role("button", name="Run now").click()
    page.wait_for_url("**/jobs/slower?told=begun")

    heading = page.get_by_role("heading", level=1)
    expect(heading).to_contain_text("completed; 3 succeeded.")
    assert page.get_by_role("row").filter(has_text="succeeded").count() == 3


def test_the_page_of_a_run_follows_it_to_its_end(scene: WaterScene, watch: Callable[..., Watched]):
    waits = {**JOB, "name": "Waits", "batch": {"size": 1, "pause_s": 3600}}
    assert scene.running.call("PUT", "/api/v1/jobs/waits", waits).status == 200
    run = f"/api/v1/jobs/waits/runs/{scene.running.call('POST', '/api/v1/jobs/waits/runs', {}).body['number']}"
    wait_until(lambda: scene.running.call("GET", run).body["counts"]["succeeded"] == 1, "the first batch")
    page = scene.sign_in(watch(scene))
    page.goto("/jobs/waits")
    heading = page.get_by_role("heading", level=1)
    expect(heading).to_contain_text("running; ")
    asks_each_second(page, "3")
    scene.running.call("POST", f"{run}/cancel")
    expect(heading).to_contain_text("cancelled; 1 succeeded, 2 left out.")
    assert page.locator("[data-every]").count() == 0
    scene.running.call("DELETE", "/api/v1/jobs/waits")


def test_a_group_is_made_of_json_with_its_mistake_said_in_place(scene: WaterScene, watch: Callable[..., Watched]):
    page = scene.sign_in(watch(scene, allowed=("status of 400",)))
    page.goto("/groups/new")
    page.get_by_label("Document").fill('{"name": "North", "match": "all", "filters": [')
    page.get_by_role("button", name="Save the JSON").click()
    expect(page.get_by_role("alert")).to_contain_text("body: expected JSON, ")
    filters = '[{"field": "cloud:name", "operator": "eq", "value": "Pump north"}]'
    page.get_by_label("Document").fill(f'{{"name": "North", "match": "all", "filters": {filters}}}')
    page.get_by_role("button", name="Save the JSON").click()
    page.wait_for_url("**/groups/north?told=created")
    expect(page.get_by_role("heading", level=1)).to_have_text("North: 1 device now.")
    page.get_by_role("link", name="Delete").click()
    expect(page.locator("main")).to_contain_text("Nothing.")
    page.get_by_role("button", name="Delete segment").click()
    page.wait_for_url("**/groups?told=deleted")


def test_a_devices_data_page_shows_what_is_not_modelled_what_is_pending_and_sends_commands(
    scene: WaterScene, watch: Callable[..., Watched]
):
    page = scene.sign_in(watch(scene))
    device = scene.pumps[2].device_id
    scene.send(2, {"vibration": 0.31, "open": "yes"})
    wait_until(lambda: scene.running.hub.series.fleet.latest([device], "vibration", 1), "the value")
    page.goto(f"/devices/{device}")
    page.get_by_role("link", name="Data", exact=True).click()
    main = page.locator("main")
    expect(main.get_by_role("row").filter(has_text="vibration")).to_contain_text("not in the template")
    expect(main.get_by_role("row").filter(has_text="open").filter(has_text="yes")).to_contain_text("does not fit")
    expect(main.get_by_role("row").filter(has_text="auto")).to_contain_text("pending")
    page.get_by_role("link", name="Flow", exact=True).click()
    expect(main.get_by_role("heading", name="Raw values of Flow")).to_be_visible()
    page.get_by_role("link", name="Twin").click()
    page.get_by_label("mode", exact=True).fill("eco")
    page.get_by_role("button", name="Show what will be sent").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("1 desired value of Booster will change.")
    page.get_by_role("button", name="Send").click()
    page.wait_for_url("**/twin?told=desired")
    expect(main.get_by_role("row").filter(has_text="eco")).to_contain_text("pending")
    page.get_by_role("link", name="Commands").click()
    page.get_by_label("Command").fill("flush")
    page.get_by_label("Parameters").fill('{"s": 1}')
    page.get_by_role("button", name="Send").click()
    expect(main.get_by_role("row").filter(has_text="Booster")).to_contain_text("answered 200")
    page.get_by_role("link", name="Back", exact=True).click()
    expect(main.get_by_role("row").filter(has_text="flush")).to_contain_text("Administrator-token")
    page.goto(f"/devices/{scene.pumps[1].device_id}/commands")
    expect(main.get_by_role("row").filter(has_text="flush")).to_have_count(0)  # that was sent to another device


def test_a_reader_looks_and_changes_nothing(scene: WaterScene, watch: Callable[..., Watched]):
    page = scene.sign_in(watch(scene), "Reader")
    for path in ("/rules", "/rules/high-flow", "/alerts?status=all", "/groups/pumps", "/jobs/slower", "/exports/lake"):
        page.goto(path)
        forms = page.locator("main form[method=post]:not([action^='/table-'])")  # their own views of tables stand there
        assert forms.count() == 0, path


def test_a_job_is_made_and_changed_by_its_form(scene: WaterScene, watch: Callable[..., Watched]):
    page = scene.sign_in(watch(scene, allowed=("status of 400",)))
    page.goto("/jobs/new")
    page.get_by_role("link", name="Call a command").click()
    form = page.locator("#form")
    form.get_by_label("Name", exact=True).fill("Flush them")
    form.get_by_label("Devices of segment").select_option("pumps")
    form.get_by_label("Command").fill("flush")
    form.get_by_label("Parameters").fill('{"s": 3')
    form.get_by_role("button", name="Create job").click()
    expect(page.get_by_role("alert")).to_contain_text("Parameters: expected JSON, got '{\"s\": 3'")
    expect(form.get_by_label("Command")).to_have_value("flush")  # nothing that was typed is lost
    form.get_by_label("Parameters").fill('{"s": 3}')
    form.get_by_label("In batches of").fill("50%")
    form.get_by_role("button", name="Create job").click()
    page.wait_for_url("**/jobs/flush-them?told=created")
    body = scene.running.call("GET", "/api/v1/jobs/flush-them").body["body"]
    assert (body["action"], body["batch"]) == (
        {"kind": "command", "command": "flush", "payload": {"s": 3}},
        {"percent": 50},
    )
    form.get_by_label("Timeout").fill("10")
    form.get_by_role("button", name="Save").click()
    page.wait_for_url("**/jobs/flush-them?told=kept")
    changed = scene.running.call("GET", "/api/v1/jobs/flush-them").body["body"]
    assert changed == {**body, "action": {**body["action"], "timeout_s": 10}}
    scene.running.call("DELETE", "/api/v1/jobs/flush-them")


def test_an_export_is_made_by_its_form_and_its_secret_shown_nowhere(scene: WaterScene, watch: Callable[..., Watched]):
    page = scene.sign_in(watch(scene, allowed=("status of 400",)))
    page.goto("/exports/new?kind=kafka")
    form = page.locator("#form")
    form.get_by_label("Name", exact=True).fill("Stream")
    form.get_by_label("Enabled").uncheck()
    form.get_by_label("Servers", exact=True).fill("kafka.example.com:9093")
    form.get_by_label("Topic").fill("telemetry")
    form.get_by_label("Proves itself with").select_option("SCRAM-SHA-256")
    form.get_by_label("Password").fill("a secret of some length")
    form.get_by_role("button", name="Create export").click()
    expect(page.get_by_role("alert")).to_contain_text("username")
    assert "a secret of some length" not in page.content()
    form.get_by_label("User name").fill("armillary")
    form.get_by_label("Password").fill("a secret of some length")
    form.get_by_role("button", name="Create export").click()
    page.wait_for_url("**/exports/stream?told=created")
    destination = scene.running.call("GET", "/api/v1/exports/stream").body["body"]["destination"]
    assert (destination["servers"], destination["tls"], destination["signed"]) == (
        ["kafka.example.com:9093"],
        True,
        True,
    )
    form.get_by_label("Topic").fill("values")
    form.get_by_role("button", name="Save").click()  # the password stays, though the form does not have it
    page.wait_for_url("**/exports/stream?told=kept")
    assert "a secret of some length" not in page.content()
    assert scene.running.call("GET", "/api/v1/exports/stream").body["body"]["destination"] == {
        **destination,
        "topic": "values",
    }
    scene.running.call("DELETE", "/api/v1/exports/stream")

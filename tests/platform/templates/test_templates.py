# SPDX-License-Identifier: Apache-2.0
"""A real client announces its model and gets its template; writers of one device never lose each other."""

from __future__ import annotations

import contextlib
import threading
from typing import Any

import pytest
from tests.fixtures.directories import Owners
from tests.hub.running_hub import DEVICE, RunningHub, wait_until
from tests.twin.template.test_template import BODY, ROOT

from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError
from armillary.platform.platform import Platform
from armillary.platform.templates import device_templates, templates as templates_module

PNP = f"localhost/{DEVICE}/?api-version=2020-09-30&DeviceClientType=test&model-id={ROOT.replace(':', '%3A')}"
PNP = PNP.replace(";", "%3B")


def published(platform: Platform, name: str = "controller", body: Any = BODY) -> None:
    platform.templates.put(name, body, by="ann")
    platform.templates.publish(name, by="ann")


def test_a_device_that_announces_a_model_gets_its_template(running: RunningHub) -> None:
    platform = running.platform
    hub = running.hub
    published(platform)
    with contextlib.closing(running.client(username=PNP)) as device:
        found = wait_until(lambda: platform.device_templates.get(DEVICE).ready, "the template")
        assert found.template.root == ROOT
        kept = platform.device_templates.get(DEVICE)
        assert (kept.name, kept.version, kept.by, kept.cloud) == ("controller", 1, "device", {"Limit": 40})
        device.telemetry({"temperature": 20.5}, "%24.sub=thermostat1")
        wait_until(lambda: hub.series.last_values(DEVICE), "the value")
        assert found.table.leaf("thermostat1.temperature") is not None


def test_what_a_device_announces_never_overrides_an_operator(running: RunningHub) -> None:
    platform = running.platform
    hub = running.hub
    published(platform)
    published(platform, "other", {**BODY, "display_name": "Other"})
    platform.device_templates.assign(DEVICE, "other", by="ann")
    with contextlib.closing(running.client(username=PNP)) as device:
        device.telemetry({"load": 1})
        wait_until(lambda: hub.model_id(DEVICE) == ROOT, "the announcement")
        platform.device_templates.announced(DEVICE, ROOT)
        assert (platform.device_templates.get(DEVICE).name, platform.device_templates.get(DEVICE).by) == (
            "other",
            "operator",
        )


@pytest.mark.parametrize("model", ["dtmi:nobody:Knows;1", "no identifier", "x" * 500, ROOT])
def test_a_model_that_nobody_published_gives_nothing(running: RunningHub, model: str) -> None:
    running.platform.templates.put("draft", BODY, by="ann")  # a draft is for nobody
    running.platform.device_templates.announced(DEVICE, model)
    assert running.platform.device_templates.get(DEVICE).name == ""


def test_an_announcement_while_the_hub_closes_harms_nothing(running: RunningHub) -> None:
    published(running.platform)
    running.platform.documents.close()
    running.platform.device_templates.announced(DEVICE, ROOT)


def test_templates_are_ready_within_bounds_and_never_out_of_date(
    running: RunningHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(templates_module, "MAX_READY", 3)
    templates = running.platform.templates
    for number in range(6):
        templates.put(f"t{number}", {**BODY, "display_name": f"T{number}"}, by="ann")
        assert templates.get(f"t{number}").template.display_name == f"T{number}"
        assert len(templates._ready) <= 3
    templates.put("t0", {**BODY, "display_name": "New"}, by="ann")
    assert templates.get("t0").template.display_name == "New"
    published(running.platform)
    running.platform.device_templates.announced(DEVICE, ROOT)
    assert running.platform.device_templates.get(DEVICE).version == 1


def test_writers_of_one_devices_cloud_properties_never_lose_each_other(running: RunningHub) -> None:
    body = {**BODY, "cloud_properties": [{"name": f"C{n}", "schema": "integer"} for n in range(4)], "views": []}
    published(running.platform, "many", body)
    templates = running.platform.device_templates
    templates.assign(DEVICE, "many", by="ann")

    def write(name: str) -> None:
        for value in range(1, 11):
            while True:
                try:
                    templates.set_cloud(DEVICE, {name: value}, by=name)
                except ConflictError:  # too many at the same moment: said, not lost
                    continue
                break

    threads = [threading.Thread(target=write, args=(f"C{n}",)) for n in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert templates.get(DEVICE).cloud == {f"C{n}": 10 for n in range(4)}


def test_many_devices_are_migrated_in_few_transactions(running: RunningHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_templates, "MIGRATED_AT_ONCE", 7)
    templates, having = running.platform.templates, running.platform.device_templates
    published(running.platform)
    for number in range(25):
        having.assign(f"device{number}", "controller", by="ann")
    published(running.platform, body={**BODY, "description": "second"})
    summary = having.migrate_all("controller", by="ann")
    assert (summary.devices, summary.losing) == (25, 0)
    assert {having.get(f"device{number}").version for number in range(25)} == {2}
    with pytest.raises(NotFoundError):
        having.migrate_all("controller", 9, by="ann")
    with pytest.raises(ConflictError, match="has it"):
        templates.delete("controller", 2, by="ann")
    assert templates.delete("controller", 1, by="ann") == 1


def test_a_draft_has_no_version_and_a_published_one_is_not_written(running: RunningHub) -> None:
    with pytest.raises(InvalidArgumentError, match="a draft has none"):
        running.platform.templates.put("controller", {**BODY, "version": 3}, by="ann")
    with pytest.raises(InvalidArgumentError):
        running.platform.templates.put("controller.1", BODY, by="ann")


def test_every_message_is_judged_as_it_comes_in(running: RunningHub) -> None:
    platform = running.platform
    hub = running.hub
    published(platform)
    platform.device_templates.assign(DEVICE, "controller", by="ann")
    with contextlib.closing(running.client()) as device:

        def judged() -> bool:
            device.telemetry({"load": 1.5})
            return platform.counters()["values_checked"] > 0

        wait_until(judged, "its template is looked up")
        before = platform.counters()
        for number in range(3):
            device.telemetry({"load": "heavy", "other": number, "thermostat1": 1})
        wait_until(lambda: platform.counters()["values_checked"] >= before["values_checked"] + 9, "all judged")
        after = platform.counters()
        assert after["values_misfit"] - before["values_misfit"] == 3
        assert after["values_unmodelled"] - before["values_unmodelled"] == 6
        found = platform.models.last_misfit(DEVICE)
        assert found is not None
        assert (found.name, found.expected, found.got, found.count) == ("load", "a number", "heavy", 3)
        # What waited at a guardian is judged as well, though no rule hears of it.
        device.telemetry({"load": "heavy"}, "historical=true&iothub-creation-time-utc=2026-01-02T03%3A04%3A05Z")
        wait_until(lambda: platform.counters()["values_misfit"] == after["values_misfit"] + 1, "history judged")
        published(platform, body={**BODY, "models": [_with_text_load(), *BODY["models"][1:]]})
        platform.device_templates.migrate_all("controller", by="ann")

        def fits() -> bool:
            before, decoded = platform.counters(), hub.counters()["messages_decoded"]
            device.telemetry({"load": "heavy"})
            wait_until(lambda: hub.counters()["messages_decoded"] > decoded, "decoded")
            return bool(
                platform.counters()["values_checked"] > before["values_checked"]
                and platform.counters()["values_misfit"] == before["values_misfit"]
            )

        wait_until(fits, "the new version is used")


def _with_text_load() -> Any:
    root = BODY["models"][0]
    contents = [{**each, "schema": "string"} if each["name"] == "load" else each for each in root["contents"]]
    return {**root, "contents": contents}


def test_a_device_without_a_template_is_not_judged_and_its_values_are_kept(running: RunningHub) -> None:
    with contextlib.closing(running.client()) as device:
        for number in range(5):
            device.telemetry({"load": f"x{number}"})
        last = wait_until(lambda: running.hub.series.last_values(DEVICE), "the value")
        assert last[0].metric == "load"
        assert running.platform.counters()["values_checked"] == 0


@pytest.mark.parametrize(
    ("catalogs", "expected"),
    [
        ({"a": "South", "b": "north", "c": None}, "b"),
        ({"a": "South", "c": None}, "c"),
        ({"a": "South"}, ""),
        ({"b": None, "z": "North"}, "z"),
    ],
)
def test_of_several_templates_of_a_model_a_device_gets_its_catalogs(
    running: RunningHub, catalogs: dict[str, str | None], expected: str
) -> None:
    running.directory.now = Owners({}, everything_else="North")
    for name, catalog in catalogs.items():
        published(running.platform, name, {**BODY, "catalog": catalog})
    running.platform.device_templates.announced(DEVICE, ROOT)
    assert running.platform.device_templates.get(DEVICE).name == expected


def test_a_template_that_cannot_be_read_stops_no_other(running: RunningHub) -> None:
    running.platform.documents.put("template", "aaa.1", {"root": "dtmi:other:Root;1", "models": 5}, by="test")
    published(running.platform)
    running.platform.device_templates.announced(DEVICE, ROOT)
    assert running.platform.device_templates.get(DEVICE).name == "controller"

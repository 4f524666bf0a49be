# SPDX-License-Identifier: Apache-2.0
"""Clients that the console shows for a device that speaks Azure IoT: taken from the page, saved, run as they stand."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path

import pytest
from playwright.sync_api import expect
from tests.api.running_service import fresh
from tests.conformance.azure_sdk import Sdk, azure_hub, sdk
from tests.console.hub_scene import HubScene
from tests.console.page_check import reads_well
from tests.console.plain_browser import signed_in
from tests.console.scene import Scene
from tests.console.watched_browser import Watched
from tests.fixtures.processes import OwnProcess
from tests.fixtures.waiting import wait_until

from armillary.console.hub_devices import pages_connect as pages

__all__ = ["sdk"]

HERE = "/add-devices/connect"


@pytest.fixture(scope="module")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A service on the one port that Azure's client connects to, with a catalog that admits nobody yet."""
    with azure_hub(tmp_path_factory.mktemp("azure-console")) as running:
        running.make_catalog("northwind")
        yield Scene(running)


@pytest.mark.console
def test_the_python_client_runs_as_shown_and_the_page_says_when_its_message_came(
    azure: Scene, watch: Callable[..., Watched], sdk: Sdk, tmp_path: Path
) -> None:
    page = azure.sign_in(watch(azure))
    page.goto("/add-devices")
    form = page.locator("#connect")
    form.get_by_label("Device id").fill("pump-7")
    form.locator("[name=catalog]").select_option("northwind")
    form.get_by_label("Allow hub devices with symmetric keys in the catalog").check()
    form.get_by_role("button").click()
    heard = page.locator("#heard")
    expect(heard).to_contain_text("Waiting for its first message")
    reads_well(page, "connect-device-light")
    client = page.locator("#python pre").nth(1).inner_text()
    with page.expect_download() as downloading:
        page.get_by_role("link", name="Download root.pem").click()
    downloading.value.save_as(tmp_path / downloading.value.suggested_filename)
    (tmp_path / "client.py").write_text(client)
    no_trust = {"SSL_CERT_FILE": "/dev/null"}  # what it trusts is the file beside it
    running = sdk.start(tmp_path / "client.py", azure.running, tmp_path, **no_trust)
    try:
        expect(heard).to_contain_text("First message received")
    finally:
        running.process.end()
    expect(heard).to_contain_text("temperature 21.5")
    assert heard.get_attribute("data-every") is None  # it asks no more
    expect(page.get_by_role("status").first).to_contain_text("SharedAccessKey=")  # what is shown once stays
    heard.get_by_role("link").click()
    page.wait_for_url("**/hub-devices/pump-7")


def test_the_command_for_plain_mqtt_runs_as_shown(hub_scene: HubScene, tmp_path: Path) -> None:
    if shutil.which("mosquitto_pub") is None:
        pytest.skip("mosquitto_pub is not installed: sudo apt-get install mosquitto-clients")
    browser, name = hub_scene.browser("Contributor"), fresh("probe@roof=1")
    made = browser.post(HERE, device_id=name, catalog="northwind")
    assert made.status == 200, made.text
    command = next(each for each in re.findall(r"<pre[^>]*>(.*?)</pre>", made.text, re.DOTALL) if "mosquitto" in each)
    (tmp_path / "root.pem").write_bytes(browser.get(pages.ROOT_HREF).body)
    (tmp_path / "client.sh").write_text(unescape(command))
    process = OwnProcess(["/bin/sh", "client.sh"], cwd=tmp_path)
    try:
        assert process.wait(30) == 0
    finally:
        process.end()
    here = f"/hub-devices/{name}/connect"
    wait_until(lambda: "First message received" in browser.get(here).text, "the page says that it came", 30.0)
    again = browser.get(here).text
    assert "SharedAccessKey=KEY" in unescape(again)
    assert "mosquitto_pub" not in again


def test_what_cannot_connect_is_said_before_it_is_tried(hub_scene: HubScene) -> None:
    browser, name = hub_scene.browser("Contributor"), fresh("shut")
    page = browser.post(HERE, device_id=name, catalog="contoso").text
    assert "contoso blocks hub devices that show a symmetric key" in page
    assert "An administrator can allow them" in page
    assert f"this service listens on {hub_scene.running.hub_port}" in page
    assert "allow them</a>" in hub_scene.browser().get(f"/hub-devices/{name}/connect").text.lower()
    for fields in ({"device_id": name}, {"device_id": "a b"}, {"device_id": ""}, {"catalog": "absent"}):
        refused = browser.post(HERE, **{"device_id": fresh("x"), "catalog": "northwind", **fields})
        assert (refused.status, 'id="connect"' in refused.text) == (400, True), (fields, refused.text)
    long = browser.post(HERE, device_id="a" * 200, catalog="northwind").text
    assert "Device id: expected at most 128 characters" in long, long  # in no framework's words
    never = fresh("never")
    assert browser.post(HERE, device_id=never, catalog="contoso", admit="on").status == 403
    assert hub_scene.browser().get(f"/hub-devices/{never}").status == 404  # nothing half-done stays
    assert not hub_scene.running.service.hub_access.identities.admission("contoso").symmetric_keys
    assert hub_scene.browser("Reader").get(pages.ROOT_HREF).body == hub_scene.running.root.read_bytes()
    of_one = signed_in(hub_scene, hub_scene.running.token_for("contoso"))
    assert of_one.get("/hub-devices/cooler-1/connect").status == 404
    assert of_one.get(f"/hub-devices/{name}/connect").status == 200
    browser.confirm(f"/hub-devices/{name}/delete", word=name)  # others find contoso without hub devices


def test_a_command_holds_each_value_as_one_word() -> None:
    command = pages.mqtt_command("hub.example", 8883, "a@b=c", "A" * 43 + "=", 1_700_000_000)
    assert "'hub.example/a@b=c/?api-version=2021-04-12'" in command
    assert "se=1700086400'" in command

# SPDX-License-Identifier: Apache-2.0
"""What somebody new wants, walked in the console alone: real ``armillary up``, real Chromium, nothing there before.

A device that attests: ``tests/e2e/test_first_device_in_console.py``.
"""

from __future__ import annotations

import json
import re
import shutil
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
from playwright.sync_api import Page, expect
from tests.console.watched_browser import Watched
from tests.e2e.armillary_processes import Service, armillary, running_service
from tests.fixtures.images import manifest, package
from tests.fixtures.processes import OwnProcess, killed_process


@dataclass(frozen=True)
class Console:
    """The console of a service that somebody has just started."""

    service: Service
    url: str
    context: ssl.SSLContext


@pytest.fixture
def new(tmp_path: Path) -> Iterator[Console]:
    """An empty service."""
    with running_service(tmp_path / "data") as service:
        yield Console(service, service.ready["api"], ssl.create_default_context(cafile=service.ready["root_ca"]))


def signed_in(new: Console, watch: Callable[..., Watched]) -> Page:
    page: Page = watch(new).sign_in(new.service.ready["token"])
    return page


def sent(command: str, folder: Path) -> None:
    """Run a command as the page shows it."""
    process = OwnProcess(["/bin/sh", "-c", command], cwd=folder)
    try:
        assert process.wait(60) == 0
    finally:
        process.end()


@pytest.mark.console
def test_three_clicks_lead_from_an_empty_console_to_a_live_application(
    new: Console, watch: Callable[..., Watched]
) -> None:
    page = signed_in(new, watch)
    expect(page.get_by_role("heading", level=1)).to_have_text("No devices yet.")
    page.get_by_role("link", name="Use an application").click()
    page.get_by_role("link", name="Use Water quality monitoring").click()
    page.get_by_role("button", name="Use").click()
    page.wait_for_url("**/dashboards/water-quality*")
    expect(page.locator(".tile .kpi").first).to_contain_text(re.compile(r"\d"))


@pytest.mark.console
def test_an_own_device_gets_a_dashboard_and_a_rule(new: Console, watch: Callable[..., Watched], tmp_path: Path) -> None:
    if shutil.which("mosquitto_pub") is None:
        pytest.skip("mosquitto_pub is not installed: sudo apt-get install mosquitto-clients")
    page = signed_in(new, watch)
    page.get_by_role("link", name="Add devices").click()
    catalog = page.locator("#catalog")
    catalog.get_by_label("Name").fill("Contoso")
    catalog.get_by_role("button").click()
    command = connected(page, tmp_path)
    page.goto("/dashboards")
    page.get_by_label("Name").fill("Pumps")
    page.get_by_role("button", name="Create dashboard").click()
    add_a_figure(page)
    page.goto("/rules/new")
    page.get_by_label("Name", exact=True).fill("Too warm")
    condition = page.get_by_role("group", name="Condition 1")
    condition.get_by_role("textbox", name="Value").fill("temperature")
    condition.get_by_role("textbox", name="Threshold").fill("30")
    page.get_by_role("button", name="Create rule").click()
    page.wait_for_url("**/rules/too-warm?told=created")
    page.goto("/dashboards/pumps")
    expect(page.locator("#live-status")).to_have_text("live")
    sent(command.replace("21.5", "30.5"), tmp_path)
    expect(page.locator(".tile .kpi")).to_contain_text("30.5")
    page.goto("/alerts")
    expect(page.get_by_role("row").filter(has_text="Too warm")).to_contain_text("temperature 30.5 > 30")


def connected(page: Page, folder: Path) -> str:
    """A device of the one catalog sends its first message by the command that the page shows; returns the command."""
    connect = page.locator("#connect")
    connect.get_by_label("Device id").fill("pump-7")
    connect.get_by_label("Allow hub devices with symmetric keys in the catalog").check()
    connect.get_by_role("button").click()
    expect(page.locator("#heard")).to_contain_text("Waiting for its first message")
    command: str = page.locator("pre", has_text="mosquitto_pub").inner_text()
    with page.expect_download() as downloading:
        page.get_by_role("link", name="Download root.pem").click()
    downloading.value.save_as(folder / "root.pem")
    sent(command, folder)
    expect(page.locator("#heard")).to_contain_text("temperature 21.5")
    return command


def add_a_figure(page: Page) -> None:
    """A tile of what the device sent last, made in the editor."""
    expect(page.locator("[data-board].ready")).to_be_visible()
    page.get_by_label("Add a tile").select_option("kpi")
    page.get_by_role("button", name="Add", exact=True).click()
    panel = page.get_by_role("dialog")
    panel.get_by_label("Title").fill("Water")
    panel.get_by_label("Devices").select_option("One device")
    panel.get_by_label("The device's name or id").fill("pump-7")
    panel.get_by_label("The device's name or id").press("Tab")
    value = panel.locator("select[name=value]")
    expect(value.locator("option[value=temperature]")).to_have_count(1)  # what it has sent is offered
    value.select_option("temperature")
    expect(panel.locator("[data-preview-tile]")).to_contain_text("21.5")
    panel.get_by_role("button", name="Add tile").click()
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url("**/dashboards/pumps?told=dashboard")
    expect(page.locator(".tile .kpi")).to_contain_text("21.5")


@pytest.mark.console
def test_a_new_version_reaches_a_group(new: Console, watch: Callable[..., Watched], tmp_path: Path) -> None:
    folder, group = tmp_path / "device", ("--catalog", "Contoso", "--product", "Kettle")
    for step in (
        ("catalog", "create", "--catalog", "Contoso"),
        ("product", "create", *group),
        ("device-group", "create", *group, "--device-group", "Production"),
        ("device", "create", "--data", folder, "--sandbox", "process"),
        ("device", "claim", "--data", folder, *group, "--device-group", "Production"),
    ):
        done = armillary(*step, env=new.service.env)
        assert done.returncode == 0, done.stderr
    (found,) = json.loads(armillary("device", "list", "--json", env=new.service.env).stdout)
    device_id = found["device_id"]
    file = tmp_path / "Blink.imagepackage"
    file.write_bytes(package(manifest("Blink", uuid4()), b"#!/bin/sh\nexec sleep 1000\n"))
    command = [sys.executable, "-m", "armillary", "device", "boot", "--data", str(folder)]
    with killed_process(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
        page = signed_in(new, watch)
        page.goto("/updates")
        page.get_by_role("link", name="New roll-out").first.click()
        page.get_by_role("link", name="Kettle / Production").click()
        page.get_by_role("link", name="Upload image packages").click()
        page.get_by_label("Image packages").set_input_files(file)
        page.get_by_role("button", name="Upload and look").click()
        page.get_by_role("button", name="Save and go on").click()
        page.get_by_label("Chosen cohort 1: name").fill("Laboratory")
        page.get_by_label("Chosen cohort 1: devices").fill(device_id)
        page.get_by_role("button", name="Review what it does").last.click()
        expect(page.get_by_role("heading", level=1)).to_have_text("1 device in 1 device group would get it.")
        page.get_by_role("button", name="Start the roll-out").click()
        expect(page.get_by_text("Started. The first cohort")).to_be_visible()
        roll_out = page.url
        page.get_by_role("link", name="Device groups").click()
        page.get_by_role("link", name="Production").click()
        page.get_by_role("link", name="Check in now").click()
        page.get_by_role("button", name="Check in now").click()
        page.wait_for_url("**told=group-asked")
        page.goto(roll_out)
        expect(page.get_by_role("row", name="Laboratory")).to_contain_text("done")  # the page follows it by itself

# SPDX-License-Identifier: Apache-2.0
"""From an empty service to a device that attests: three forms in the console, then one click and one command."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tests.console.watched_browser import DESKTOP, chromium_browser
from tests.e2e.armillary_processes import running_service
from tests.fixtures.processes import killed_process
from tests.fixtures.waiting import DEADLINE_S

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


def as_it_stands(command: str, folder: Path) -> list[str]:
    """The command of the page, with this Python's ``armillary`` and a folder of the test's own."""
    words = shlex.split(command)
    assert words[:5] == ["armillary", "device", "create", "--data", "my-device"]
    return [sys.executable, "-m", "armillary", *words[1:4], str(folder), *words[5:]]


def without_a_login(home: Path) -> dict[str, str]:
    """The environment of a host that knows nothing of the service."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("ARMILLARY_")}
    return {**ours, "HOME": str(home), "XDG_CONFIG_HOME": str(home / "config")}


def make_a_place(page: Page) -> None:
    """A catalog and a product with its device groups, by the page's forms."""
    catalog = page.locator("#catalog")
    catalog.get_by_label("Name").fill("Contoso")
    catalog.get_by_role("button").click()
    product = page.locator("#product")
    expect(product.get_by_label("Catalog")).to_have_value("Contoso")
    product.get_by_label("Name").fill("Cable")
    product.get_by_role("button").click()


def test_one_click_and_one_command_lead_to_a_device_that_attests(tmp_path: Path) -> None:
    with running_service(tmp_path / "data") as service, chromium_browser() as browser:
        console = service.ready["console"].rstrip("/")
        context = browser.new_context(base_url=console, ignore_https_errors=True, viewport=DESKTOP)  # type: ignore[arg-type]
        context.set_default_timeout(DEADLINE_S * 1000)
        page = context.new_page()
        page.goto("/")
        page.get_by_label("Operator token").fill(service.ready["token"])
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/fleet")
        page.goto("/add-devices")
        expect(page.locator("#one-command")).to_have_count(0)
        make_a_place(page)
        form = page.locator("#one-command")
        form.get_by_label("Device group").select_option("Contoso/Cable/Production")
        form.get_by_role("button", name="Create the command").click()
        command = page.locator(".notice pre").inner_text()
        progress = page.locator("#made-by-command")
        expect(progress.get_by_text("waits")).to_have_count(2)
        with (
            (tmp_path / "device.log").open("wb") as log,
            killed_process(
                as_it_stands(command, tmp_path / "device"),
                stdout=log,
                stderr=subprocess.STDOUT,
                env=without_a_login(tmp_path),
            ),
        ):
            attested = progress.get_by_role("row", name="It boots and attests").get_by_text("attested", exact=True)
            try:
                expect(attested).to_be_visible()
            except AssertionError as error:
                raise AssertionError((tmp_path / "device.log").read_text("utf-8", "replace")[-3000:]) from error
            assert page.locator(".notice pre").inner_text() == command, "it stays while the page keeps up"
            progress.get_by_role("link", name="Open").click()
            page.wait_for_url("**/devices/*")
            expect(page.locator("main")).to_contain_text("attested")
        page.goto("/add-devices")
        assert command not in page.content(), "it is shown once"
        page.goto("/audit")
        expect(page.locator("main")).to_contain_text("enrolment-token.create")

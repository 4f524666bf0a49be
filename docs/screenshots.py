# SPDX-License-Identifier: Apache-2.0
"""``python -m docs.screenshots``: play the demo and an application, look at both in Chromium, write ``docs/images``.

Nothing is rehearsed: the pages show the service, devices and roll-out that ``armillary demo --stay`` has just run, and
what ``armillary up`` shows some seconds after ``armillary template use``. With names (``python -m docs.screenshots
dashboard rule-trace``) only what these pictures show is played.
Needs Chromium at ``/usr/bin/chromium`` or where ``ARMILLARY_CHROMIUM`` says, and the development dependencies.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from bench.console import call, use
from bench.service_process import running_service
from playwright.sync_api import BrowserContext, Page, ViewportSize, sync_playwright

from armillary.wire.image.bill_of_materials import MEDIA_TYPE

IMAGES = Path(__file__).resolve().parent / "images"
CHROMIUM = os.environ.get("ARMILLARY_CHROMIUM", "/usr/bin/chromium")
VIEW = {"width": 1200, "height": 760}
TALL: ViewportSize = {"width": 1200, "height": 1060}
SIZE_LIMIT_BYTES = 150_000  # of one picture: a page of the documentation has to load quickly
STORY_DEADLINE_S = 300
# An OS that is newer than those of the demo.
NEXT_OS = "99.5"
# Values that the charts of the device page have collected before it is taken.
CHART_MS = 12_000
# Uses of equipment that a guardian's page has collected before it is taken.
GUARDIAN_MS = 30_000
# The application whose hub pages are shown, and how long its rules are given to fire.
APPLICATION = "water-quality-monitoring"
ALERT_DEADLINE_S = 400
# Pictures of the demo; of the hub's own service, and the model that it has.
SECURITY = {"findings", "advisory", "case"}
DEMO = {
    "fleet", "device", "rollout", "rollout-rings", "device-update", "releases", "bill-of-materials", "repository",
    "signing-keys", *SECURITY,
}  # fmt: skip
HUB = {"hub-device", "twin", "template-editor"}
# Picture -> the story of a guardian that it shows, and the path of the page.
GUARDIANS = {
    "guardian-coffee": ("coffee", "/dashboards/guardian-coffee"),
    "guardian-dispenser": ("dispenser", "/dashboards/guardian-dispenser"),
    "guardian-cable": ("cable", "/dashboards/guardian-cable"),
    "guardian": ("coffee", "/guardians"),
}
MODEL = {
    "@context": ["dtmi:dtdl:context;2", "dtmi:iotcentral:context;2"],
    "@id": "dtmi:northwind:cooler;1",
    "@type": "Interface",
    "displayName": "Cooler",
    "contents": [
        {"@type": ["Telemetry", "Temperature"], "name": "inside", "schema": "double", "unit": "degreeCelsius"},
        {"@type": "Telemetry", "name": "door", "displayName": "Door open", "schema": "boolean"},
        {
            "@type": ["Property", "Temperature", "NumberValue"],
            "name": "target",
            "displayName": "Target",
            "schema": "double",
            "unit": "degreeCelsius",
            "writable": True,
            "minValue": -30,
            "maxValue": 10,
        },
        {"@type": "Property", "name": "mode", "displayName": "Mode", "schema": "string", "writable": True},
        {"@type": "Command", "name": "defrost"},
    ],
}


@contextmanager
def demo(*words: str) -> Iterator[tuple[str, str]]:
    """The demo, or a guardian's, played and standing: address of its console, and a token."""
    command = [sys.executable, "-m", "armillary", *words, "--stay"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:  # noqa: S603 - this package
        try:
            yield _address_and_token(process)
        finally:
            process.terminate()
            process.wait(STORY_DEADLINE_S)


def _address_and_token(process: subprocess.Popen[str]) -> tuple[str, str]:
    address = ""
    for line in process.stderr or ():
        if found := re.match(r"Console: (\S+?)/?$", line):
            address = found[1]
        if found := re.match(r"Token: +(\S+)$", line):
            return address, found[1]
    raise SystemExit("the demo did not stay up; run it by hand with --stay")


def main() -> int:
    """Write the pictures; 1 when one of them is too large."""
    IMAGES.mkdir(exist_ok=True)
    wanted = set(sys.argv[1:])
    if not wanted or wanted & DEMO:
        take_demo(wanted & DEMO or DEMO)
    if not wanted or wanted & HUB:
        take_hub()
    for name in sorted(wanted & GUARDIANS.keys() if wanted else GUARDIANS):
        take_guardian(name)
    if not wanted or wanted - HUB - DEMO - GUARDIANS.keys():
        take_application()
    sizes = {file.name: file.stat().st_size for file in sorted(IMAGES.glob("*.png"))}
    print(sizes)
    return int(max(sizes.values()) > SIZE_LIMIT_BYTES)


def take_application() -> None:
    """A dashboard, the board on which it is edited, and the trace of a rule that fired."""
    with running_service() as service, sync_playwright() as playwright:
        address, token = str(service.ready["api"]), str(service.ready["token"])
        dashboard = use(service.ready, APPLICATION)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--headless"])
        context = browser.new_context(viewport=VIEW, ignore_https_errors=True, color_scheme="light")  # type: ignore[arg-type]  # as below
        page = context.new_page()
        _sign_in(page, address, token)
        page.wait_for_timeout(CHART_MS)
        page.goto(f"{address}/dashboards/{dashboard}")
        page.wait_for_timeout(CHART_MS)
        _take(page, "dashboard")
        page.goto(f"{address}/dashboards/{dashboard}/edit")
        page.wait_for_selector("[data-board].ready")
        _take(page, "dashboard-edit")
        deadline = time.monotonic() + ALERT_DEADLINE_S
        while not (alerts := _items(context, address, token, "alerts")):
            if time.monotonic() > deadline:
                raise SystemExit(f"no rule of {APPLICATION} fired within {ALERT_DEADLINE_S} s")
            time.sleep(1)
        page.goto(f"{address}/rules/{alerts[0]['rule_id']}/trace?device={alerts[0]['device_id']}")
        _take(page, "rule-trace")
        browser.close()


def take_guardian(name: str) -> None:
    """The page of a guardian's story, some time after it was played."""
    story, path = GUARDIANS[name]
    with demo("guardian", "demo", story) as (address, token), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--headless"])
        page = browser.new_context(viewport=VIEW, ignore_https_errors=True, color_scheme="light").new_page()  # type: ignore[arg-type]  # as below
        _sign_in(page, address, token)
        page.wait_for_timeout(GUARDIAN_MS)
        page.set_viewport_size(TALL)
        page.goto(f"{address}{path}")
        if path == "/guardians":
            page.locator("table a").first.click()
        page.wait_for_timeout(CHART_MS)
        _take(page, name)
        browser.close()


def take_hub() -> None:
    """A hub device, its twin, and the editor of a template with a mistake in it."""
    with running_service() as service, sync_playwright() as playwright:
        address, token = str(service.ready["api"]), str(service.ready["token"])
        catalog, model = "northwind", json.dumps(MODEL, indent=2)
        azure = "/subscriptions/0/resourceGroups/rg/providers/Microsoft.AzureSphere/catalogs"
        call(service.ready, "PUT", f"{azure}/{catalog}?api-version=2024-04-01", {"location": "global"})
        call(service.ready, "PATCH", f"/api/v1/catalogs/{catalog}/hub-admission", {"symmetric_keys": True})
        files = {"documents": [{"name": "cooler.json", "content": model}]}
        call(service.ready, "POST", "/api/v1/templates/cooler/import", files)
        call(service.ready, "POST", "/api/v1/templates/cooler/publish", {})
        made = {"device_id": "cooler-1", "authentication": "sas"}
        call(service.ready, "POST", f"/api/v1/catalogs/{catalog}/hub-devices", made)
        call(service.ready, "POST", "/api/v1/hub-devices/cooler-1/modules", {"module_id": "camera"})
        call(service.ready, "PUT", "/api/v1/devices/cooler-1/template", {"template": "cooler"})
        call(service.ready, "PATCH", "/api/v1/devices/cooler-1/properties", {"target": -18, "mode": "eco"})
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--headless"])
        page = browser.new_context(viewport=VIEW, ignore_https_errors=True, color_scheme="light").new_page()  # type: ignore[arg-type]  # as below
        _sign_in(page, address, token)
        page.goto(f"{address}/hub-devices/cooler-1")
        _take(page, "hub-device")
        page.goto(f"{address}/hub-devices/cooler-1/twin")
        _take(page, "twin")
        page.goto(f"{address}/new-template")
        page.get_by_label("Name", exact=True).fill("cooler-2")
        page.get_by_label("Models, JSON").fill(model.replace('"Temperature"', '"Temprature"').replace("boolean", "yes"))
        page.wait_for_selector("[data-line]")
        page.evaluate("document.querySelector('.buttons').scrollIntoView(false)")
        _take(page, "template-editor")
        browser.close()


def take_demo(wanted: set[str]) -> None:
    """The fleet, a device, a roll-out of the demo, what its last act leaves, and what people see of updates."""
    with demo("demo") as (address, token), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--headless"])
        context = browser.new_context(viewport=VIEW, ignore_https_errors=True, color_scheme="light")  # type: ignore[arg-type]  # a plain dict will do
        page = context.new_page()
        _sign_in(page, address, token)
        if wanted - SECURITY:
            _take(page, "fleet")
            page.goto(f"{address}/devices/{_device(context, address, token)}")
            page.wait_for_timeout(CHART_MS)
            _take(page, "device")
            page.goto(f"{address}/updates/{_application_rollout(context, address, token)}")
            _take(page, "rollout")
        if wanted & SECURITY:
            take_security(page, address, token)
        if wanted - SECURITY:
            take_updates(page, address, token)
        browser.close()


def take_security(page: Page, address: str, token: str) -> None:
    """The findings of the demo, the advisory of its last act with its curve, and the case that was begun of it."""
    (advisory, *_), (case, *_) = (_items(page.context, address, token, what) for what in ("advisories", "cases"))
    for name, path in (
        ("findings", "/findings"),
        ("advisory", f"/advisories/{advisory['advisory_id']}"),
        ("case", f"/cases/{case['case_id']}"),
    ):
        page.goto(address + path)
        page.wait_for_load_state("networkidle")
        _take(page, name)


def take_updates(page: Page, address: str, token: str) -> None:
    """An OS that goes to a ring and then to everybody, one device's update, releases, a bill of materials, keys."""
    context = page.context
    devices = _items(context, address, token, "devices")
    first, chip = devices[0]["device_id"], devices[0]["chip"]
    release = _post(context, address, token, "releases", {"chip": chip, "version": NEXT_OS, "feed": "RetailEval"})
    _post(context, address, token, "releases/drafts", {"chip": chip, "version": f"{NEXT_OS}-1"})
    sbom = f"{address}/api/v1/releases/{release['release_id']}/sbom"
    reply = context.request.post(
        sbom, data=_bill(), headers={"Authorization": f"Bearer {token}", "Content-Type": MEDIA_TYPE}
    )
    if reply.status != 200:
        raise SystemExit(f"the bill of materials was refused: {reply.text()}")
    policy = {"rings": [{"name": "Laboratory", "devices": [first]}], "cohorts": [50, 100], "soak_s": 20}
    rollout = _post(context, address, token, f"releases/{release['release_id']}/rollout", {"policy": policy})
    page.goto(f"{address}/updates/{rollout['rollout_id']}")
    page.locator("#rollout .legend", has_text="updated 1").wait_for(timeout=STORY_DEADLINE_S * 1000)
    _take(page, "rollout-rings")
    for name, path in (
        ("device-update", f"/devices/{devices[-1]['device_id']}/update"),
        ("releases", "/releases"),
        ("bill-of-materials", f"/releases/{release['release_id']}?q=py#bill"),
        ("repository", "/repository"),
        ("signing-keys", "/signing-keys"),
    ):
        page.goto(address + path)
        _take(page, name)


def _bill() -> str:
    """A bill of materials in CycloneDX: of the packages that this program runs with."""
    found = sorted((each.metadata["Name"], each.version) for each in distributions())
    components = [
        {"type": "library", "name": name, "version": version, "purl": f"pkg:pypi/{name.lower()}@{version}"}
        for name, version in found
    ]
    return json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": components})


def _post(context: BrowserContext, address: str, token: str, what: str, body: dict[str, Any]) -> dict[str, Any]:
    reply = context.request.post(f"{address}/api/v1/{what}", data=body, headers={"Authorization": f"Bearer {token}"})
    if reply.status != 201:
        raise SystemExit(f"{what}: {reply.status} {reply.text()}")
    made: dict[str, Any] = reply.json()
    return made


def _sign_in(page: Page, address: str, token: str) -> None:
    page.goto(address + "/")
    page.get_by_label("Operator token").fill(token)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/fleet")


def _device(context: BrowserContext, address: str, token: str) -> str:
    """The coffee machine: it shows the most values."""
    found = _items(context, address, token, "devices")
    return next(device["device_id"] for device in found if "coffee" in device["product"].lower())


def _application_rollout(context: BrowserContext, address: str, token: str) -> str:
    """The roll-out that held itself."""
    found = _items(context, address, token, "rollouts")
    return next(rollout["rollout_id"] for rollout in found if rollout["release_id"] is None)


def _items(context: BrowserContext, address: str, token: str, what: str) -> list[dict[str, str]]:
    reply = context.request.get(f"{address}/api/v1/{what}", headers={"Authorization": f"Bearer {token}"})
    found: list[dict[str, str]] = reply.json()["items"]
    return found


def _take(page: Page, name: str) -> None:
    page.screenshot(path=IMAGES / f"{name}.png", animations="disabled")


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: Apache-2.0
"""The pages of threat monitoring in a real Chromium over a real service: they read well, charts have a readout."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect
from tests.console.page_check import reads_well
from tests.console.security_scene import ADVISORY, SecurityScene
from tests.console.watched_browser import LOOKS, PHONE, Watched, some_of

pytestmark = pytest.mark.console


def places(scene: SecurityScene) -> dict[str, tuple[str, str]]:
    """Name -> address, and what its first line says."""
    return {
        "findings": ("/findings", "need"),
        "finding": (f"/findings/{scene.finding}", "It tried to reach scene.example."),
        "advisories": ("/advisories", "2 fresh feeds."),
        "advisory": (f"/advisories/{ADVISORY}", f"{ADVISORY} affects 2 devices."),
        "advisory-devices": (f"/advisories/{ADVISORY}/devices?state=affected", "2 devices are affected"),
        "coverage": ("/advisory-coverage", "images and releases"),
        "crashes": ("/crashes?catalog=northwind", "1 crash group of northwind."),
        "crash": (f"/crashes/northwind/{scene.crash_group}", "SIGSEGV in pour"),
        "traces": ("/traces", "Trace a device"),
        "channels": ("/notification-channels", "channel"),
        "channel": (f"/notification-channels/{scene.channel}", "Desk file"),
        "new-channel": ("/new-notification-channel?kind=syslog", "Tell a syslog receiver"),
        "dossiers": ("/dossiers", "dossier"),
        "dossier": (f"/dossiers/{scene.dossier}", "Kettles of northwind:"),
        "actions": ("/actions", "action"),
        "new-action": ("/new-action?target=finding", "What is to be done?"),
        "reports": ("/vulnerability-reports", "report"),
        "dumps": ("/crash-dumps", "rash dump"),
        "dumps-of-group": ("/crash-dump-groups/northwind/Kettles/Field", "Kettles / Field collects"),
        "cases": ("/cases", "report"),
        "case": (f"/cases/{scene.case}", "the early warning (24 hours) is due, 21 h"),
        "draft": (f"/cases/{scene.case}/draft?stage=24h", "Early warning (24 hours):"),
        "new-case": ("/new-case?subject=advisory", "Say that you are aware"),
        "products": ("/products", "1 product: 1 supported."),
        "trace-product": ("/traces/product/northwind/Kettles", "Kettles of northwind: 3 devices"),
        "trace-device": (f"/traces/device/{scene.devices[0]}", "events of"),
    }


@LOOKS
def test_the_security_pages_read_well(
    security_scene: SecurityScene, watch: Callable[..., Watched], look: str, options: dict[str, object]
):
    page = security_scene.sign_in(watch(security_scene, **options))
    for name, (path, says) in some_of(places(security_scene).items(), look):
        page.goto(path)
        expect(page.locator("h1")).to_contain_text(says)
        if name in ("advisory", "crash"):
            expect(page.locator("[data-curve] .uplot canvas")).to_be_visible()
        reads_well(page, f"security-{name}-{look}")


def test_every_state_of_actions_can_be_reached_on_a_phone(security_scene: SecurityScene, watch: Callable[..., Watched]):
    """Choices that have no room beside each other go into the next line: what is cut off nobody can touch."""
    page = security_scene.sign_in(watch(security_scene, viewport=PHONE))
    page.goto("/actions")
    frame = page.locator(".chips").first.bounding_box()
    ends = [each.bounding_box() for each in page.locator(".chips").first.locator("a").all()]
    assert len(ends) > 8
    assert all(each["x"] + each["width"] <= frame["x"] + frame["width"] + 1 <= PHONE["width"] for each in ends)


def test_a_curve_says_its_values_and_is_there_without_script(
    security_scene: SecurityScene, watch: Callable[..., Watched]
):
    page = security_scene.sign_in(watch(security_scene))
    page.goto(f"/advisories/{ADVISORY}")
    readout = page.locator("[data-curve] .readout")
    expect(readout).to_contain_text(re.compile(r"affected devices 2\s*repaired devices 1"))
    box = page.locator("[data-curve] .u-over").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 20, box["y"] + 40)
    expect(readout).to_contain_text(re.compile(r"affected devices 0\s*repaired devices 0"))

    plain = security_scene.sign_in(watch(security_scene, java_script_enabled=False))
    plain.goto(f"/advisories/{ADVISORY}")
    expect(plain.locator("[data-curve] svg path")).to_have_count(2)
    expect(plain.locator("[data-curve] .readout")).to_contain_text("repaired devices 1")


def test_findings_of_a_kind_are_acknowledged_from_the_list(
    security_scene: SecurityScene, watch: Callable[..., Watched]
):
    """Filters stay in the address, the page that asks says what it touches, and the list has them no more."""
    made = [security_scene.observe(f"all-{number}", kind="hub-anomaly", severity="low") for number in range(2)]
    page = security_scene.sign_in(watch(security_scene), "Contributor")
    page.goto("/findings")
    page.get_by_label("Severity").select_option("low")
    page.get_by_role("button", name="Show").click()
    page.wait_for_url("**/findings?*severity=low*")
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name="hub anomaly"))
    row.get_by_role("link", name="Acknowledge all").click()
    expect(page.get_by_text("2 open findings: 2 low.")).to_be_visible()
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.get_by_role("status").filter(has_text="Acknowledged")).to_contain_text("Acknowledged.")
    expect(page.get_by_role("link", name="hub anomaly")).to_have_count(0)
    status = {str(each.finding_id): each.status for each in security_scene.service.watch.list().items}
    assert [status[each] for each in made] == ["acknowledged"] * 2

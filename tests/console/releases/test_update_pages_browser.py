# SPDX-License-Identifier: Apache-2.0
"""Pages of releases, images, groups and keys in a real Chromium over a real service; files go up with a real form."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect
from tests.console.hub_scene import HubScene
from tests.console.page_check import reads_well
from tests.console.watched_browser import LOOKS, Watched, some_of

from armillary.boot import virtual_chain

pytestmark = pytest.mark.console

CHIP = "imx8mp"


@LOOKS
def test_every_page_of_updates_reads_well_and_is_accessible(
    hub_scene: HubScene, watch: Callable[..., Watched], look: str, options: dict[str, object]
):
    page = hub_scene.sign_in(watch(hub_scene, **options))
    release = f"/releases/{hub_scene.running.service.releases.newest(CHIP).release_id}"
    group = "/device-groups/northwind/Coolers/Field"
    places = (
        ("releases", "/releases", "in force"),
        ("release", release, "for imx8mp is for everybody"),
        ("release-new", f"/new-release?chip={CHIP}", f"A new release for {CHIP}"),
        ("release-revoke", f"{release}/revoke", "Revoke "),
        ("images", "/images?catalog=contoso", "No image of contoso yet."),
        ("device-groups", "/device-groups", "device group"),
        ("device-group", group, "which may update"),
        ("device-group-ask", f"{group}/check-now", "Have all devices of Field check in now?"),
        ("repository", "/repository", "are online."),
        ("signing-keys", "/signing-keys", "2 signing keys, of which 2 sign now."),
    )
    for name, path, says in some_of(places, look):
        page.goto(path)
        expect(page.get_by_role("heading", level=1)).to_contain_text(says)
        reads_well(page, f"updates-{name}-{look}")


def test_packages_and_a_bill_go_up_with_a_browser(hub_scene: HubScene, watch: Callable[..., Watched], tmp_path: Path):
    service, page = hub_scene.running.service, hub_scene.sign_in(watch(hub_scene))
    signer = service.authority.os_signer
    packages = virtual_chain.build(
        service.chips.get(CHIP),
        "53.1",
        built=1_790_000_000,
        security_version=1,
        key=signer.key,
        certificate=signer.certificate,
    )
    page.goto("/releases")
    page.get_by_role("link", name="New draft").click()
    page.get_by_label("Chip").select_option(CHIP)
    page.get_by_role("button", name="Choose").click()
    page.get_by_label("Version", exact=True).fill("53.1")
    for name, package in packages.items():
        (tmp_path / name).write_bytes(package)
        page.get_by_label(f"Package of {name}").set_input_files(tmp_path / name)
    page.get_by_role("button", name="Create the draft").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Draft 53.1 for imx8mp waits to be published.")
    bill = tmp_path / "bom.json"
    component = {"type": "library", "name": "zlib", "version": "1.3.1"}
    bill.write_text(json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [component]}))
    page.get_by_label("CycloneDX or SPDX document").set_input_files(bill)
    page.get_by_role("button", name="Add the bill of materials").click()
    expect(page.get_by_role("row", name="zlib")).to_contain_text("1.3.1")
    page.get_by_label("Name, version or licence").fill("curl")
    page.get_by_role("button", name="Search the bill").click()
    expect(page.get_by_text("No component matches curl.")).to_be_visible()

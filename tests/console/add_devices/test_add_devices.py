# SPDX-License-Identifier: Apache-2.0
"""From an empty service to devices, in the console alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from html import unescape

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from playwright.sync_api import expect
from tests.api.running_service import device_request, fresh
from tests.console.hub_scene import HubScene
from tests.console.page_check import reads_well
from tests.console.plain_browser import signed_in
from tests.console.watched_browser import Watched

from armillary.console.add_devices import pages_add_devices as pages, pages_one_command as one_command
from armillary.console.sources.answers_registry import newly_claimed
from armillary.console.sources.request_context import RequestContext
from armillary.identity.operator import Operator

HERE = pages.HERE


def test_a_catalog_a_product_a_group_and_a_claim_by_forms(hub_scene: HubScene) -> None:
    browser, registry, name = hub_scene.browser(), hub_scene.running.service.registry, fresh("zone")
    page = browser.get(HERE)
    assert page.status == 200
    assert browser.post(f"{HERE}/catalog", name=name).headers["location"].startswith(f"{HERE}?told=catalog-made")
    again = browser.post(f"{HERE}/catalog", name=name)
    assert (again.status, f"catalog '{name}' exists" in unescape(again.text)) == (400, True)
    assert f'value="{name}"' in again.text
    made = browser.post(f"{HERE}/product", catalog=name, name="Cable", description="charges", groups="on")
    assert made.status == 303
    assert len(registry.groups.list(name, "Cable")) == 5
    group = {"product": f"{name}/Cable", "name": "Pilot", "os_feed": "Retail", "update_policy": "UpdateAll"}
    assert browser.post(f"{HERE}/group", **group).status == 303
    assert browser.post(f"{HERE}/group", **{**group, "os_feed": "x", "name": "P2"}).status == 400
    device = hub_scene.running.make_device().device_id
    answer = browser.post(
        f"{HERE}/claim", target=f"{name}/Cable/Pilot", ids=f"{device}\n{'0' * 128}\nnonsense\n{device}"
    )
    assert "1 device claimed and 2 refused" in answer.text
    assert "expected a device id (128 hexadecimal digits), got" in unescape(answer.text)
    found = registry.devices.get(device)
    assert (found.catalog, found.product, found.group) == (name, "Cable", "Pilot")
    lines = {line.operation for line in hub_scene.running.service.audit.list(limit=20).items}
    assert {"catalog.create", "product.create", "device-group.create", "device.claim"} <= lines


def test_a_list_is_claimed_from_a_file_with_a_result_for_each_line_and_nothing_twice(hub_scene: HubScene) -> None:
    browser, registry = hub_scene.browser("Contributor"), hub_scene.running.service.registry
    name = hub_scene.running.make_catalog(fresh("zone"), product="Cable")
    device, own = hub_scene.running.make_device().device_id, hub_scene.running.make_device().device_id
    registry.devices.claim(name, [own], product="Cable", group="Production", actor="test")
    table = f"\ufeffDeviceId;Made\n# from the line\n{device};today\n\n{own}\n{device}\n{'9' * 128}\n"
    target = f"{name}/Cable/Development"
    answer = browser.upload(f"{HERE}/claim", {"file": table.encode()}, target=target, ids=device.upper())
    assert "1 device claimed, 1 had been claimed before" in unescape(answer.text), answer.text
    assert "1 refused" in answer.text
    assert registry.devices.get(device).group == "Development"
    assert registry.devices.get(own).group == "Production"
    lines = hub_scene.running.service.audit.list(limit=30).items
    claims = [line.target for line in lines if line.operation == "device.claim"]
    assert claims.count(device) == 1
    binary = browser.upload(f"{HERE}/claim", {"file": b"\xff\xfe"}, target=target, ids="")
    assert (binary.status, "file: expected text in UTF-8" in binary.text) == (400, True)
    many = "\n".join(map(str, range(pages.MAX_IDS + 1))).encode()
    assert f"expected 1 to {pages.MAX_IDS}" in browser.upload(f"{HERE}/claim", {"file": many}, target=target).text
    huge = browser.upload(f"{HERE}/claim", {"file": b"x" * (pages.MAX_CLAIM_BYTES + 1)}, target=target)
    assert (huge.status, "larger than" in huge.text) == (400, True)


def test_the_steps_of_a_device_turn_good_as_it_comes(hub_scene: HubScene) -> None:
    browser, now = hub_scene.browser("Contributor"), int(time.time())
    name = hub_scene.running.make_catalog(fresh("zone"), product="Coffee")
    here = f"{pages.PROGRESS}?since={now}"
    assert f'hx-get="{pages.PROGRESS}?since=' in browser.get(HERE).text
    device = hub_scene.running.claimed(name)
    page = browser.get(here).text
    assert ("attested</span>" in page, "claimed</span>" in page, 'data-every="2"' in page) == (False, True, True)
    with device:
        device.check_in()
    page = browser.get(here).text
    assert "attested</span>" in page or "update only</span>" in page
    assert f"/devices/{device.device_id}" in page
    running = hub_scene.running
    by = RequestContext(running.service, running.hub, running.platform, Operator("test", "Reader", None, None), None)
    assert newly_claimed(by, int(time.time()) + 5)["items"] == [], "what was before the page is not what is made now"
    of_one = signed_in(hub_scene, hub_scene.running.token_for("contoso"))
    assert device.device_id not in of_one.get(here).text


def test_bad_forms_are_refused_where_they_are(hub_scene: HubScene) -> None:
    browser = hub_scene.browser()
    browser.get(HERE)
    for kind, fields in (
        ("catalog", {"name": " "}),
        ("catalog", {"name": "a b"}),
        ("product", {"catalog": "absent", "name": "Cable"}),
        ("group", {"product": "northwind", "name": "x"}),
        ("claim", {"target": "northwind/Coolers/Field", "ids": " "}),
        ("claim", {"target": "northwind/Coolers/Field", "ids": "\n".join(map(str, range(pages.MAX_IDS + 1)))}),
    ):
        answer = browser.post(f"{HERE}/{kind}", **fields)
        assert (answer.status, f'id="{kind}"' in answer.text) == (400, True), (kind, answer.text)


def test_a_reader_is_led_to_no_form_and_one_of_a_catalog_to_its_own(hub_scene: HubScene) -> None:
    assert hub_scene.browser("Reader").get(HERE).status == 403
    assert HERE not in hub_scene.browser("Reader").get("/fleet").text
    assert HERE in hub_scene.browser().get("/fleet").text
    browser = signed_in(hub_scene, hub_scene.running.token_for("contoso"))
    page = browser.get(HERE)
    assert (page.status, "contoso" in page.text, "northwind" in page.text) == (200, True, False)
    assert f'action="{HERE}/catalog"' not in page.text
    for kind, fields in (
        ("claim", {"target": "northwind/Coolers/Field", "ids": "0" * 128}),
        ("product", {"catalog": "northwind", "name": "Stolen"}),
        ("group", {"product": "northwind/Coolers", "name": "Stolen", "os_feed": "Retail"}),
        ("catalog", {"name": fresh("new")}),
    ):
        answer = browser.post(f"{HERE}/{kind}", **fields)
        assert (answer.status, "does not exist" in answer.text) == (400, True), (kind, answer.text)
    assert [each.name for each in hub_scene.running.service.registry.products.list("northwind")] == ["Coolers"]


def test_the_page_reads_well(hub_scene: HubScene, watch: Callable[..., Watched]) -> None:
    page = hub_scene.sign_in(watch(hub_scene))
    page.get_by_role("link", name="Add devices").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Add devices")
    expect(page.get_by_role("row", name="Log in once")).to_contain_text("--service https://")
    reads_well(page, "add-devices")


def command_of(text: str) -> str:
    """The command that an answer shows."""
    return unescape(text.partition("armillary device create --data my-device --service")[2].partition("<")[0])


def test_one_command_is_made_for_a_device_and_shown_once(hub_scene: HubScene) -> None:
    browser, running = hub_scene.browser("Contributor"), hub_scene.running
    name = running.make_catalog(fresh("zone"), product="Cable")
    assert 'id="one-command"' in browser.get(HERE).text
    answer = browser.post(f"{HERE}/one-command", target=f"{name}/Cable/Production")
    command = command_of(answer.text)
    root = x509.load_pem_x509_certificates(running.root.read_bytes())[0].fingerprint(hashes.SHA256()).hex()
    assert f" --root-sha256 {root} --token arme_" in command
    assert command.endswith(" --boot")
    assert f"in {name} / Cable / Production, until" in answer.text
    assert answer.headers["cache-control"] == "no-store"
    (token,) = running.service.enrolments.list(name)
    assert (token.product, token.group, token.uses) == ("Cable", "Production", 1)
    assert token.expires_at - token.created_at == 3600
    line = running.service.audit.list(limit=1).items[0]
    assert (line.operation, line.target) == ("enrolment-token.create", str(token.token_id))
    assert f"token={token.token_id}" in answer.text
    assert "arme_" not in browser.get(HERE).text


def test_the_device_of_the_command_and_no_other_turns_attested(hub_scene: HubScene) -> None:
    browser, running, now = hub_scene.browser("Contributor"), hub_scene.running, int(time.time())
    name = running.make_catalog(fresh("zone"), product="Coffee")
    made = running.service.enrolments.create(name, product="Coffee", group="Production", actor="test")
    here = f"{pages.PROGRESS}?since={now}&token={made.token.token_id}"
    running.claimed(name)
    waiting = browser.get(here).text
    assert (waiting.count("waits</span>"), 'data-every="2"' in waiting) == (2, True)
    assert ">Show how far it is</a>" in waiting, "for a browser without script"
    body = {"csr": device_request(), "chip": "mt3620"}
    of_token = running.call("POST", "/api/v1/factory/devices", body, token=made.secret).body["device_id"]
    page = browser.get(here).text
    assert (page.count("waits</span>"), f"/devices/{of_token}" in page) == (1, True)
    of_one = signed_in(hub_scene, running.token_for("contoso"))
    assert of_token not in of_one.get(here).text, "another catalog's device is not seen by its token's id"


def test_a_command_is_refused_for_groups_of_others_and_for_who_may_make_no_token(hub_scene: HubScene) -> None:
    running, tokens = hub_scene.running, hub_scene.running.service.enrolments
    before = len(tokens.list("northwind"))
    browser = signed_in(hub_scene, running.token_for("contoso"))
    browser.get(HERE)
    for target in ("northwind/Coolers/Field", "absent/Cable/Production", "northwind", ""):
        answer = browser.post(f"{HERE}/one-command", target=target)
        assert (answer.status, "arme_" in answer.text) == (400, False), target
    assert "does not exist" in browser.post(f"{HERE}/one-command", target="northwind/Coolers/Field").text
    owner = hub_scene.browser().post(f"{HERE}/one-command", target="northwind/Coolers/Nowhere")
    assert (owner.status, "device group Coolers / Nowhere does not exist" in owner.text) == (400, True)
    assert hub_scene.browser("Reader").post(f"{HERE}/one-command", target="northwind/Coolers/Field").status == 403
    assert len(tokens.list("northwind")) == before


def test_who_may_make_no_token_sees_the_longer_way_alone() -> None:
    group = {"catalog": "Contoso", "product": "Cable", "name": "Production"}
    shown = {may: anchors_of(group, may_enrol=may) for may in (True, False)}
    assert shown == {True: [one_command.ONE, pages.ATTESTS], False: [pages.ATTESTS]}


def anchors_of(group: dict[str, str], *, may_enrol: bool) -> list[str]:
    """The sections that the page has for somebody who may only claim, and enrol or not."""
    may = dict.fromkeys(("use", "hub", "catalog", "product", "group"), False) | {"claim": True, "enrol": may_enrol}
    made = pages.page(
        groups=[group],
        products=[],
        catalogs=["Contoso"],
        feeds=[],
        may=may,
        shut=[],
        addresses={"api": "https://localhost:8443", "root_sha256": "0" * 64},
        sent={},
        wrong=None,
        claimed=None,
        since=0,
    )
    return [each.anchor for each in made.sections]

# SPDX-License-Identifier: Apache-2.0
"""A catalog's page: what its devices have to prove by a form, products and device groups changed and deleted."""

from __future__ import annotations

import re
from html import unescape

import pytest
from tests.api.running_service import fresh
from tests.console.hub_scene import HubScene
from tests.console.plain_browser import Answer, signed_in

from armillary.console.catalogs import policy_form
from armillary.errors import InvalidArgumentError

DEMANDS = {
    "version": "0",
    "minimum_tier": "software",
    "maximum_release_age_days": "90",
    "older_releases_until": "2031-01-31 12:00",
    "chip.mt3620": "on",
    "minimum_security_versions": "",
}


def hidden(answer: Answer) -> dict[str, str]:
    """What the page that asks sends along."""
    form = re.search(r'<form class="confirm".*?</form>', answer.text, re.DOTALL)
    assert form is not None, answer.text
    found = dict(re.findall(r'<input type="hidden" name="([\w.]+)" value="([^"]*)">', form[0]))
    found.pop("form_token")
    return {name: unescape(value) for name, value in found.items()}


def test_what_devices_have_to_prove_is_a_form_that_says_what_it_touches(hub_scene: HubScene) -> None:
    name = hub_scene.running.make_catalog(fresh("zone"), product="Coffee")
    browser, policies = hub_scene.browser(), hub_scene.running.service.attestation.policies
    page = browser.get(f"/catalogs/{name}").text
    assert "No requirements beyond a verified boot" in page
    asked = browser.post(f"/catalogs/{name}/policy", **DEMANDS)
    assert "software or better" in unescape(asked.text).replace("tier software", "software")
    assert policies.get(name).version == 0, "nothing is changed before it was asked"
    assert browser.post(f"/catalogs/{name}/policy", **hidden(asked)).headers["location"].endswith("told=policy-changed")
    made = policies.get(name).policy
    assert (made.minimum_tier, made.maximum_release_age_days, made.chips) == ("software", 90, ("mt3620",))
    stale = browser.post(f"/catalogs/{name}/policy", **DEMANDS)
    assert (stale.status, "was changed since this page was opened" in stale.text) == (400, True)
    for wrong, says in (
        ({"maximum_release_age_days": "x"}, "Oldest release: expected a number of days"),
        ({"older_releases_until": "soon"}, "expected a time, got 'soon'"),
        ({"minimum_security_versions": "33"}, "expected image type = version, got '33'"),
    ):
        refused = browser.post(f"/catalogs/{name}/policy", **{**DEMANDS, "version": "1", **wrong})
        assert (refused.status, says in unescape(refused.text)) == (400, True), refused.text
        assert 'value="software" selected' in refused.text, "nothing that was typed is lost"
    contributor = hub_scene.browser("Contributor")
    assert f'action="/catalogs/{name}/policy"' not in contributor.get(f"/catalogs/{name}").text
    assert contributor.post(f"/catalogs/{name}/policy", **DEMANDS).status == 403


def test_products_and_groups_are_changed_and_deleted_with_what_goes_with_them(hub_scene: HubScene) -> None:
    registry = hub_scene.running.service.registry
    name = hub_scene.running.make_catalog(fresh("zone"), product="Coffee")
    browser = hub_scene.browser()
    product, group = f"/catalogs/{name}/products/Coffee", f"/device-groups/{name}/Coffee/Production"
    assert browser.post(product, description="brews").status == 303
    assert registry.products.get(name, "Coffee").description == "brews"
    change = {"description": "in shops", "os_feed": "Retail", "update_policy": "No3rdPartyAppUpdates"}
    assert browser.post(f"{group}/change", **change).status == 303
    assert registry.groups.get(name, "Coffee", "Production").update_policy == "No3rdPartyAppUpdates"
    refused = browser.post(f"{group}/change", **{**change, "os_feed": "Absent"})
    assert (refused.status, 'value="in shops"' in refused.text) == (400, True)
    device = hub_scene.running.claimed(name)
    asks = unescape(browser.get(f"{product}/delete").text)
    assert "5 device groups" in asks
    assert "One of its groups has 1 device: move them to another group first." in asks
    used = browser.post(f"{group}/delete")
    assert (used.status, "Nothing was deleted" in used.text) == (409, True)
    registry.lifecycle.decommission(device.device_id, reason="test", actor="test")
    assert browser.post(f"{group}/delete").headers["location"] == "/device-groups?told=place-deleted"
    assert browser.post(f"{product}/delete").status == 400, "the word is asked for"
    assert browser.post(f"{product}/delete", word="Coffee").status == 303
    assert "0 products" in browser.get(f"/catalogs/{name}/delete").text
    assert browser.post(f"/catalogs/{name}/delete", word=name).headers["location"] == "/settings?told=place-deleted"
    assert name not in [each.name for each in registry.catalogs.list()]
    lines = {line.operation for line in hub_scene.running.service.audit.list(limit=30).items}
    assert {"product.update", "device-group.update", "product.delete", "catalog.delete"} <= lines


def test_nobody_reaches_into_a_catalog_that_is_not_theirs(hub_scene: HubScene) -> None:
    browser = signed_in(hub_scene, hub_scene.running.token_for("contoso", "Administrator"))
    assert browser.get("/catalogs/contoso").status == 200
    for path in ("/catalogs/northwind", "/catalogs/northwind/products/Coolers", "/catalogs/northwind/delete"):
        assert browser.get(path).status == 404, path
    group = "/device-groups/northwind/Coolers/Field"
    for path in ("/catalogs/northwind/policy", "/catalogs/northwind/products/Coolers", f"{group}/change"):
        answer = browser.post(path, **DEMANDS, description="stolen", os_feed="Retail", update_policy="UpdateAll")
        assert "does not exist" in answer.text, path
    assert hub_scene.running.service.registry.products.get("northwind", "Coolers").description != "stolen"


def test_a_form_of_a_policy_reads_as_the_api_takes_it() -> None:
    assert policy_form.change_of({"minimum_security_versions": "33=4\n 1 : 2\n"})["minimum_security_versions"] == {
        "33": 4,
        "1": 2,
    }
    ticked = {"mechanism.user": "on", "mechanism.landlock": "on", "minimum_security_versions": ""}
    assert policy_form.change_of(ticked)["mechanisms"] == ["landlock", "user"]
    for text in ("33=4\n33=5", "a=1", "=1", "1=2=3"):
        with pytest.raises(InvalidArgumentError):
            policy_form.change_of({"minimum_security_versions": text})

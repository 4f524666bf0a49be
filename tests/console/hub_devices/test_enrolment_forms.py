# SPDX-License-Identifier: Apache-2.0
"""Enrolments of hub devices made by a form, and an authority proven by another."""

from __future__ import annotations

from html import unescape
from pathlib import Path

from tests.api.running_service import fresh
from tests.console.hub_scene import HubScene
from tests.console.plain_browser import signed_in
from tests.fixtures.certificates import self_signed

ENROLMENTS = "/hub-catalogs/northwind/enrolments"
FORM = {"for": "one", "attestation": "symmetricKey", "certificate": "", "device_id": "", "initial_twin": ""}


def test_keys_of_an_enrolment_are_shown_once(hub_scene: HubScene) -> None:
    browser, name = hub_scene.browser("Contributor"), fresh("line")
    made = browser.post(ENROLMENTS, **{**FORM, "for": "group"}, name=name)
    assert (made.status, "are shown this once" in made.text, "Id scope" in made.text) == (200, True, True)
    assert "Primary key" not in browser.get("/hub-devices?catalog=northwind").text
    again = browser.post(ENROLMENTS, **{**FORM, "for": "group"}, name=name)
    assert (again.status, f'value="{name}"' in again.text) == (400, True)
    for wrong, says in (
        ({"initial_twin": "{"}, "First twin: expected JSON"),
        ({"certificate": "x"}, "Certificate: an enrolment by symmetric keys has none"),
        ({"attestation": "x509"}, "certificate: expected one in PEM"),
    ):
        refused = browser.post(ENROLMENTS, **{**FORM, **wrong}, name=fresh("line"))
        assert (refused.status, says in unescape(refused.text)) == (400, True), refused.text
    of_one = signed_in(hub_scene, hub_scene.running.token_for("contoso"))
    assert of_one.post(ENROLMENTS, **FORM, name=fresh("line")).status == 404
    assert hub_scene.browser("Reader").post(ENROLMENTS, **FORM, name=fresh("line")).status == 403


def test_an_authority_is_proven_by_what_it_signed(hub_scene: HubScene, tmp_path: Path) -> None:
    browser, name = hub_scene.browser("Contributor"), fresh("factory")
    _, pem, authority = self_signed(tmp_path, name, authority=True)
    made = browser.post(ENROLMENTS, **{**FORM, "for": "group", "attestation": "x509", "certificate": pem}, name=name)
    here = made.headers["location"].partition("?")[0]
    page = browser.get(here).text
    found = hub_scene.call("GET", "/catalogs/northwind/hub-enrolments")["items"]
    nonce = next(each["possession_nonce"] for each in found if each["name"] == name)
    assert nonce in page
    _, forged, _ = self_signed(tmp_path, nonce)
    refused = browser.post(f"{here}/verify", certificate=forged)
    assert (refused.status, "Nothing was changed" in refused.text) == (400, True)
    _, proof, _ = self_signed(tmp_path, nonce, issuer=authority)
    assert browser.post(f"{here}/verify", certificate=proof).headers["location"].endswith("told=enrolment-proven")
    assert nonce not in browser.get(here).text

# SPDX-License-Identifier: Apache-2.0
"""Pages of hub devices over a real service and the API's own routes, without a browser: roles, words, errors."""

from __future__ import annotations

import html
import re
from pathlib import Path

from tests.console.hub_scene import HubScene
from tests.fixtures.certificates import self_signed

from armillary.console.frame.states import ATTENTION, GOOD, UNKNOWN
from armillary.console.hub_devices import pages_hub_devices


def said(text: str) -> str:
    """The page's words."""
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", text)))


def test_the_list_says_that_nobody_attests_and_is_of_one_catalog(hub_scene: HubScene):
    look = hub_scene.browser()
    text = said(look.get("/hub-devices?catalog=northwind").text)
    assert "hub devices in northwind: 1 connected. None of them attests." in text
    assert "cooler-1" in text
    empty = said(look.get("/hub-devices").text)
    assert empty.count("No hub device in contoso.") == 1
    assert "contoso has no other device." in empty
    assert re.search(r"In the fleet northwind has (1 device that attests|\d+ devices that attest)\.", text), text
    assert "cooler-1" not in said(look.get("/hub-devices?catalog=contoso").text)
    assert look.get("/hub-devices?catalog=nobody").status == 404
    found = said(look.get("/hub-devices?catalog=northwind&q=probe").text)
    assert "probe@yard" in found
    assert "cooler-2" not in found
    assert "None is called xyz, and no id begins so." in said(look.get("/hub-devices?catalog=northwind&q=xyz").text)


def test_the_api_lists_hub_devices_by_the_beginning_of_their_names(hub_scene: HubScene):
    page = hub_scene.call("GET", "/catalogs/northwind/hub-devices?device_id_prefix=cooler-&limit=1")
    assert ([each["device_id"] for each in page["items"]], page["next"]) == (["cooler-1"], "cooler-1")
    page = hub_scene.call("GET", "/catalogs/northwind/hub-devices?device_id_prefix=cooler-&after=cooler-1")
    assert [each["device_id"] for each in page["items"]] == ["cooler-2"]


def test_a_hub_device_is_made_shown_once_disabled_rotated_and_deleted(hub_scene: HubScene):
    look = hub_scene.browser("Contributor")
    made = look.post("/new-hub-device", device_id="valve-9", catalog="northwind", authentication="sas")
    assert made.status == 200
    first = re.search(r"HostName=[^<]+SharedAccessKey=[^<]+", made.text)
    assert first is not None
    page = look.get("/hub-devices/valve-9").text
    assert "SharedAccessKey" not in page
    assert "Not attested, not connected, never heard. It proves that it holds a symmetric key." in said(page)
    again = look.post("/new-hub-device", device_id="valve-9", catalog="northwind", authentication="sas")
    assert again.status == 400
    assert "is taken" in said(again.text)
    assert 'value="valve-9"' in again.text  # nothing that was typed is lost

    assert look.post("/hub-devices/valve-9/disable", reason="lost on site").status == 303
    assert (
        "Not attested, disabled: it may not connect. It proves that it holds a symmetric key. Nothing is known"
        in said(look.get("/hub-devices/valve-9").text)
    )
    assert "lost on site" in said(look.get("/hub-devices/valve-9").text)
    assert look.post("/hub-devices/valve-9/enable").status == 303
    rotated = look.post("/hub-devices/valve-9/new-keys")
    second = re.search(r"HostName=[^<]+SharedAccessKey=[^<]+", rotated.text)
    assert second is not None
    assert second[0] != first[0]

    module = look.post("/hub-devices/valve-9/modules", module_id="camera", authentication="sas")
    assert "ModuleId=camera" in html.unescape(module.text)
    assert look.post("/hub-devices/valve-9/modules", module_id="plain", authentication="device").status == 303
    hub_scene.call("PATCH", "/devices/valve-9/twin?module=plain", {"desired": {"secret": 1}})
    hub_scene.running.service.hub_access.identities.delete("valve-9/plain", actor="test")
    assert look.post("/hub-devices/valve-9/modules", module_id="plain", authentication="device").status == 303
    assert "secret" not in str(
        hub_scene.call("GET", "/devices/valve-9/twin?module=plain")
    )  # made anew, it begins empty
    assert look.post("/hub-devices/valve-9/modules", module_id="a b", authentication="device").status == 400
    assert look.post("/hub-devices/valve-9/modules/camera/disable", reason="dark").status == 303
    text = said(look.get("/hub-devices/valve-9").text)
    assert "camera a symmetric key disabled dark Enable Delete" in text
    assert look.post("/hub-devices/valve-9/modules/camera/delete").status == 303
    assert look.get("/hub-devices/valve-9/modules/camera/delete").status == 404

    assert look.post("/hub-devices/valve-9/delete").status == 400  # the id was not typed
    assert look.post("/hub-devices/valve-9/delete", word="valve-9").status == 303
    assert look.get("/hub-devices/valve-9").status == 404
    lines = hub_scene.call("GET", "/audit?limit=50")["items"]
    mine = [line["operation"] for line in lines if line["target"].startswith("valve-9")]
    assert mine[0] == "hub-device.delete"
    assert {line["actor"] for line in lines if line["target"] == "valve-9"} == {"Contributor-token"}


def test_a_device_with_a_certificate_of_its_own_says_whether_it_is_let_in(hub_scene: HubScene, tmp_path: Path):
    look = hub_scene.browser()
    pem = self_signed(tmp_path, "pump-2")[1].replace("\n", "\r\n")  # as browsers send it
    fields = {"device_id": "pump-2", "catalog": "northwind", "authentication": "selfSigned"}
    assert "expected PEM, got nothing" in said(look.post("/new-hub-device", **fields).text)
    wrong = look.post("/new-hub-device", **fields, certificate="no certificate")
    assert wrong.status == 400
    assert "no certificate" in wrong.text
    mixed = look.post("/new-hub-device", **{**fields, "authentication": "sas"}, certificate=pem)
    assert "a device with a symmetric key has none" in said(mixed.text)
    assert look.post("/new-hub-device", **fields, certificate=pem).status == 303
    text = said(look.get("/hub-devices/pump-2").text)
    assert "Not attested, blocked by its catalog. It proves that it holds a certificate of its own." in text
    assert "New keys" not in text
    assert look.post("/hub-devices/pump-2/delete", word="pump-2").status == 303


def test_admission_says_what_it_means_and_is_an_administrators(hub_scene: HubScene):
    path = "/hub-catalogs/contoso/admission/certificates"
    for role in ("Reader", "Contributor"):
        look = hub_scene.browser(role)
        assert look.post(f"{path}/admit", word="contoso").status == 403
        assert f"{path}/admit" not in look.get("/hub-devices?catalog=contoso").text
    look = hub_scene.browser()
    assert "what it runs is not known" in said(look.get(f"{path}/admit").text)
    assert look.post(f"{path}/admit").status == 400  # the catalog's name was not typed
    assert hub_scene.call("GET", "/catalogs/contoso/hub-admission")["certificates"] is False
    assert look.post(f"{path}/admit", word="contoso").status == 303
    assert hub_scene.call("GET", "/catalogs/contoso/hub-admission")["certificates"] is True
    assert "Certificates of their own allowed" in said(look.get("/hub-devices?catalog=contoso").text)
    assert look.post(f"{path}/keep-out", word="contoso").status == 303
    assert hub_scene.call("GET", "/catalogs/contoso/hub-admission")["certificates"] is False
    assert look.get("/hub-catalogs/contoso/admission/passwords/admit").status == 404


def test_enrolments_are_listed_switched_and_deleted(hub_scene: HubScene):
    body = {"name": "factory-3", "group": True, "attestation": "symmetricKey"}
    made = hub_scene.call("POST", "/catalogs/contoso/hub-enrolments", body)
    path = f"/hub-catalogs/contoso/enrolments/{made['enrolment_id']}"
    reader = hub_scene.browser("Reader")
    assert "factory-3" in said(reader.get("/hub-devices?catalog=contoso").text)
    text = reader.get(path).text
    assert "factory-3 lets a group of devices register with symmetric keys: enabled, 0 devices so far." in said(text)
    assert made["primary_key"] not in text
    assert reader.post(f"{path}/disable").status == 403
    look = hub_scene.browser("Contributor")
    assert look.post(f"{path}/disable").status == 303
    assert hub_scene.call("GET", "/catalogs/contoso/hub-enrolments")["items"][0]["enabled"] is False
    assert look.post(f"{path}/delete").status == 400
    assert look.post(f"{path}/delete", word="factory-3").status == 303
    assert look.get(path).status == 404


def test_service_keys_are_an_administrators_to_see_and_shown_once(hub_scene: HubScene):
    for role in ("Reader", "Contributor"):
        look = hub_scene.browser(role)
        assert "may not see service keys" in said(look.get("/hub-devices?catalog=contoso").text)
        assert look.post("/hub-catalogs/contoso/service-keys", name="erp", role="Reader").status == 403
        assert look.get("/hub-catalogs/contoso/service-keys/erp/delete").status == 403
    look = hub_scene.browser()
    made = look.post("/hub-catalogs/contoso/service-keys", name="erp", role="Reader")
    assert "SharedAccessKeyName=erp;SharedAccessKey=" in html.unescape(made.text)
    plain = look.get("/hub-devices?catalog=contoso").text
    assert ("SharedAccessKey" in plain, "shows them" in plain, "Keys of devices" in plain) == (False, False, True)
    body = {"name": "registry", "role": "Contributor", "reveals_keys": True}
    hub_scene.call("POST", "/catalogs/contoso/hub-service-keys", body)
    assert "shows them" in look.get("/hub-devices?catalog=contoso").text
    assert look.post("/hub-catalogs/contoso/service-keys/registry/delete").status == 303
    wrong = look.post("/hub-catalogs/contoso/service-keys", name="erp", role="King")
    assert (wrong.status, 'value="erp"' in wrong.text) == (400, True)
    assert look.post("/hub-catalogs/contoso/service-keys/erp/delete").status == 303
    assert "There is none." in said(look.get("/hub-devices?catalog=contoso").text)


def test_a_reader_looks_and_changes_nothing(hub_scene: HubScene):
    look = hub_scene.browser("Reader")
    for path in ("/hub-devices?catalog=northwind", "/hub-devices/cooler-1"):
        text = look.get(path).text
        main = text[text.index("<main") : text.index("</main>")]
        forms = re.findall(r'method="post" action="([^"]+)"', main)
        assert {each for each in forms if not each.startswith("/table-")} == set(), path  # what is their own
        assert "Delete" not in said(main), path
    for path in (
        "/new-hub-device",
        "/hub-devices/cooler-1/delete",
        "/hub-catalogs/contoso/admission/certificates/admit",
    ):
        assert look.get(path).status == 403
    for path in ("/new-hub-device", "/hub-devices/cooler-1/disable", "/hub-devices/cooler-1/modules"):
        assert look.post(path, device_id="x", module_id="x", authentication="sas").status == 403
    assert hub_scene.call("GET", "/hub-devices/cooler-1")["enabled"] is True


def test_an_address_of_a_device_leads_to_its_page_whatever_its_kind(hub_scene: HubScene):
    look = hub_scene.browser()
    assert look.get("/devices/cooler-1").headers["location"] == "/hub-devices/cooler-1"
    assert look.get("/devices/probe@yard").headers["location"] == "/hub-devices/probe%40yard"
    assert look.get("/hub-devices/probe%40yard").status == 200
    attested = hub_scene.device.device_id
    assert look.get(f"/hub-devices/{attested}").headers["location"] == f"/devices/{attested}"
    assert look.get("/devices/cooler-1/data").headers["location"] == "/hub-devices/cooler-1/data"


def test_of_many_catalogs_one_is_chosen_from_a_list():
    few, many = ["a", "b"], [f"c{number}" for number in range(pages_hub_devices.MOST_LINKS + 1)]
    assert [each.name for each in pages_hub_devices.search_form("a", "x", few).fields] == ["q"]
    assert [each.name for each in pages_hub_devices.search_form("c1", "x", many).fields] == ["catalog", "q"]


def test_one_that_cannot_speak_says_why_and_is_never_good():
    admits = {"certificates": False, "symmetric_keys": True}
    device = {"enabled": True, "authentication": "sas", "status_reason": "", "connected": True}
    for change, word, kind in (
        ({}, "connected", GOOD),
        ({"connected": False}, "not connected", UNKNOWN),
        ({"enabled": False}, "disabled", ATTENTION),
        ({"authentication": "selfSigned"}, "blocked", ATTENTION),
        ({"authentication": "device"}, "connected", GOOD),
    ):
        state = pages_hub_devices.connection({**device, **change}, admits).state
        assert state is not None
        assert (state.word, state.kind) == (word, kind)
    assert pages_hub_devices.UNATTESTED.kind == UNKNOWN  # no word about trust is drawn as good

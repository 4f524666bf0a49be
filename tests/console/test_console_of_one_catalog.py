# SPDX-License-Identifier: Apache-2.0
"""People whose token is of one catalog, or of one organisation in it, sign in and see that. What of others they do not
see is asked for at every address by ``tests/attacks/test_console_tenant_matrix.py``."""

from __future__ import annotations

import contextlib
import http.client
import re
import time
from collections.abc import Iterator, Mapping
from html import unescape
from typing import Any

import pytest
from tests.api.native.platform.test_native_rules import say
from tests.api.running_service import fresh_os_version, running_service, wait_until
from tests.attacks.under_attack import Gate
from tests.console.plain_browser import Browser, signed_in
from tests.console.scene import Scene
from tests.twin.template.test_template import BODY

from armillary.api.http.callers import OPERATOR_THREADS, THREADS_OF_CATALOG, catalog_of
from armillary.console.frame.console import HUB_PLACES, PLACES, UPDATE_PLACES
from armillary.console.sources import permissions
from armillary.console.sources.request_context import RequestContext
from armillary.console.sources.signed_in import SignedIn

ALL = {href for _, href, _ in PLACES}
TEXT = re.compile(r"<[^>]+>")


class SharedService(Scene):
    """Northwind's service, with a second catalog, Fabrikam, that has a device of each kind and an organisation."""

    def device_of(self, catalog: str) -> str:
        device = self.running.make_device().device_id
        self.running.service.registry.devices.claim(catalog, [device], actor="test")
        return device

    def token(self, name: str, catalog: str, *, role: str = "Administrator", **of: Any) -> str:
        return self.running.service.tokens.create(name, role, actor="test", catalog=catalog, **of).secret

    def organisation(self, name: str, *devices: str) -> str:
        body = {"name": name.capitalize(), "catalog": "fabrikam"}
        assert self.running.call("PUT", f"/api/v1/organisations/{name}", body).status == 200
        for each in devices:
            answer = self.running.call("PUT", f"/api/v1/devices/{each}/organisation", {"organisation": name})
            assert answer.status == 200
        return name

    def revoke(self, name: str) -> None:
        tokens = self.running.service.tokens
        (found,) = [each for each in tokens.list() if each.name == name]
        tokens.revoke(found.token_id, actor="test")

    def hand_over(self, device: str, giver: str, taker: str) -> None:
        registry = self.running.service.registry
        to = registry.catalogs.get(taker).catalog_id
        offer = registry.transfers.offer(giver, device, to, actor="test")
        registry.transfers.accept(taker, offer.transfer_id, actor="test")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedService]:
    with running_service(tmp_path_factory.mktemp("shared")) as running:
        scene = SharedService(running, "Coffee")
        running.make_catalog("fabrikam")
        yield scene


def places(page: str) -> set[str]:
    """Where the rail leads."""
    nav = re.search(r'<nav class="places".*?</nav>', page, re.DOTALL)
    assert nav is not None
    return set(re.findall(r'href="([^"]+)"', nav[0]))


def test_one_of_a_catalog_sees_what_of_it_there_is_and_for_whom(shared: SharedService) -> None:
    theirs, own = shared.claimed().device_id, shared.device_of("fabrikam")
    look = signed_in(shared, shared.token("fay", "fabrikam"))
    fleet = look.get("/fleet").text
    assert "You are signed in for fabrikam alone" in fleet
    assert (own in fleet, theirs in fleet) == (True, False)
    assert places(fleet) == ALL - {"/audit"}
    whole = shared.browser().get("/fleet").text  # the control: who speaks for all catalogs sees both
    assert ("You are signed in for" in whole, own in whole, theirs in whole) == (False, True, True)
    hub = look.get("/dashboards").text
    assert all(f'href="{href}"' in hub for _, href, _ in HUB_PLACES)
    settings = TEXT.sub("", look.get("/settings").text)
    assert "Catalog fabrikam" in settings
    assert not [each for each in ("northwind", "Tokens", "Create a token") if each in settings]


def test_one_of_a_catalog_sees_its_images_and_groups_and_has_these_check_in(shared: SharedService) -> None:
    shared.running.service.registry.products.create("fabrikam", "Tea", actor="test")
    shared.running.service.registry.groups.create("fabrikam", "Tea", "Pots", actor="test")
    look = signed_in(shared, shared.token("fred", "fabrikam"))
    groups = look.get("/device-groups").text
    assert ("fabrikam/Tea/Pots" in groups, "northwind" in groups) == (True, False)
    assert "Images of fabrikam" in look.get("/images?catalog=northwind").text
    assert not [href for href in ("/releases", "/repository", "/signing-keys") if f'href="{href}"' in groups]
    assert look.confirm("/device-groups/fabrikam/Tea/Pots/check-now").status == 409, "it has no device"
    for path in ("/device-groups/northwind/Coffee/Field", f"/images/northwind/{'0' * 8}-0000-4000-8000-{'0' * 12}"):
        assert look.get(path).status == 404
    assert look.post("/device-groups/northwind/Coffee/Field/check-now").status == 404


@pytest.mark.parametrize(
    "path", ["/audit", "/audit?verify=now", "/settings/tokens/x/revoke", "/releases", "/repository", "/signing-keys"]
)
def test_what_is_about_all_catalogs_is_refused_in_plain_words(shared: SharedService, path: str) -> None:
    name = f"plain-{path}"
    look = signed_in(shared, shared.token(name, "fabrikam"))
    answer = look.get(path)
    assert (answer.status, "You are not signed in for this." in answer.text) == (403, True)
    assert f"You act as {name}, who is for one catalog, and this is about all catalogs" in unescape(answer.text)
    assert 'href="/audit"' not in answer.text
    assert look.post("/settings/tokens", name="more", role="Reader").status == 403


def test_one_of_an_organisation_sees_its_devices_and_nothing_else(shared: SharedService) -> None:
    inside, outside = shared.device_of("fabrikam"), shared.device_of("fabrikam")
    shared.running.call("PATCH", "/api/v1/catalogs/fabrikam/hub-admission", {"symmetric_keys": True})
    body = {"device_id": "field-probe", "authentication": "sas"}
    assert shared.running.call("POST", "/api/v1/catalogs/fabrikam/hub-devices", body).status == 200
    name = shared.organisation("field", inside, "field-probe")
    look = signed_in(shared, shared.token("finn", "fabrikam", organisation=name))
    fleet = look.get("/fleet").text
    assert "2 devices of Field of fabrikam." in fleet
    assert fleet.count(">Field<") == 2
    assert (inside in fleet, "field-probe" in fleet, outside in fleet) == (True, True, False)
    assert places(fleet) == {"/fleet"}
    for path in (
        f"/devices/{inside}",
        f"/devices/{inside}/data",
        f"/devices/{inside}/twin",
        "/hub-devices/field-probe",
    ):
        assert look.get(path).status == 200, path
    assert look.post(f"/devices/{inside}/name", name="Finn's").status == 303
    assert look.get(f"/devices/{outside}").status == look.get(f"/devices/{'0' * 128}").status == 404
    for path in sorted((ALL | {href for _, href, _ in (*HUB_PLACES, *UPDATE_PLACES)}) - {"/fleet", "/guardians"}):
        answer = look.get(path)
        assert (answer.status, "who is for one organisation, and this is about more" in answer.text) == (403, True), (
            path
        )
    assert "No guardian yet." in look.get("/guardians").text  # of its organisation
    shared.revoke("finn")
    assert look.get("/fleet").status == 303


def test_a_session_ends_with_its_token_its_catalog_or_its_organisation(
    shared: SharedService, monkeypatch: pytest.MonkeyPatch
) -> None:
    for_token = signed_in(shared, shared.token("ends", "fabrikam"))
    secret = shared.token("goes", shared.running.make_catalog("goes"))
    for_catalog = signed_in(shared, secret)
    inner = shared.token("dissolved", "fabrikam", organisation=shared.organisation("dissolved"))
    for_organisation = signed_in(shared, inner)
    assert {each.get("/fleet").status for each in (for_token, for_catalog, for_organisation)} == {200}
    shared.revoke("ends")
    shared.running.service.registry.catalogs.delete("goes", actor="test")
    shared.running.platform.documents.delete("organisation", "dissolved", by="test")
    for look in (for_token, for_catalog, for_organisation):
        assert (look.get("/fleet").status, look.get("/fleet").headers["location"]) == (303, "/sign-in")
    assert {Browser(shared).sign_in(each).status for each in (secret, inner)} == {401}
    ends = int(time.time()) + 3600
    brief = signed_in(shared, shared.token("brief", "fabrikam", expires_at=ends))
    assert brief.get("/fleet").status == 200
    monkeypatch.setattr(type(shared.running.service.context), "now", lambda _: ends)
    assert brief.get("/fleet").status == 303


def test_sessions_of_one_catalog_count_against_its_limits(shared: SharedService) -> None:
    catalog = shared.running.service.registry.catalogs.get("fabrikam").catalog_id
    assert catalog_of(SignedIn("fay", "Reader", catalog, None, "x", "fabrikam", None)) == str(catalog)


def test_a_device_is_offered_by_the_id_of_a_catalog_that_no_list_names(shared: SharedService) -> None:
    device = shared.device_of("fabrikam")
    look = signed_in(shared, shared.token("offers", "fabrikam", role="Contributor"))
    page = look.get(f"/devices/{device}/offer").text
    assert ("northwind" in page, '<input name="to" required' in page) == (False, True)
    northwind = shared.running.service.registry.catalogs.get("northwind").catalog_id
    assert look.post(f"/devices/{device}/offer", to="nowhere").status == 404
    assert look.post(f"/devices/{device}/offer", to=str(northwind)).status == 303
    assert "Nothing moves before northwind accepts." in look.get(f"/devices/{device}").text


def test_a_document_of_all_catalogs_is_seen_and_not_changed(shared: SharedService) -> None:
    body = {"name": "Everywhere", "conditions": [{"telemetry": "t", "op": ">", "value": 1}]}
    shared.running.call("PUT", "/api/v1/rules/everywhere", body)
    shared.running.call("PUT", "/api/v1/groups/all-of-all", {"name": "All"})
    job = {"name": "Job of all", "group": "all-of-all", "action": {"kind": "set-property", "properties": {"a": 1}}}
    shared.running.call("PUT", "/api/v1/jobs/of-all", job)
    assert shared.running.call("POST", "/api/v1/jobs/of-all/runs", {}).status == 200
    look = signed_in(shared, shared.token("reads", "fabrikam"))
    for path in ("/rules/everywhere", "/groups/all-of-all", "/jobs/of-all"):
        page = look.get(path)
        assert (page.status, "All catalogs" in page.text or "/jobs/" in path) == (200, True)
        assert not re.search(r"/(delete|run|disable)\b", page.text), path
    assert "never run" not in look.get("/jobs/of-all").text + look.get("/jobs").text  # it was; they do not see how
    assert "not shown" in look.get("/jobs").text
    assert look.post("/rules/everywhere/disable").status == 403
    new = look.get("/rules/new").text
    assert ('value="*"' in new, ">fabrikam</option>" in new) == (False, True)


def test_a_new_owner_sees_nothing_of_the_time_before(shared: SharedService) -> None:
    device, hub = shared.claimed().device_id, shared.running.hub
    say(shared.running, device, {"secret_celsius": 31.5})
    wait_until(lambda: hub.series.fleet.latest([device], "secret_celsius", 1), "the value")
    at_ms = hub.series.last_values(device)[0].at_ms
    wait_until(lambda: time.time() * 1000 > at_ms - at_ms % 1000 + 1000, "the next second: owners change at whole ones")
    shared.hand_over(device, "northwind", "fabrikam")
    look, everybody = signed_in(shared, shared.token("new-owner", "fabrikam")), shared.browser()
    for path in (f"/devices/{device}", f"/devices/{device}/data", f"/devices/{device}/data?name=secret_celsius"):
        assert "31.5" in everybody.get(path).text, path
        assert "31.5" not in look.get(path).text, path
    series = f"/devices/{device}/series?metric=secret_celsius&range=1h"
    assert "31.5" in everybody.get(series).text
    assert "31.5" not in look.get(series).text


def test_a_new_owner_opens_every_page_of_a_device_whose_template_is_the_former_owners(shared: SharedService) -> None:
    device = shared.claimed().device_id
    body = {**BODY, "catalog": "northwind"}
    assert shared.running.call("PUT", "/api/v1/templates/formers", body).status == 200
    assert shared.running.call("POST", "/api/v1/templates/formers/publish").status == 200
    given = {"template": "formers", "version": 1}
    assert shared.running.call("PUT", f"/api/v1/devices/{device}/template", given).status == 200
    shared.hand_over(device, "northwind", "fabrikam")
    look = signed_in(shared, shared.token("takes-over", "fabrikam"))
    for page in ("", "/data", "/twin"):
        assert look.get(f"/devices/{device}{page}").status == 200, page
    assert look.get("/templates/formers").status == 404


def test_one_of_a_catalog_does_not_take_back_the_os_that_all_catalogs_have(shared: SharedService) -> None:
    releases = shared.running.service.releases
    release = releases.publish("imx8mp", fresh_os_version(), actor="test", feed="RetailEval")
    body = {"policy": {"cohorts": [100], "soak_s": 0}}
    made = shared.running.call("POST", f"/api/v1/releases/{release.release_id}/rollout", body)
    path = f"/updates/{made.body['rollout_id']}"
    wait_until(lambda: releases.get(release.release_id).feed == "Retail", "a roll-out without devices to end")
    look = signed_in(shared, shared.token("fran", "fabrikam"))
    assert look.get(path).status == 404  # it is about all catalogs
    back = {"reason": "It leaks.", "word": "roll-back"}
    assert look.get(f"{path}/roll-back").status == 404
    assert releases.get(release.release_id).feed == "Retail"
    assert shared.browser().confirm(f"{path}/roll-back", **back).status == 303  # the control: who speaks for all
    assert releases.get(release.release_id).feed == "RetailEval"


def stream(look: Browser, device: str) -> tuple[http.client.HTTPSConnection, http.client.HTTPResponse]:
    """The live values of a device, which are there from now on."""
    connection = http.client.HTTPSConnection(look.host, context=look.context, timeout=20)
    cookie = "; ".join(f"{name}={value}" for name, value in look.cookies.items())
    connection.request("GET", f"/devices/{device}/live", headers={"Cookie": cookie})
    response = connection.getresponse()
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["content-type"].startswith("text/event-stream")
    assert (response.status, response.readline()) == (200, b": live\n")
    return connection, response


def test_live_streams_of_one_catalog_leave_threads_to_others(
    shared: SharedService, monkeypatch: pytest.MonkeyPatch
) -> None:
    device, check = shared.device_of("fabrikam"), permissions.check
    look, everybody = signed_in(shared, shared.token("many-streams", "fabrikam")), shared.browser()
    with Gate() as gate, contextlib.ExitStack() as opened:

        def held(by: RequestContext, question: str, arguments: Mapping[str, Any]) -> None:
            if question == "hub.connected":
                gate.hold()
            check(by, question, arguments)

        for _ in range(OPERATOR_THREADS):
            opened.callback(stream(look, device)[0].close)
        monkeypatch.setattr(permissions, "check", held)
        say(shared.running, device, {"live_celsius": 2.5})
        gate.holds(THREADS_OF_CATALOG)
        assert not gate.is_reached(), "the other streams wait for a turn of the catalog's"
        assert everybody.get("/fleet").status == 200
        gate.open()


def test_a_live_stream_ends_when_the_device_changes_hands(shared: SharedService) -> None:
    device = shared.device_of("fabrikam")
    say(shared.running, device, {"live_celsius": 1.5})
    wait_until(lambda: shared.running.hub.series.fleet.latest([device], "live_celsius", 1), "the device is known")
    connection, response = stream(signed_in(shared, shared.token("watches", "fabrikam")), device)
    lines: list[bytes] = []
    while not any(line.startswith(b"data:") for line in lines):
        say(shared.running, device, {"live_celsius": 2.5})
        lines.append(response.readline())
    assert b"2.5" in lines[-1]
    shared.hand_over(device, "fabrikam", "northwind")
    say(shared.running, device, {"live_celsius": 31.25})
    rest = response.read()  # returns only because the server ends the stream
    assert rest.endswith(b"event: end\ndata: {}\n\n")
    assert b"31.25" not in rest
    connection.close()

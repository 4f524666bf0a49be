# SPDX-License-Identifier: Apache-2.0
"""The console over the real service, hub and API: what the pages show is what is recorded, and the rehearsed fleet
of the other tests has the fields that the real one has."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from dataclasses import replace

import pytest
from tests.api.running_service import RunningService, application, running_service
from tests.console.plain_browser import signed_in
from tests.console.rehearsed_data import device_id as rehearsed_id, uid
from tests.console.rehearsed_fleet import RehearsedFleet
from tests.console.scene import Scene
from tests.fixtures.reports import installed

from armillary.console.sources.signed_in import SignedIn
from armillary.console.sources.source_service import cohorts
from armillary.console.sources.sources import sources_of
from armillary.errors import UnauthenticatedError
from armillary.service.watch.detections import Observation
from armillary.sim.device.wire_device import WireDevice
from armillary.wire.device.finding import Finding


class RealConsole(Scene):
    """A running service with its console, one attested device, and one roll-out."""

    def __init__(self, running: RunningService) -> None:
        super().__init__(running, "Coffee", "Pilot")
        service = running.service
        self.device: WireDevice = self.claimed()
        image_id, package = application("coffee-control")
        image = service.updates.images.upload("northwind", package, actor="test")
        self.device.installed = (installed(image),)
        self.rollout = service.updates.rollouts.start("northwind", "Coffee", "Pilot", [image_id], actor="test")
        with self.device:
            self.device.check_in()
        running.hub.twins.change(self.device.device_id, desired={"strength": 2})


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealConsole]:
    with running_service(tmp_path_factory.mktemp("console")) as running:
        yield RealConsole(running)


def test_every_place_shows_what_the_service_has(real: RealConsole):
    browser = real.browser()
    device = f"/devices/{real.device.device_id}"
    for path, says in (
        ("/fleet", "1 device: "),
        (device, "Attested "),
        ("/updates", "Roll-outs: 1 running."),
        (f"/updates/{real.rollout.rollout_id}", "Rolling coffee-control out to 1 device"),
        (f"/updates/{real.rollout.rollout_id}/halt", "Halt coffee-control on Coffee / Pilot?"),
        ("/findings", "Nothing needs you"),
        ("/audit?verify=now", "lines fit"),
        ("/settings", "1 catalog and "),
        ("/releases", "are in force."),
    ):
        answer = browser.get(path)
        assert answer.status == 200, path
        assert says in re.sub(r"<[^>]+>", "", answer.text).replace("&#39;", "'"), path
    text = browser.get(device).text
    assert text.count('<span class="state good">') >= 15  # each appraisal step
    assert '<span class="state good">' in browser.get(f"{device}/software").text
    assert "software root of trust" in text
    assert browser.get(f"{device}/series?metric=x&range=1h").status == 404  # it has sent nothing
    assert real.device.device_id in browser.get("/fleet.csv").text


def test_a_roll_out_is_halted_and_resumed_under_the_operators_name(real: RealConsole):
    browser = real.browser("Contributor")
    address = f"/updates/{real.rollout.rollout_id}"
    answer = browser.post(f"{address}/halt", reason="looks wrong")
    assert (answer.status, answer.headers["location"]) == (303, f"{address}?told=halt")
    assert "Halted." in browser.get(answer.headers["location"]).text
    held = real.running.service.updates.rollouts.get(real.rollout.rollout_id)
    assert (held.state, held.reason) == ("held", "looks wrong")
    newest = real.running.service.audit.list(limit=1).items[0]
    assert (newest.actor, newest.operation) == ("Contributor-token", "rollout.hold")
    assert "Halted at" in browser.get(address).text
    assert browser.post(f"{address}/resume").status == 303
    assert real.running.service.updates.rollouts.get(real.rollout.rollout_id).state == "running"
    page = browser.get(f"/updates/{real.rollout.rollout_id}").text  # that it was halted, and why, stays
    assert all(word in page for word in ("What happened", "halted", "resumed"))
    assert browser.post(f"{address}/resume").status == 409  # it runs already: the state table says no


def test_a_device_is_revoked_and_restored(real: RealConsole):
    address = f"/devices/{real.device.device_id}"
    assert real.browser("Reader").post(f"{address}/revoke", reason="x").status == 403
    browser = real.browser()
    assert browser.post(f"{address}/revoke", reason="stolen").status == 303
    assert "Revoked " in browser.get(address).text
    assert browser.post(f"{address}/restore").status == 303
    assert "Revoked " not in browser.get(address).text


def test_a_device_is_put_into_quarantine_and_released(real: RealConsole):
    address, browser = f"/devices/{real.claimed().device_id}", real.browser("Contributor")
    assert real.browser("Reader").post(f"{address}/quarantine", reason="x").status == 403
    assert "and nothing else" in browser.get(f"{address}/quarantine").text
    assert browser.post(f"{address}/quarantine", reason="odd traffic").status == 303
    assert re.search(r"In quarantine for .*: odd traffic\.", browser.get(address).text)
    assert browser.post(f"{address}/release").status == 303
    assert "In quarantine" not in browser.get(address).text


def test_a_device_with_a_copy_is_shown_as_held_and_released(real: RealConsole):
    running = real.running
    device = replace(real.claimed(), lineage=b"")  # one that keeps what each reply hands on
    address = f"/devices/{device.device_id}"
    with device:
        device.check_in()
        device.check_in()
        assert real.browser("Contributor").post(f"{address}/release").status == 409  # it is not held
        device.lineage, device.challenge = b"", b""  # as a copy of its storage from before the first check-in
        assert device.check_in().verdict == "update-only"
        browser = real.browser("Contributor")
        page = browser.get(address).text
        assert "a copy was found, two machines had its identity." in page
        assert f'href="{address}/release"' in page
        assert "two machines hold" in page  # the failed step in the service's words
        assert "becomes the device" in browser.get(f"{address}/release").text
        assert real.browser("Reader").post(f"{address}/release").status == 403
        assert browser.post(f"{address}/release").status == 303
        assert "a copy was found" not in browser.get(address).text
        assert device.check_in().verdict == "attested"
    lines = running.service.audit.list(limit=20, target=device.device_id).items
    assert [line.actor for line in lines if line.operation == "device.release"] == ["Contributor-token"]


def test_a_device_changes_hands_and_goes_out_of_service(real: RealConsole):
    running = real.running
    service, name = running.service, "tailspin"
    taker = service.registry.catalogs.create(name, actor="test").catalog_id
    device = real.claimed().device_id
    browser = real.browser("Contributor")

    def offered() -> str:
        return str(service.registry.transfers.offer("northwind", device, taker, actor="maren").transfer_id)

    first = offered()
    assert "Nothing moves before tailspin accepts." in browser.get(f"/devices/{device}").text
    assert "1 pending transfer." in browser.get("/settings").text
    giver, owner = "/settings/catalogs/northwind/transfers", f"/settings/catalogs/{name}/transfers"
    assert browser.post(f"{giver}/{first}/accept").status == 404  # the giver cannot accept for the taker
    assert browser.post(f"{giver}/{first}/cancel").status == 303
    assert browser.post(f"{owner}/{first}/accept").status == 404
    assert browser.post(f"{owner}/{offered()}/decline").status == 303
    assert service.registry.devices.get(device).catalog == "northwind"
    last = offered()
    assert "from northwind?" in browser.get(f"{owner}/{last}/accept").text
    assert browser.post(f"{owner}/{last}/accept").status == 303
    assert service.registry.devices.get(device).catalog == name
    assert "from northwind, accepted by Contributor-token" in browser.get(f"/devices/{device}").text
    service.registry.lifecycle.decommission(device, reason="scrap", actor="test")
    assert "Out of service: decommissioned" in browser.get(f"/devices/{device}").text


def test_a_device_is_offered_and_decommissioned_from_its_page(real: RealConsole):
    service = real.running.service
    taker = service.registry.catalogs.create("woodgrove", actor="test").catalog_id
    device = real.claimed().device_id
    address, browser = f"/devices/{device}", real.browser("Contributor")
    assert f'<option value="{taker}">woodgrove</option>' in browser.get(f"{address}/offer").text
    assert real.browser("Reader").post(f"{address}/offer", to=str(taker)).status == 403
    northwind = service.registry.catalogs.get("northwind").catalog_id
    for chosen in ("", "woodgrove", str(uuid.uuid4()), str(northwind)):
        assert browser.post(f"{address}/offer", to=chosen).status == 400
    assert browser.post(f"{address}/offer", to=str(taker)).status == 303
    assert "Nothing moves before woodgrove accepts." in browser.get(address).text
    assert browser.post(f"{address}/offer", to=str(taker)).status == 409
    assert real.browser("Reader").post(f"{address}/decommission", reason="x").status == 403
    assert browser.post(f"{address}/decommission", reason="scrapped").status == 303
    assert "Out of service: decommissioned" in browser.get(address).text
    assert service.registry.devices.get(device).catalog is None
    assert browser.post(f"{address}/decommission", reason="again").status == 409
    assert browser.post(f"{address}/offer", to=str(taker)).status == 404  # nobody's device
    operations = [line.operation for line in service.audit.list(limit=2).items]
    assert operations[0] == "device.decommission"


def test_an_enrolment_token_of_the_console_enrols_until_it_is_revoked(real: RealConsole):
    enrolments = real.running.service.enrolments
    browser = real.browser("Contributor")
    place = "/settings/catalogs/northwind/enrolment-tokens"
    assert real.browser("Reader").post(place, group="", uses="1", life="1 hour").status == 403
    assert browser.post(place, group="", uses="20000", life="1 hour").status == 400
    assert browser.post(place, group="", uses="1", life="1 hour", chip="nonesuch").status == 404
    made = browser.post(place, group="Coffee/Pilot", uses="2", life="1 day", chip="mt3620").text
    (secret,) = set(re.findall(r"arme_[\w-]{40,}", made))
    token = enrolments.authenticate(secret)
    assert (token.product, token.group, token.uses, token.chip) == ("Coffee", "Pilot", 2, "mt3620")
    assert token.expires_at - token.created_at == 86400
    settings = browser.get("/settings").text
    assert secret not in settings
    assert "0 of 2" in settings
    assert browser.post(f"{place}/{token.token_id}/revoke").status == 303
    with pytest.raises(UnauthenticatedError):
        enrolments.authenticate(secret)


def test_a_finding_is_acknowledged_and_closed(real: RealConsole):
    watch = real.running.service.watch
    seen = Observation(
        kind="hub-anomaly",
        key=("test",),
        severity="low",
        title="Traffic that does not fit",
        cause="4,000 messages in one second",
        proposed_action="Look at the device",
        device_ids=(real.device.device_id,),
    )
    found = watch.observe(seen)
    assert "Traffic that does not fit" in real.browser("Reader").get(f"/devices/{real.device.device_id}").text
    browser = real.browser("Contributor")
    assert str(found.finding_id) in browser.get("/findings").text
    assert browser.post(f"/findings/{found.finding_id}", status="acknowledged").status == 303
    assert watch.get(found.finding_id).status == "acknowledged"
    assert browser.post(f"/findings/{found.finding_id}", status="closed").status == 303
    assert watch.get(found.finding_id).status == "closed"


def test_a_session_ends_with_its_token_and_a_new_token_opens_one(real: RealConsole):
    admin = real.browser()
    made = admin.post("/settings/tokens", name="night shift", role="Reader")
    secret = re.search(r"arm_[\w-]{40,}", made.text)
    assert secret is not None
    assert (made.headers["cache-control"], secret[0] in admin.get("/settings").text) == ("no-store", False)
    reader = signed_in(real, secret[0])
    assert reader.get("/fleet").status == 200
    token = next(row for row in real.running.service.tokens.list() if row.name == "night shift")
    assert admin.post(f"/settings/tokens/{token.token_id}/revoke").status == 303
    assert (reader.get("/fleet").status, "__Host-armillary" in reader.cookies) == (303, False)
    assert admin.get("/fleet").status == 200


def test_the_api_keeps_its_own_routes_beside_the_console(real: RealConsole):
    browser = real.browser()
    assert browser.get("/api/v1/fleet").status == 401  # a cookie is no token: the API takes none
    assert real.running.call("GET", "/api/v1/fleet").status == 200


def test_the_rehearsed_fleet_has_the_fields_of_the_real_one(real: RealConsole):
    running, rehearsed = real.running, RehearsedFleet()
    operator = SignedIn("test", "Administrator", None, None, str(uuid.uuid4()), None, None)
    sources = sources_of(running.service, running.hub, running.platform).of(operator)
    real_id = real.device.device_id

    def lacks(pretended: object, true: object) -> list[str]:
        assert isinstance(pretended, dict)
        assert isinstance(true, dict)
        return sorted(set(pretended) - set(true))

    device = sources.fleet.device(real_id)
    pretended, records = rehearsed.device(rehearsed_id(0)), rehearsed.records(rehearsed_id(0), limit=9)
    check_in, true_check_in = records["check_ins"][0], sources.fleet.records(real_id, limit=9)["check_ins"][0]
    release, true_release = rehearsed.releases()[0], sources.application.ask("list_releases")["items"][0]
    catalog, true_catalog = rehearsed.catalogs()[0], sources.settings.catalogs()[0]
    line, true_line = (each.audit_lines(after=None, limit=1)["items"][0] for each in (rehearsed, sources.settings))
    for of, true in (
        (pretended, device),
        (pretended["installed"][0], device["installed"][0]),
        (rehearsed.summary(), sources.fleet.summary()),
        (check_in, true_check_in),
        (check_in["steps"][0], true_check_in["steps"][0]),
        (rehearsed.roll[0], sources.updates.rollout(str(real.rollout.rollout_id))),
        (line, true_line),
        (rehearsed.audit_verification(), sources.settings.audit_verification()),
        (rehearsed.tokens()[0], sources.settings.tokens()[0]),
        (release, true_release),
        (release["components"][0], true_release["components"][0]),
        (catalog, true_catalog),
        (catalog["groups"][0], true_catalog["groups"][0]),
        (catalog["certificates"][0], true_catalog["certificates"][0]),
        (rehearsed.twin(rehearsed_id(0)), sources.hub.twin(real_id)),
    ):
        assert lacks(of, true) == []
    service, name = real.running.service, f"taker-{uuid.uuid4().hex[:8]}"
    taker = service.registry.catalogs.create(name, actor="test").catalog_id
    service.registry.transfers.offer("northwind", real_id, taker, actor="test")
    (offer,) = sources.settings.transfers(name, after=None, limit=9)["items"]
    assert lacks(rehearsed.offers[0], offer) == []
    assert lacks(offer, rehearsed.offers[0]) == []
    assert sources.fleet.device(real_id)["transfer"] == offer
    sources.settings.answer_transfer(name, offer["transfer_id"], "decline")
    wish = {"uses": 1, "lifetime_s": 60}
    token = sources.settings.create_enrolment_token("northwind", wish)["token"]
    assert token in sources.settings.enrolment_tokens("northwind")
    assert lacks(rehearsed.enrolments[0], token) == []
    images = sources.fleet.software(device)["images"]
    assert lacks(rehearsed.images[uid("coffee-control")], next(iter(images.values()))) == []
    true_finding = set(Finding.__dataclass_fields__)
    assert sorted(set(rehearsed.seen[0]) - true_finding) == []


def test_rings_count_who_has_begun_and_who_waits():
    first = {"name": "Lab", "counts": {"confirmed": 1, "restored": 1}, "failed": 1}
    rollout = {
        "policy": {"rings": [{"name": "Lab", "devices": ["a", "b"], "groups": []}], "cohorts": [30, 50, 100]},
        "counts": {"confirmed": 1, "restored": 1, "left": 3, "waiting": 18},
        "due": 0,
        "cohorts": [first],
    }
    assert cohorts(rollout) == [
        first,
        {"name": "to 30%", "counts": {"waiting": 4}, "failed": 0},
        {"name": "to 50%", "counts": {"waiting": 4}, "failed": 0},
        {"name": "to 100%", "counts": {"waiting": 10}, "failed": 0},
    ]
    begun = {"name": "to 30%", "counts": {"started": 1}, "failed": 0}
    counts = {"confirmed": 1, "restored": 1, "started": 1, "waiting": 17}
    under_way = {**rollout, "counts": counts, "due": 3, "cohorts": [first, begun]}
    assert [each["counts"] for each in cohorts(under_way)[1:]] == [
        {"started": 1, "waiting": 3},
        {"waiting": 4},
        {"waiting": 10},
    ]


@pytest.mark.parametrize(
    "path", ["/devices/nothing", "/updates/nothing", f"/updates/{uuid.UUID(int=0)}", "/settings/tokens/nothing/revoke"]
)
def test_addresses_that_name_nothing_are_explained(real: RealConsole, path: str):
    answer = real.browser().get(path)
    assert answer.status in (400, 404)
    assert 'href="/fleet"' in answer.text

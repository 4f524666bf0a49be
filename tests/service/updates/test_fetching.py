# SPDX-License-Identifier: Apache-2.0
"""How far a device is with what it was offered: what the service sends it, from the offer to its word on the trial."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.fixtures.clocks import Clock
from tests.fixtures.waiting import wait_until

from armillary.engines.records.queries import devices as device_rows
from armillary.engines.records.queries.planning import fetches as fetch_rows
from armillary.engines.records.queries.planning.fetches import Fetch
from armillary.engines.records.schema.rows import OsRelease
from armillary.service.updates.standing import UpdateStanding
from armillary.sim.device.service_host import ServiceHost
from armillary.sim.device.wire_device import WireDevice, components_of
from armillary.wire.device.checkin import Offer, OfferedImage
from armillary.wire.device.update_status import OS, UpdateStatus

CHIP = "mt3620"


@pytest.fixture
def device(host: ServiceHost) -> Iterator[WireDevice]:
    """A device that updates its OS by itself and is up to date."""
    with host.claimed(b"f" * 32) as made:
        made.update_status = UpdateStatus(abilities=(OS,))
        assert made.check_in().offer is None
        yield made


@pytest.fixture
def offer(host: ServiceHost, device: WireDevice) -> Offer:
    """What it was offered at its last check-in: another OS."""
    host.service.releases.publish(CHIP, "27.1", actor="t")
    found = device.check_in().offer
    assert found is not None
    assert len(found.images) >= 2, "parts that it fetches one after another"
    return found


def standing(host: ServiceHost, device: WireDevice) -> UpdateStanding:
    return host.service.updates.standings.of(device.device_id)


def seen(host: ServiceHost, device: WireDevice, code: str, sent: int) -> UpdateStanding:
    """Where it stands once so many parts are said to be sent: they are recorded within a second."""

    def found() -> UpdateStanding | None:
        now = standing(host, device)
        is_it = now.code == code and len(now.fetch.sent if now.fetch else ()) == sent
        return now if is_it else None

    made = wait_until(found, f"{code}, {sent} sent")
    assert isinstance(made, UpdateStanding)
    return made


def fetch(device: WireDevice, image: OfferedImage, **headers: str) -> None:
    answer = device.exchange("GET", f"/v1/images/{image.image_id}", headers=headers)
    assert answer.status in (200, 206)


def test_an_operating_system_from_its_offer_to_its_confirmation(
    host: ServiceHost, device: WireDevice, offer: Offer, clock: Clock
) -> None:
    offered_at = int(clock.now)
    found = standing(host, device)
    assert (found.code, found.check_in_after, found.fetch) == ("offered", "installation", None)
    first, *others = offer.images
    clock.now += 1
    fetch(device, first, range="bytes=0-9")
    found = seen(host, device, "fetching", 0)
    assert found.fetch is not None
    assert (found.fetch.begun_at, found.fetch.parts) == (offered_at + 1, len(offer.images))
    clock.now += 18
    fetch(device, first, range="bytes=10-")
    found = seen(host, device, "fetching", 1)
    assert found.fetch is not None
    assert [(part.name, part.sent_at) for part in found.fetch.sent] == [(first.name, offered_at + 19)]
    for image in others:
        fetch(device, image)
    found = seen(host, device, "fetched", len(offer.images))
    assert (found.check_in_after, found.last_check_in_at) == ("installation", offered_at)
    assert "not seen here" in found.meaning
    host.service.updates.check_now.ask(device.device_id, actor="t")
    assert standing(host, device).check_in_after == "asked", "it was asked to, and has not since"
    clock.now += 60
    device.prover.components = components_of(host.service.releases.packages(_release(host)))
    device.prover.os_version = "27.1"
    device.prover.boot()
    device.update_status = UpdateStatus(abilities=(OS,), reason="trial")
    device.check_in()
    found = standing(host, device)
    assert (found.code, found.check_in_after, found.fetch) == ("trial", "trial", None)
    device.update_status = UpdateStatus(abilities=(OS,))
    device.check_in()
    found = standing(host, device)
    assert (found.code, found.check_in_after) == ("nothing-deployed", "interval"), "its operating system is there"


def _release(host: ServiceHost) -> OsRelease:
    return next(one for one in host.service.releases.list(chip=CHIP) if one.version == "27.1")


def test_a_check_in_ends_what_was_fetched_before_it(host: ServiceHost, device: WireDevice, offer: Offer) -> None:
    for image in offer.images:
        fetch(device, image)
    seen(host, device, "fetched", len(offer.images))
    device.update_status = UpdateStatus(abilities=(OS,), reason="download", detail="the disk said no")
    device.check_in()
    found = standing(host, device)
    assert (found.code, found.detail, found.check_in_after) == ("download", "the disk said no", "retry")
    fetch(device, offer.images[0])
    seen(host, device, "fetching", 1)


def test_what_a_device_has_already_is_none_of_the_parts_that_it_lacks(host: ServiceHost, device: WireDevice) -> None:
    running = next(one for one in host.service.releases.list(chip=CHIP) if one.version == device.prover.os_version)
    host.service.releases.publish(CHIP, "27.1", actor="t")
    offer = device.check_in().offer
    assert offer is not None
    same = {one.digest for one in running.components} & {one.sha256 for one in offer.images}
    fetch(device, offer.images[0])
    found = seen(host, device, "fetching", 1)
    assert found.fetch is not None
    assert found.fetch.parts == len(offer.images) - len(same)


def test_a_file_of_the_repository_counts_and_its_metadata_does_not(
    host: ServiceHost, device: WireDevice, offer: Offer
) -> None:
    folder = host.service.context.folder.path / "repository"
    wanted = offer.images[0]
    path = next(folder.glob(f"targets/**/{wanted.sha256.hex()}.*")).relative_to(folder)
    assert device.exchange("GET", "/v1/repository/metadata/timestamp.json").status == 200
    server = host.service.serving.server
    assert server is not None
    assert not server.endpoint._fetches._known
    assert device.exchange("GET", f"/v1/repository/{path}").status == 200
    assert seen(host, device, "fetching", 1).fetch is not None


def test_two_processes_that_serve_one_device_make_one_record(host: ServiceHost, device: WireDevice) -> None:
    records, kernel, root_fs = host.service.context.records, b"k" * 32, b"r" * 32
    enrolled = records.read(lambda c: device_rows.enrolled(c, device.device_id))
    assert enrolled is not None
    number = enrolled.number

    def keep(fetch: Fetch) -> None:
        records.write(lambda c: fetch_rows.keep(c, {number: fetch}))

    keep(Fetch("AA", 5, {kernel: 9}))
    keep(Fetch("AA", 3, {root_fs: 8, kernel: 12}))
    assert records.read(lambda c: fetch_rows.of_device(c, number, "AA")) == Fetch("AA", 3, {root_fs: 8, kernel: 9})
    assert records.read(lambda c: fetch_rows.of_device(c, number, "BB")) is None
    keep(Fetch("BB", 20))
    assert records.read(lambda c: fetch_rows.of_device(c, number, "BB")) == Fetch("BB", 20)

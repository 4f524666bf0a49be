# SPDX-License-Identifier: Apache-2.0
"""Deltas as devices are given them: only from what a device has to what it is offered, made once, kept in bounds."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest
from tests.fixtures.images import manifest, package
from tests.fixtures.reports import installed
from tests.fixtures.waiting import DEADLINE_S, wait_until
from tests.update.delta.pairs import digest, edited, noise, reconstruct, text

from armillary.engines.records.schema.rows import Image
from armillary.service.endpoint import downloads
from armillary.service.endpoint.downloads import Downloads
from armillary.service.updates import deltas
from armillary.service.updates.deltas import Deltas, Pair
from armillary.sim.device import wire_device
from armillary.sim.device.service_host import ServiceHost
from armillary.sim.device.wire_device import Answer, WireDevice
from armillary.wire.device.problem import parse_problem

CONTENT = text(1, 60_000)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceHost]:
    """One service for all tests of this file: each has a product, an application and devices of its own."""
    with ServiceHost(
        tmp_path_factory.mktemp("deltas") / "data", planner_interval_s=3600.0, delta_cache_mb=3
    ) as running:
        running.catalog()
        running.service.registry.catalogs.create("Fabrikam", actor="t")
        yield running


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process that makes a delta gives way to all others of a busy host: nobody is sent away meanwhile."""
    for module in (deltas, downloads):
        monkeypatch.setattr(module, "WAIT_S", 2 * DEADLINE_S)
    monkeypatch.setattr(wire_device, "TIMEOUT_S", 3 * DEADLINE_S)


class Scene:
    """A device that has one version of an application, and is offered the next."""

    def __init__(self, host: ServiceHost) -> None:
        self.host, self.service, self.component = host, host.service, uuid4()
        self.product = f"P{self.component.hex[:8]}"
        self.service.registry.products.create("Contoso", self.product, actor="t")
        self.service.registry.groups.create_defaults("Contoso", self.product, actor="t")
        self.old, self.new = self.upload(CONTENT), self.upload(edited(CONTENT, 3, 3))
        self.service.updates.deployments.create("Contoso", self.product, "Production", [self.new.image_id], actor="t")
        self.device = self.claimed()

    def upload(self, content: bytes, catalog: str = "Contoso") -> Image:
        packed = package(manifest("tap", self.component), content)
        return self.service.updates.images.upload(catalog, packed, actor="t")

    def claimed(self, group: str = "Production") -> WireDevice:
        return self.host.claimed(os.urandom(32), product=self.product, group=group)

    def read(self, image: Image) -> bytes:
        return self.service.updates.images.read(image.image_id)

    def report(self, *images: Image) -> None:
        """The device checks in with these images."""
        self.device.installed = tuple(installed(image) for image in images)
        assert self.device.check_in().verdict == "attested"

    def kept(self) -> list[Path]:
        """The deltas to the new version in the cache."""
        return list(self.service.context.folder.deltas.glob(f"*{self.new.sha256.hex()}"))


@pytest.fixture
def scene(host: ServiceHost) -> Iterator[Scene]:
    found = Scene(host)
    with found.device:
        found.report(found.old)
        yield found


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Pair]:
    """Every making that was begun."""
    begun: list[Pair] = []
    real = Deltas._run

    def run(self: Deltas, pair: Pair) -> str:
        begun.append(pair)
        return real(self, pair)

    monkeypatch.setattr(Deltas, "_run", run)
    return begun


def ask(device: WireDevice, source: bytes, target: bytes, **headers: str) -> Answer:
    return device.exchange("GET", f"/v1/delta/{source.hex()}/{target.hex()}", headers=headers)


def test_a_device_gets_the_delta_from_what_it_has_to_what_it_is_offered(scene: Scene, made: list[Pair]) -> None:
    answer = ask(scene.device, scene.old.sha256, scene.new.sha256)
    new = scene.read(scene.new)
    assert answer.status == 200
    assert reconstruct(scene.read(scene.old), answer.body, digest(new)) == new
    assert len(answer.body) < len(new) / 3
    rest = ask(scene.device, scene.old.sha256, scene.new.sha256, range="bytes=50-")
    assert (rest.status, rest.body) == (206, answer.body[50:])
    assert ask(scene.device, scene.old.sha256, scene.new.sha256, range="bytes=9999999-").status == 416
    assert len(made) == 1, "asked three times, made once"


def test_a_delta_is_the_part_that_it_makes_in_what_is_said_of_the_update(scene: Scene) -> None:
    standings = scene.service.updates.standings
    assert standings.of(scene.device.device_id).code == "offered"
    assert ask(scene.device, scene.old.sha256, scene.new.sha256).status == 200
    wait_until(lambda: standings.of(scene.device.device_id).code == "fetched", "the delta counts")


def test_what_a_device_does_not_have_is_no_place_to_start_from(scene: Scene, made: list[Pair]) -> None:
    """What two artifacts share would tell a device about one that it has no business with."""
    theirs, unreported = scene.upload(CONTENT[::-1], "Fabrikam"), scene.upload(CONTENT + b"x")
    for source in (theirs.sha256, unreported.sha256, bytes(32)):
        answer = ask(scene.device, source, scene.new.sha256)
        assert (answer.status, answer.body) == (200, b"")
    assert made == []
    scene.report(scene.old, unreported)
    assert ask(scene.device, unreported.sha256, scene.new.sha256).body, "positive control: now it says that it has it"


def test_what_is_not_offered_has_no_delta(scene: Scene, host: ServiceHost, made: list[Pair]) -> None:
    with scene.claimed("Field Test") as stranger:
        stranger.installed = (installed(scene.old),)
        assert stranger.check_in().offer is None
        assert ask(stranger, scene.old.sha256, scene.new.sha256).status == 404
    assert ask(scene.device, scene.new.sha256, scene.old.sha256).status == 404
    for name in ("", "/", "zz/zz", f"{scene.old.sha256.hex()}", f"{scene.old.sha256.hex()}/../{'a' * 64}", "A" * 129):
        assert scene.device.exchange("GET", f"/v1/delta/{name}").status == 404
    assert scene.device.exchange("POST", f"/v1/delta/{'0' * 64}/{'0' * 64}").status == 405
    assert made == []


def test_a_component_of_the_chips_os_is_a_place_to_start_from(scene: Scene) -> None:
    component = scene.service.releases.list(chip="mt3620")[0].components[0]
    assert ask(scene.device, component.digest, scene.new.sha256).status == 200
    other = scene.service.releases.list(chip="imx8mp")[0].components[0]
    assert ask(scene.device, other.digest, scene.new.sha256).body == b""


def test_a_pair_with_nothing_in_common_has_no_delta_and_is_tried_once(scene: Scene, made: list[Pair]) -> None:
    other = scene.upload(noise(9, 200_000))
    scene.service.updates.deployments.create("Contoso", scene.product, "Production", [other.image_id], actor="t")
    for _ in range(2):
        answer = ask(scene.device, scene.old.sha256, other.sha256)
        assert (answer.status, answer.body) == (200, b"")
    assert len(made) == 1


def test_one_making_for_all_that_ask_and_later_for_those_who_cannot_wait(
    scene: Scene, host: ServiceHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, begun, real = threading.Event(), [], Deltas._run

    def held(self: Deltas, pair: Pair) -> str:
        begun.append(pair)
        assert go.wait(30)
        return real(self, pair)

    monkeypatch.setattr(Deltas, "_run", held)
    monkeypatch.setattr(deltas, "WAIT_S", 0.01)
    others = [scene.claimed() for _ in range(3)]
    for other in others:
        other.installed = (installed(scene.old),)
        assert other.check_in().offer is not None
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda device: ask(device, scene.old.sha256, scene.new.sha256), others))
    assert [answer.status for answer in answers] == [429] * 3
    assert parse_problem(answers[0].body).retry_after_s == deltas.RETRY_S
    assert scene.device.check_in().verdict == "attested", "check-ins go on"
    go.set()
    got = wait_until(
        lambda: [
            one for one in (ask(each, scene.old.sha256, scene.new.sha256) for each in others) if one.status == 200
        ],
        "made",
    )
    assert all(answer.body == got[0].body != b"" for answer in got)
    assert len(begun) == 1
    for other in others:
        other.disconnect()


def test_what_cannot_be_made_is_no_delta_and_not_tried_again(scene: Scene, host: ServiceHost, made: list[Pair]) -> None:
    path = scene.service.context.folder.blobs / scene.old.sha256.hex()[:2] / scene.old.sha256.hex()
    path.chmod(0o600)
    path.write_bytes(b"damaged")
    for _ in range(2):
        answer = ask(scene.device, scene.old.sha256, scene.new.sha256)
        assert (answer.status, answer.body) == (200, b"")
    assert len(made) == 1
    assert scene.device.exchange("GET", f"/v1/images/{scene.new.image_id}").status == 200


def test_a_delta_that_was_removed_from_the_disk_is_made_again(scene: Scene, made: list[Pair]) -> None:
    first = ask(scene.device, scene.old.sha256, scene.new.sha256).body
    for path in scene.kept():
        path.unlink()
    assert ask(scene.device, scene.old.sha256, scene.new.sha256).body == first
    scene.service.context.folder.deltas.rename(scene.service.context.folder.path / "gone")
    assert ask(scene.device, scene.old.sha256, scene.new.sha256).body == first
    assert len(made) == 3


def test_deltas_of_a_deleted_image_are_deleted(scene: Scene) -> None:
    assert ask(scene.device, scene.old.sha256, scene.new.sha256).body
    assert len(scene.kept()) == 1
    scene.service.updates.images.delete("Contoso", scene.old.image_id, actor="t")
    assert scene.kept() == []
    assert ask(scene.device, scene.old.sha256, scene.new.sha256).body == b"", "and there is nothing to start from"


def test_too_many_that_wait_leave_devices_the_whole(
    scene: Scene, made: list[Pair], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deltas, "MAX_WAITING", 0)
    assert ask(scene.device, scene.old.sha256, scene.new.sha256).body == b""
    assert made == []


def test_one_device_does_not_take_the_turns_of_all(
    scene: Scene, host: ServiceHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, begun = threading.Event(), []

    def held(_: Deltas, pair: Pair) -> str:
        begun.append(pair)
        assert go.wait(30)
        return "not made"

    monkeypatch.setattr(Deltas, "_run", held)
    monkeypatch.setattr(deltas, "WAIT_S", 0.01)
    monkeypatch.setattr(deltas, "MAX_WAITING_OF_DEVICE", 1)
    other = scene.upload(CONTENT + b"x")
    scene.report(scene.old, other)
    with scene.claimed() as neighbour:
        neighbour.installed = (installed(other),)
        assert neighbour.check_in().offer is not None
        assert ask(scene.device, scene.old.sha256, scene.new.sha256).status == 429
        answer = ask(scene.device, other.sha256, scene.new.sha256)
        assert (answer.status, answer.body) == (200, b""), "its second: it fetches the whole"
        assert ask(neighbour, other.sha256, scene.new.sha256).status == 429, "another device has its turn"
        go.set()
    assert len(begun) <= 2


@pytest.mark.parametrize(("limit", "makings"), [(0, 0), (10, 1)])
def test_a_service_without_room_for_deltas_keeps_none(
    scene: Scene, made: list[Pair], monkeypatch: pytest.MonkeyPatch, limit: int, makings: int
) -> None:
    assert deltas_of(scene).cache.limit_bytes == 3 << 20, "as the setting says"
    monkeypatch.setattr(deltas_of(scene).cache, "limit_bytes", limit)
    for _ in range(2):
        assert ask(scene.device, scene.old.sha256, scene.new.sha256).body == b""
    assert (len(made), scene.kept()) == (makings, [])


def test_a_making_under_way_holds_up_no_stop(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deltas, "MAKER", "http.server")  # a process that never ends
    monkeypatch.setattr(deltas, "WAIT_S", 0.01)
    own = Deltas(scene.service.context.records, deltas_of(scene).blobs, deltas_of(scene).cache)
    monkeypatch.setattr(downloads_of(scene), "_deltas", own)
    assert ask(scene.device, scene.old.sha256, scene.new.sha256).status == 429
    asyncio.run_coroutine_threadsafe(downloads_of(scene).close(), scene.host._loop).result(30)
    assert own._process is None


def downloads_of(scene: Scene) -> Downloads:
    server = scene.service.serving.server
    assert server is not None
    return server.endpoint._downloads


def deltas_of(scene: Scene) -> Deltas:
    return downloads_of(scene)._deltas

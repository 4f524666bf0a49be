# SPDX-License-Identifier: Apache-2.0
"""Attacks on what a device downloads and believes of a repository; each with the check taken out, and then it works.

Attackers here own the network, every mirror and, where it says so, some keys. Rows of `docs/reference/attacks.md`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from securesystemslib.signer import SSlibKey
from tests.device.cut_flash import CutFlash
from tests.device.repository.device_side import QUICK, Network, play
from tests.device.repository.directed_device import (
    APP_IMAGE,
    KERNEL,
    KERNEL_IMAGE,
    OFFER,
    DirectedDevice,
    directive,
    repository as released,
)
from tests.fixtures.static_server import Request, StaticServer, drip, honest, silent
from tests.fixtures.tuf_repository import DAY_S, NOW, Client, TufRepository, moment, signer
from tests.wire.checkin_samples import REPLY

from armillary.device.offers import Offers, RefusedOffer, TakenOffer
from armillary.device.repository import directives as taking
from armillary.device.repository.artifacts import Artifacts
from armillary.device.repository.sources import Sources
from armillary.device.state.clock import DeviceClock
from armillary.errors import (
    ArmillaryError,
    DirectiveError,
    ExpiredMetadataError,
    MismatchError,
    RepositoryError,
    RollbackError,
    SignatureError,
    TransferError,
    UnsignedMetadataError,
)
from armillary.update.repository import client as workflow, file_check, metadata, steps
from armillary.update.repository.client import TrustedRepository
from armillary.update.repository.metadata import UnverifiedMetadata, Verified
from armillary.update.repository.pace import PaceRules
from armillary.update.repository.targets import VerifiedTarget
from armillary.wire.device.checkin import OfferedImage
from armillary.wire.encoding import cose

THIEF = 99  # a key that nobody ever gave a role


@pytest.fixture
def repository() -> TufRepository:
    made = TufRepository()
    made.add("kernel", b"good")
    made.publish("targets")
    return made


@pytest.fixture
def client(repository: TufRepository) -> Client:
    return Client(repository)


def fooled(unverified: UnverifiedMetadata[Any], delegator: Any) -> Verified[Any]:
    """A verification that looks at no signature."""
    return Verified(unverified.role, unverified.data, unverified.signed)


def test_arbitrary_software(repository: TufRepository, client: Client, monkeypatch: pytest.MonkeyPatch):
    """A mirror signs its own targets, snapshot and timestamp with its own key."""
    client.refresh()
    repository.add("kernel", b"evil")
    for role in ("targets", "snapshot", "timestamp"):
        repository.signers[role] = [THIEF]
    repository.publish("targets")
    with pytest.raises(UnsignedMetadataError):
        client.target("kernel")
    monkeypatch.setattr(steps, "verify", fooled)
    assert client.target("kernel").length == 4


def test_mutation_of_the_threshold_for_one_stolen_key(
    repository: TufRepository, client: Client, monkeypatch: pytest.MonkeyPatch
):
    """One of two keys of targets was stolen; two are asked for. Its thief lists it a second time, under another id."""
    key = signer(3).public_key
    twin = SSlibKey("0" * 64, key.keytype, key.scheme, dict(key.keyval))
    repository.root.add_key(twin, "targets")
    repository.root.roles["targets"].threshold = 2
    repository.publish("root")

    def twice(role: str, document: Any) -> bytes:
        data = genuine(role, document)
        if role != "targets":
            return data
        made = metadata.Metadata.from_bytes(data)
        made.signatures[twin.keyid] = metadata.Signature(twin.keyid, made.signatures[key.keyid].signature)
        return made.to_bytes()

    genuine, repository.signed = repository.signed, twice  # type: ignore[method-assign]
    repository.publish("targets")
    with pytest.raises(UnsignedMetadataError, match="expected signatures of 2 of its 2 keys, got 1"):
        client.refresh()
    monkeypatch.setattr(metadata, "_identity", lambda found: found.keyid.encode())
    client.refresh()


def test_key_compromise_of_the_root_before(repository: TufRepository, client: Client, monkeypatch: pytest.MonkeyPatch):
    """Whoever cannot sign with the keys of root N names no root N+1, whatever else it holds."""
    repository.keys("root", [THIEF])
    repository.publish("root")
    with pytest.raises(UnsignedMetadataError, match="root"):
        client.refresh()
    genuine = steps.verify
    monkeypatch.setattr(steps, "verify", lambda found, by: genuine(found, found.signed if found.role == "root" else by))
    client.refresh()
    assert client.versions()["root"] == 2


def test_rollback(repository: TufRepository, client: Client, monkeypatch: pytest.MonkeyPatch):
    """A mirror serves yesterday's release, signed by the right keys and not expired."""
    old = dict(repository.files)
    repository.add("kernel", b"better")
    repository.publish("targets")
    client.refresh()
    client.fetcher.files = old
    with pytest.raises(RollbackError):
        client.refresh()

    def forgotten(*_: Any) -> Any:
        raise RepositoryError("nothing was trusted before")

    monkeypatch.setattr(steps, "kept_timestamp", forgotten)
    monkeypatch.setattr(steps, "kept_snapshot", forgotten)
    assert client.target("kernel").length == 4


def test_fast_forward(repository: TufRepository, client: Client, monkeypatch: pytest.MonkeyPatch):
    """A thief announced a version from the far future; the owner takes the key away, another one of the role stays."""
    repository.keys("timestamp", [1, 42])
    repository.publish("root")
    repository.timestamp.version = 10**9
    repository.publish("timestamp")
    client.refresh()
    before = dict(client.store.kept)
    repository.keys("timestamp", [42])
    repository.timestamp.version = 7
    repository.publish("root", "timestamp")
    client.refresh()
    assert client.versions()["timestamp"] == 8
    client.store.kept = before
    monkeypatch.setattr(steps, "recovers", lambda *_: False)
    with pytest.raises(RollbackError):  # never again updated
        client.refresh()


def test_mix_and_match(repository: TufRepository, client: Client, monkeypatch: pytest.MonkeyPatch):
    """A mirror combines the newest timestamp with an older snapshot: parts that were never released together."""
    repository.hashes = False
    repository.add("kernel", b"better")
    repository.publish("targets")
    repository.files[f"metadata/{repository.snapshot.version}.snapshot.json"] = repository.files[
        f"metadata/{repository.snapshot.version - 1}.snapshot.json"
    ]
    with pytest.raises(MismatchError, match=r"role 'snapshot': expected version 3, got 2"):
        client.refresh()
    monkeypatch.setattr(steps, "_check_announced", lambda *_: None)
    assert client.target("kernel").length == 4


def test_delegation_confusion(client: Client, repository: TufRepository, monkeypatch: pytest.MonkeyPatch):
    """Team B never signed the role ``release``; a search through team A has trusted it."""
    repository.delegate("team-a", ["a/*"], key=20)
    repository.delegate("team-b", ["b/*"], key=21)
    repository.delegate("release", ["a/*"], by="team-a", key=22)
    repository.delegate("release", ["b/*"], by="team-b", key=23, make=False)
    repository.add("a/x", b"good", role="release")
    repository.add("b/x", b"evil", role="release")
    repository.publish("targets", "team-a", "team-b", "release")

    async def both(trusted: TrustedRepository) -> VerifiedTarget:
        await trusted.target("a/x")
        return await trusted.target("b/x")

    with pytest.raises(UnsignedMetadataError, match="release"):
        asyncio.run(both(client.refresh()))
    genuine = TrustedRepository._role
    by_name: dict[str, Any] = {}

    async def remembered(self: TrustedRepository, role: str, delegator: Any) -> Any:
        by_name[role] = by_name.get(role) or await genuine(self, role, delegator)
        return by_name[role]

    monkeypatch.setattr(TrustedRepository, "_role", remembered)
    assert asyncio.run(both(client.refresh())).path == "b/x"


def test_freeze_with_a_clock_at_1970(monkeypatch: pytest.MonkeyPatch):
    """Somebody set the host's clock back to 1970 and serves what expired a year ago."""
    made = released()
    made.timestamp.expires = moment(NOW - 365 * DAY_S)
    made.publish("timestamp")

    async def act(device: DirectedDevice) -> None:
        await device.take(directive())

    with pytest.raises(ExpiredMetadataError, match="timestamp"):
        directed(act, made, wall=0)
    genuine = DeviceClock.now
    monkeypatch.setattr(DeviceClock, "now", lambda self: int(self._wall()) + 0 * genuine(self))  # the host's clock
    directed(act, made, wall=0)


def directed(act: Callable[[DirectedDevice], Awaitable[Any]], made: TufRepository, **options: Any) -> Any:
    server = StaticServer(made.files)

    async def story(net: Network) -> Any:
        return await act(DirectedDevice(net, server, **options))

    return play(story, server)


# -- on the way ---------------------------------------------------------------------------------------------------


def read(server: StaticServer, *, limit: int = 1000, pace: PaceRules = QUICK, patience_s: float = 3.0) -> Any:
    async def story(net: Network) -> Any:
        async with asyncio.timeout(patience_s):
            return await net.source("mirror", server, pace).read("metadata/timestamp.json", limit)

    return play(story, server)


def test_endless_data():
    """A mirror that never stops sending; with the limit taken away it goes on until the device's time is up."""
    sent: list[int] = []

    async def stream(request: Request) -> bool:
        sent.append(0)
        request.writer.write(b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            request.writer.write(b"10000\r\n" + b"\0" * 0x10000 + b"\r\n")
            await request.writer.drain()
            sent[-1] += 0x10000

    with pytest.raises(TransferError, match="expected at most 1000 bytes, got more"):
        read(StaticServer({}, stream))
    with pytest.raises(TimeoutError):
        read(StaticServer({}, stream), limit=2**60, patience_s=1.0)
    limited, unlimited = sent
    assert unlimited > 4 * limited


def test_slow_retrieval():
    """One byte every 20 ms: legal, endless, and useless."""
    server = StaticServer({}, drip)
    with pytest.raises(TransferError, match="expected at least 1000 bytes/s"):
        read(server, limit=10**6)
    with pytest.raises(TimeoutError):  # with a least rate that it meets, it holds the device as long as it likes
        read(server, limit=10**6, pace=PaceRules(min_bytes_per_s=10, window_s=0.3, allowance_s=60), patience_s=1.0)


def test_a_malicious_mirror(monkeypatch: pytest.MonkeyPatch):
    """It serves other bytes of the right length; the service itself is asked next and has the right ones."""
    made = released()
    target = made.roles["os"].targets["os/mt3620/26.11/kernel"]
    wanted = VerifiedTarget(target.path, target.length, target.hashes, "os")
    address = f"targets/{target.get_prefixed_paths()[0]}"
    evil = StaticServer({address: b"x" * target.length})
    good = StaticServer(made.files)

    async def story(net: Network) -> bytes:
        sources = net.sources(net.source("the service", good), net.source("mirror", evil))
        found = await Artifacts(CutFlash(), sources, lambda: 10**9).fetch(wanted, consistent=True)
        assert [name for name, _ in net.refused] in (["mirror"], [])
        return found

    assert play(story, evil, good) == made.files[address]
    monkeypatch.setattr(file_check.FileCheck, "finish", lambda _: None)
    assert play(story, evil, good) == b"x" * target.length


def test_a_repository_that_is_put_out(monkeypatch: pytest.MonkeyPatch):
    """The service takes requests and answers none; a mirror has the same signed files, and the update goes on."""
    made = released()
    target = made.roles["os"].targets["os/mt3620/26.11/kernel"]
    wanted = VerifiedTarget(target.path, target.length, target.hashes, "os")
    service, mirror = StaticServer(made.files), StaticServer(made.files)

    async def story(net: Network) -> bytes:
        service.misbehave = honest
        device = DirectedDevice(net, service, mirror)
        await device.take(directive())  # the first root is the service's own
        service.misbehave = silent
        await device.take(directive(version=2))
        sources = net.sources(net.source("the service", service), net.source("mirror", mirror))
        return await Artifacts(CutFlash(), sources, lambda: 10**9).fetch(wanted, consistent=True)

    assert play(story, service, mirror) == KERNEL
    monkeypatch.setattr(Sources, "_in_order", lambda self, _: self._own)  # nobody else is asked
    with pytest.raises(TransferError, match="no answer"):
        play(story, service, mirror)


# -- directives ---------------------------------------------------------------------------------------------------


def refused_then_taken(monkeypatch: pytest.MonkeyPatch, data: bytes, error: type[ArmillaryError]) -> None:
    """A directive is refused; without the checks of what it says (its signature stays checked) it is taken."""

    async def act(device: DirectedDevice) -> None:
        await device.take(data)

    with pytest.raises(error):
        directed(act, released())
    monkeypatch.setattr(taking, "accepted", lambda unverified, *_, **__: unverified.claims)
    directed(act, released())


def test_a_directive_of_another_device(monkeypatch: pytest.MonkeyPatch):
    refused_then_taken(monkeypatch, directive(device_id="cd" * 64), DirectiveError)


def test_a_directive_of_another_chip(monkeypatch: pytest.MonkeyPatch):
    refused_then_taken(monkeypatch, directive(hardware="imx8mp"), DirectiveError)


def test_a_directive_that_is_over(monkeypatch: pytest.MonkeyPatch):
    refused_then_taken(monkeypatch, directive(issued_at=NOW - 9 * DAY_S, expires_at=NOW - DAY_S), DirectiveError)


def test_a_directive_of_before(monkeypatch: pytest.MonkeyPatch):
    """Whoever recorded an older directive plays it back, and the device goes back to what it had left behind."""

    async def act(device: DirectedDevice) -> None:
        await device.take(directive(version=2))
        await device.take(directive(version=1))

    with pytest.raises(DirectiveError, match="expected version 2 or later, got version 1"):
        directed(act, released())
    genuine = taking.accepted
    monkeypatch.setattr(
        taking, "accepted", lambda found, keys, **facts: genuine(found, keys, **{**facts, "last_version": 0})
    )
    directed(act, released())


def test_a_stolen_key_of_the_director(monkeypatch: pytest.MonkeyPatch):
    """Its thief names an image of its own making; the repository's offline keys never signed it."""
    evil = replace(APP_IMAGE, sha256=b"\xee" * 32)
    offer = replace(OFFER, images=(KERNEL_IMAGE, evil))

    async def act(device: DirectedDevice) -> Any:
        return (await device.take(directive(offer=offer))).offer

    with pytest.raises(MismatchError, match="as in the repository's metadata"):
        directed(act, released())

    async def believed(self: Any, trusted: Any, offer: Any, image: Any, catalog_id: Any) -> Any:
        return VerifiedTarget("x", image.size, {"sha256": image.sha256.hex()}, "director")

    monkeypatch.setattr(taking.Directives, "_vouched_for", believed)
    assert directed(act, released()) == offer


def test_the_workflow_is_the_one_that_is_attacked():
    """The mutations above are of modules that the client uses, by the names it uses them by."""
    assert workflow.steps is steps
    assert steps.verify is metadata.verify


def test_images_of_two_directives_in_one(monkeypatch: pytest.MonkeyPatch):
    """Somebody on the way puts together a set that nobody released: each image is genuine, the set is not signed."""
    mixed = replace(OFFER, images=(KERNEL_IMAGE,))
    data = directive(offer=mixed, key=51, as_key=50)[:-64] + directive()[-64:]  # ends with the signature

    async def act(device: DirectedDevice) -> Any:
        return (await device.take(data)).offer

    with pytest.raises(SignatureError):
        directed(act, released())
    monkeypatch.setattr(cose, "verify_sign1", lambda *_, **__: None)
    assert directed(act, released()) == mixed


def test_an_offer_with_the_signatures_left_away(monkeypatch: pytest.MonkeyPatch):
    """Somebody took over the service's end of the connection, and has no key of the repository."""

    async def downloaded(image: OfferedImage) -> bytes:
        return b"evil"

    async def act(device: DirectedDevice) -> Any:
        await device.take(directive())
        offers = Offers(device.directives, Silent(), downloaded)  # type: ignore[arg-type]
        taken = await offers.take(replace(REPLY, offer=OFFER, directive=None))
        return await taken.fetch(APP_IMAGE) if isinstance(taken, TakenOffer) else taken

    assert isinstance(directed(act, released()), RefusedOffer)
    monkeypatch.setattr(taking.Directives, "check_plain_offer", lambda _: None)
    assert directed(act, released()) == b"evil"


class Silent:
    """A journal that nobody reads."""

    def write(self, event: str, **facts: Any) -> None:
        pass

# SPDX-License-Identifier: Apache-2.0
"""Real devices follow their service to a new root over real TLS; who stole the service's TLS key plants none."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from tests.attacks.test_device_time import IN_1970, factory_of, make, service as serving, started
from tests.fixtures.ports import reserved_port

from armillary.device.boot.recovery import recover
from armillary.device.checkin import endpoint as device_endpoint, renewal
from armillary.device.checkin.renewal import TrustRenewal
from armillary.device.process import Device
from armillary.device.state.configuration import DeviceConfiguration, load_configuration
from armillary.device.state.layout import DeviceFolder
from armillary.engines.flash.file import FileFlash
from armillary.errors import NotFoundError, ServiceUnreachableError
from armillary.service.authority.life import DAY_S, ROOT_TAKEOVER_S, YEAR_S
from armillary.service.endpoint.connection import DeviceConnection
from armillary.service.endpoint.endpoint import IDENTITY, TRUST_ANCHORS
from armillary.sim.device.service_host import ServiceHost
from armillary.wire.certificates import certificate as profile, trust_anchor
from armillary.wire.certificates.trust_anchor import Anchor
from armillary.wire.device.problem import parse_problem

DEADLINE_S = 30.0


def configuration_of(folder: Path) -> DeviceConfiguration:
    return load_configuration(FileFlash(DeviceFolder(folder).flash))


def pinned(folder: Path) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(configuration_of(folder).service_root.encode())


def verdict_of(folder: Path) -> str:
    """What a device that has just started gets, whose clock is decades off."""
    return asyncio.run(started(folder, wall=IN_1970).prove_once()).verdict


def events(device: Device, kind: str) -> list[Any]:
    lines = [line for file in device.folder.log.glob("*.jsonl*") for line in file.read_text("utf-8").splitlines()]
    return [line for line in lines if f'"{kind}"' in line]


def run_until(device: Device, condition: Any) -> None:
    """Be the device until something is so."""

    async def play() -> None:
        running = asyncio.create_task(device.run())
        try:
            async with asyncio.timeout(DEADLINE_S):
                while not condition() and not running.done():
                    await asyncio.sleep(0.02)
        finally:
            device.stop()
            await running
        assert condition()

    asyncio.run(play())


def test_a_device_follows_to_a_new_root_and_one_that_was_away_too_long_recovers(tmp_path: Path) -> None:
    port = reserved_port()
    with serving(tmp_path, 0, port=port) as host:
        follower = make(host, tmp_path / "follower", wall=IN_1970)
        make(host, tmp_path / "away", wall=IN_1970)
        old = x509.load_der_x509_certificate(host.service.authority.roots.certificate)
    with serving(tmp_path, DAY_S, port=port) as host:
        made = host.service.authority.renew_by_hand("root", actor="t")
        run_until(follower, lambda: len(pinned(tmp_path / "follower")) == 2)
        assert pinned(tmp_path / "follower") == [old, x509.load_der_x509_certificate(made.der)]
        assert len(events(follower, "roots-renewed")) == 1
        late = make(host, tmp_path / "late", wall=IN_1970)  # made when there are two
        assert len(pinned(tmp_path / "late")) == 2
        assert asyncio.run(late.prove_once()).verdict == "attested"
    with serving(tmp_path, 3 * YEAR_S, port=port) as host:  # the old root serves, whoever is pinned
        for name in ("follower", "away", "late"):
            assert verdict_of(tmp_path / name) == "attested", name
    with serving(tmp_path, ROOT_TAKEOVER_S + 2 * DAY_S, port=port) as host:
        assert host.service.authority.roots.certificate == made.der
        for name in ("follower", "late"):
            assert verdict_of(tmp_path / name) == "attested", name
        with pytest.raises(ServiceUnreachableError, match="service root"):
            asyncio.run(started(tmp_path / "away", wall=IN_1970).prove_once())
        assert recover(DeviceFolder(tmp_path / "away"), factory_of(host), now=int(time.time())) == ()
        assert verdict_of(tmp_path / "away") == "attested"


def identity_of(folder: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(configuration_of(folder).identity_certificate[0].encode())


def test_an_identity_certificate_that_ends_soon_is_replaced_over_the_air(tmp_path: Path) -> None:
    port = reserved_port()
    with serving(tmp_path, 0, port=port) as host:
        for name in ("comes", "stays"):
            device = make(host, tmp_path / name, wall=IN_1970)
            assert asyncio.run(device.prove_once()).verdict == "attested"
        first = identity_of(tmp_path / "comes")
    with serving(tmp_path, 14.9 * YEAR_S, port=port):  # five years and a little are left: too early
        comes = started(tmp_path / "comes", wall=IN_1970)
        run_until(comes, lambda: events(comes, "roots-renewed"))
        assert identity_of(tmp_path / "comes") == first
    with serving(tmp_path, 15.1 * YEAR_S, port=port) as host:
        comes = started(tmp_path / "comes", wall=IN_1970)
        run_until(comes, lambda: events(comes, "identity-renewed"))
        second = identity_of(tmp_path / "comes")
        assert second.public_key() == first.public_key()
        assert second.not_valid_after_utc.timestamp() > time.time() + 29 * YEAR_S
        lines = host.service.audit.list(limit=50).items
        assert [line.target for line in lines if line.operation == "device.identity-renew"] == [comes.device_id]
    with serving(tmp_path, 20.2 * YEAR_S, port=port):  # what both were made with has ended
        for name in ("comes", "stays"):
            device = started(tmp_path / name, wall=IN_1970)
            roots = pinned(tmp_path / name)
            if name == "comes":
                assert len(roots) == 2
                assert asyncio.run(device.prove_once()).verdict == "attested"
            else:  # it was away for twenty years
                with pytest.raises(ServiceUnreachableError, match="service root"):
                    asyncio.run(device.prove_once())


def test_a_reply_that_was_lost_gives_the_same_certificate_again_and_nobody_gets_one_early(tmp_path: Path) -> None:
    with serving(tmp_path, 0) as host:
        device = host.claimed(b"i" * 32)
        with device:
            early = device.exchange("GET", "/v1/identity-certificate")
        assert (early.status, parse_problem(early.body).code) == (404, "request.not-found")
        stranger = host.device(b"j" * 32)  # claimed by nobody
        with stranger:
            assert stranger.exchange("GET", "/v1/trust-anchors").status == 200
            assert stranger.exchange("GET", "/v1/identity-certificate").status == 403
        ends = int(time.time()) + 4 * YEAR_S
        authority = host.service.authority
        messages = [authority.silicon.renew_identity("MediaTek", device.device_id, ends) for _ in range(3)]
        assert len(set(messages)) == 1
        assert authority.silicon.renew_identity("MediaTek", stranger.device_id, ends) != messages[0]
        with device:
            assert device.exchange("POST", "/v1/identity-certificate", b"x").status == 405
            assert device.check_in().verdict == "attested"


def test_who_stole_the_services_tls_key_gives_no_device_a_certificate_of_nobodys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be locked out for good: what it keeps is not shown to anybody before the next connection."""
    with serving(tmp_path, 0) as host:
        device = make(host, tmp_path / "device", wall=IN_1970)
        genuine = identity_of(tmp_path / "device")
        key, now = ec.generate_private_key(ec.SECP256R1()), int(time.time())
        life = {"not_before": now - 300, "not_after": now + 30 * YEAR_S}
        rogue_maker = profile.build_silicon_authority(key, maker="MediaTek", serial=5, **life)
        rogue_der = rogue_maker.public_bytes(Encoding.DER)
        made = profile.build_identity_certificate(rogue_maker, key, device_id=device.device_id, serial=6, **life)
        silicon = [Anchor(der) for der in host.service.authority.silicon.certificates()]
        false = trust_anchor.encode_identity(
            made.public_bytes(Encoding.DER), [*silicon, Anchor(rogue_der, (rogue_der,))]
        )
        host.service.serving.server.endpoint._downloads._renew_identity = lambda *_: false  # type: ignore[union-attr]
        monkeypatch.setattr(renewal, "IDENTITY_RENEWAL_S", 99 * YEAR_S)
        run_until(device, lambda: events(device, "identity-not-renewed"))
        assert identity_of(tmp_path / "device") == genuine
        # the control: with vouchers unchecked it takes it, and is refused from then on
        monkeypatch.setattr(trust_anchor, "_vouches", lambda *_, **__: True)
        fooled = started(tmp_path / "device", wall=IN_1970)
        run_until(fooled, lambda: events(fooled, "identity-renewed"))
        with pytest.raises(ServiceUnreachableError):
            asyncio.run(started(tmp_path / "device", wall=IN_1970).prove_once())


def test_a_device_whose_silicon_authority_was_renewed_stays_and_a_new_one_comes(tmp_path: Path) -> None:
    port = reserved_port()
    with serving(tmp_path, 0, port=port) as host:
        before = make(host, tmp_path / "before", wall=IN_1970)
    with serving(tmp_path, DAY_S, port=port) as host:
        made = host.service.authority.renew_by_hand("silicon", "MediaTek", actor="t")
        after = make(host, tmp_path / "after", wall=IN_1970)  # the running endpoint knows it at once
        leaf = x509.load_pem_x509_certificate(after.configuration.identity_certificate[0].encode())
        leaf.verify_directly_issued_by(x509.load_der_x509_certificate(made.der))
        for device in (before, after):
            assert asyncio.run(device.prove_once()).verdict == "attested"
        recover(DeviceFolder(tmp_path / "before"), factory_of(host), now=int(time.time()))
        renewed = started(tmp_path / "before", wall=IN_1970)
        assert renewed.configuration.identity_certificate != before.configuration.identity_certificate
        assert asyncio.run(renewed.prove_once()).verdict == "attested"


def lie(host: ServiceHost, anchors: list[Anchor]) -> None:
    """What a thief of the service's TLS key says at its address."""
    host.service.serving.server.endpoint._trust_anchors = lambda: trust_anchor.encode_anchors(anchors)  # type: ignore[union-attr]


def rogue(host: ServiceHost) -> Anchor:
    """A thief's own root, for which a policy authority that he stole too vouches, one of an older data folder."""
    key = ec.generate_private_key(ec.SECP384R1())
    now = int(time.time())
    life = {"not_before": now - 300, "not_after": now + YEAR_S}
    made = profile.build_root_authority(key, name="Armillary Root CA 2027", serial=5, **life)
    policy = host.service.authority.issued.of_kind("policy")[-1]
    voucher = trust_anchor.build_voucher(
        x509.load_der_x509_certificate(policy.der),
        host.service.authority.keys.load(f"policy-{policy.serial.lower()}"),
        made,
        serial=6,
        **life,
    )
    return Anchor(made.public_bytes(Encoding.DER), (voucher.public_bytes(Encoding.DER),))


def test_who_stole_the_services_tls_key_plants_no_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(tmp_path, 0) as host:
        device = make(host, tmp_path / "device", wall=IN_1970)
        genuine = pinned(tmp_path / "device")
        lie(host, [rogue(host)])
        asked: list[int] = []
        look = TrustRenewal.look

        async def looked(one: TrustRenewal) -> None:
            await look(one)
            asked.append(1)

        monkeypatch.setattr(TrustRenewal, "look", looked)
        run_until(device, lambda: asked)
        assert pinned(tmp_path / "device") == genuine
        # the control: with signatures unchecked the same answer makes the thief the service for ever
        monkeypatch.setattr(trust_anchor, "_vouches", lambda *_, **__: True)
        fooled = started(tmp_path / "device", wall=IN_1970)
        run_until(fooled, lambda: len(pinned(tmp_path / "device")) == 2)


def test_the_key_of_a_root_that_ended_makes_no_certificate_that_is_good_later() -> None:
    key, own = ec.generate_private_key(ec.SECP384R1()), ec.generate_private_key(ec.SECP256R1())
    root = profile.build_root_authority(key, name="Root", serial=1, not_before=0, not_after=1_000_000)

    def server(not_after: int) -> bytes:
        made = profile.build_server_certificate(
            root, key, own.public_key(), hosts=["localhost"], serial=2, not_before=0, not_after=not_after
        )
        return made.public_bytes(Encoding.DER)

    assert device_endpoint.is_directly_under(server(1_000_000), root)
    assert not device_endpoint.is_directly_under(server(1_000_001), root)
    assert not device_endpoint.is_directly_under(b"", root)


def test_a_service_of_before_has_no_such_address_and_the_device_goes_on(tmp_path: Path) -> None:
    with serving(tmp_path, 0) as host:
        device = make(host, tmp_path / "device", wall=IN_1970)
        endpoint = host.service.serving.server.endpoint
        assert endpoint is not None
        genuine_handle = endpoint.handle

        def handle(connection: DeviceConnection, method: bytes, target: bytes, body: bytes) -> None:
            if target in (TRUST_ANCHORS, IDENTITY):
                raise NotFoundError("no such address", remedy="See docs/reference/device-protocol.md.")
            genuine_handle(connection, method, target, body)

        endpoint.handle = handle  # type: ignore[method-assign]
        genuine = pinned(tmp_path / "device")
        run_until(device, lambda: events(device, "roots-not-renewed"))
        assert pinned(tmp_path / "device") == genuine

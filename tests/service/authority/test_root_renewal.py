# SPDX-License-Identifier: Apache-2.0
"""Decades of roots and silicon authorities; renewals by hand; renewals that are cut; devices that were away."""

from __future__ import annotations

import contextlib
import ssl
import subprocess
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from tests.fixtures.effort import effort
from tests.fixtures.services import copy_of
from tests.service.authority.rotations import DEVICE_ID, Cut, Rotation, copies, cut_at, needs_openssl, openssl_says

from armillary.api.http.server import server_context
from armillary.device.checkin.endpoint import is_directly_under
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError, SignerError
from armillary.roles.whole import present_renewed
from armillary.service.authority.life import CATALOG_TAKEOVER_S, DAY_S, ROOT_TAKEOVER_S, YEAR_S
from armillary.wire.certificates import trust_anchor

MAKER = "MediaTek"
STEP_S = 28 * DAY_S
# In the usual run two roots take over, and the first has ended for long.
YEARS = effort(34, 50)


@pytest.fixture
def rotation(made_folder: Path, tmp_path: Path, clock: Any) -> Iterator[Rotation]:
    made = Rotation(copy_of(made_folder, tmp_path / "data"), clock)
    clock.now += DAY_S  # what is renewed is younger than what was there
    yield made
    made.close()


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def roots_of(rotation: Rotation) -> list[x509.Certificate]:
    return [x509.load_der_x509_certificate(one.der) for one in rotation.service.authority.roots.valid()]


def server_chain(rotation: Rotation) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(rotation.service.authority.server.files().certificate.read_bytes())


class Follower:
    """A device as far as roots go: it pins some, and comes by now and then."""

    def __init__(self, rotation: Rotation, away_s: int, first_s: int) -> None:
        self.rotation, self.away_s, self.due = rotation, away_s, rotation.clock.now + first_s
        self.pinned = roots_of(rotation)

    @property
    def gets_in(self) -> bool:
        """Whether it takes the service for its own; the root itself must have signed, see ``device/checkin/endpoint.py``."""
        leaf = server_chain(self.rotation)[0]
        assert leaf.not_valid_before_utc.timestamp() <= self.rotation.clock.now <= leaf.not_valid_after_utc.timestamp()
        return any(is_directly_under(der(leaf), root) for root in self.pinned)

    def come(self) -> None:
        assert self.gets_in
        sent = trust_anchor.parse_anchors(self.rotation.service.authority.roots.trust_anchors())
        self.pinned = trust_anchor.accepted(self.pinned, sent, now=int(self.rotation.clock.now))[-4:]
        self.due = self.rotation.clock.now + self.away_s


def server_accepted(folder: Path, chain: list[x509.Certificate], root: bytes, *, at: int) -> str:
    """What ``openssl verify`` says of a server chain to somebody who trusts one root; "" when it accepts."""
    pem = [one.public_bytes(Encoding.PEM) for one in chain]
    (folder / "leaf").write_bytes(pem[0])
    (folder / "rest").write_bytes(b"".join(pem[1:]) or pem[0])
    (folder / "root").write_bytes(x509.load_der_x509_certificate(root).public_bytes(Encoding.PEM))
    command = ["openssl", "verify", "-x509_strict", "-no-CAfile", "-no-CApath", "-no-CAstore", "-attime", str(at)]
    command += ["-purpose", "sslserver", "-trusted", str(folder / "root"), "-untrusted", str(folder / "rest")]
    done = subprocess.run([*command, str(folder / "leaf")], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


@pytest.mark.long
@needs_openssl
@pytest.mark.timeout(300)
def test_decades_of_roots_and_silicon(rotation: Rotation, tmp_path: Path, clock: Any) -> None:
    """Devices that come monthly, or stay away for almost five years at any phase, follow; so do tools and identities.

    OpenSSL judges server and client chains whenever one of them leads to another root.
    """
    authority = rotation.service.authority
    away_s = ROOT_TAKEOVER_S - 2 * STEP_S
    devices = [Follower(rotation, STEP_S, 0)] + [Follower(rotation, away_s, part * away_s // 8) for part in range(8)]
    identities: list[x509.Certificate] = []
    serving: list[bytes] = []
    known: list[set[bytes]] = []  # roots that tools could have fetched at each step
    for step in range(YEARS * YEAR_S // STEP_S):
        clock.now += STEP_S
        now = int(clock.now)
        authority.renew()
        for device in devices:
            if device.due <= clock.now:
                device.come()
        roots, chain, handed = authority.roots.valid(), server_chain(rotation), rotation.issue()
        known.append({one.der for one in roots})
        anchor = authority.roots.certificate
        if not serving or serving[-1] != anchor:
            serving.append(anchor)
            for one in roots:  # who knows one living root, old or new, accepts the service
                if (
                    one.der == anchor
                    or one.not_after < x509.load_der_x509_certificate(anchor).not_valid_after_utc.timestamp()
                ):
                    assert not server_accepted(tmp_path, chain, one.der, at=now), step
        top = x509.load_der_x509_certificate(handed.chain[-1])
        (above,) = [one for one in roots if x509.load_der_x509_certificate(one.der).subject == top.issuer]
        if step % 26 == 0:
            assert not openssl_says(tmp_path, handed, above.der, at=now), step
        if step:  # the root above today's client certificates was to be had at the last step
            assert above.der in known[-2], step
        trusted = [x509.load_der_x509_certificate(one) for one in authority.silicon.certificates()]
        if step % 26 == 0:
            identity, _ = authority.silicon.identity_certificate(MAKER, DEVICE_ID)
            identities.append(x509.load_der_x509_certificate(identity.der))
            assert identity.not_after - now > 10 * YEAR_S - 2 * STEP_S
        for living in [one for one in identities if one.not_valid_after_utc.timestamp() > now]:
            assert any(is_directly_under(der(living), one) for one in trusted), step
    assert len(serving) == 1 + (YEARS * YEAR_S - ROOT_TAKEOVER_S) // (14 * YEAR_S)
    kept = authority.issued.of_kind("root")
    made = [one.issued_at for one in kept]
    assert all(14 * YEAR_S - STEP_S <= after - before <= 14 * YEAR_S + STEP_S for before, after in pairwise(made))
    assert len(kept) == 1 + YEARS // 14
    files_of_roots = x509.load_pem_x509_certificates(authority.server.files().root.read_bytes())
    assert der(files_of_roots[0]) == authority.roots.certificate
    assert set(map(der, files_of_roots)) == {one.der for one in authority.roots.valid()}


def test_control_without_the_five_years_devices_that_were_away_are_locked_out(
    rotation: Rotation, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = Follower(rotation, 0, 0)
    clock.now += 14 * YEAR_S + DAY_S
    rotation.service.authority.renew()
    assert len(rotation.service.authority.roots.valid()) == 2
    clock.now += 4 * YEAR_S
    rotation.service.authority.renew()
    assert away.gets_in
    monkeypatch.setattr("armillary.service.authority.life.ROOT_TAKEOVER_S", 0)
    rotation.service.authority.renew()
    assert not away.gets_in


def test_who_was_away_for_longer_gets_in_no_more_and_whoever_came_does(rotation: Rotation, clock: Any) -> None:
    authority = rotation.service.authority
    away, came = Follower(rotation, 0, 0), Follower(rotation, 0, 0)
    authority.renew_by_hand("root", actor="t")
    came.come()
    clock.now += ROOT_TAKEOVER_S - DAY_S
    authority.renew()
    assert (away.gets_in, came.gets_in) == (True, True)
    clock.now += DAY_S
    authority.renew()
    assert (away.gets_in, came.gets_in) == (False, True)


@needs_openssl
def test_a_new_root_by_hand_changes_nothing_for_anybody_at_first(
    rotation: Rotation, tmp_path: Path, clock: Any
) -> None:
    authority = rotation.service.authority
    before, chain, handed, at_first = (
        authority.roots.certificate,
        server_chain(rotation),
        rotation.issue(),
        int(clock.now),
    )
    made = authority.renew_by_hand("root", actor="anna")
    assert [one.serial for one in authority.roots.valid()][-1] == made.serial
    assert (authority.roots.certificate, server_chain(rotation)) == (before, chain)
    assert rotation.issue().chain == handed.chain
    files_of_roots = x509.load_pem_x509_certificates(authority.server.files().root.read_bytes())
    assert list(map(der, files_of_roots)) == [before, made.der]
    assert made.der in rotation.service.authority.revocation_lists.chain_of_catalog(rotation.catalog_id)
    lists = rotation.service.authority.revocation_lists.of_catalog(rotation.catalog_id)
    assert x509.load_der_x509_certificate(made.der).subject in [x509.load_der_x509_crl(one).issuer for one in lists]
    line = rotation.service.audit.list(limit=1).items[0]
    assert (line.actor, line.operation, line.detail["kind"]) == ("anna", "authority.renew", "root-voucher")
    clock.now += CATALOG_TAKEOVER_S
    policy = authority.renew_by_hand("policy", actor="t")
    x509.load_der_x509_certificate(policy.der).verify_directly_issued_by(x509.load_der_x509_certificate(made.der))
    clock.now += CATALOG_TAKEOVER_S
    catalog = authority.renew_by_hand("catalog", "Contoso", actor="t")
    x509.load_der_x509_certificate(catalog.der).verify_directly_issued_by(x509.load_der_x509_certificate(policy.der))
    clock.now += CATALOG_TAKEOVER_S
    authority.renew()
    clock.now += DAY_S
    issuing = authority.renew_by_hand("issuing", "Contoso", actor="t")
    today = rotation.issue()
    assert today.chain == (issuing.der, catalog.der, policy.der)
    assert rotation.hub_accepts(today)
    assert not openssl_says(tmp_path, today, made.der, at=int(clock.now))
    assert not openssl_says(tmp_path, handed, before, at=at_first)


def test_renewals_by_hand_that_cannot_be(rotation: Rotation, clock: Any) -> None:
    authority = rotation.service.authority
    for kind, name, error in (
        ("server", "", InvalidArgumentError),
        ("root", "x", InvalidArgumentError),
        ("silicon", "", InvalidArgumentError),
        ("silicon", "Nobody", NotFoundError),
        ("catalog", "Nobody", NotFoundError),
        ("issuing", "Nobody", NotFoundError),
    ):
        with pytest.raises(error):
            authority.renew_by_hand(kind, name, actor="t")
    named = {"root": "", "policy": "", "silicon": MAKER, "catalog": "Contoso", "issuing": "Contoso"}
    for kind, name in named.items():
        authority.renew()
        authority.renew_by_hand(kind, name, actor="t")
        with pytest.raises(ConflictError, match="last renewal"):  # nobody could follow
            authority.renew_by_hand(kind, name, actor="t")
        clock.now += CATALOG_TAKEOVER_S
        authority.renew_by_hand(kind, name, actor="t")
    for _ in range(5):
        clock.now += CATALOG_TAKEOVER_S
        authority.renew_by_hand("root", actor="t")
    clock.now += CATALOG_TAKEOVER_S
    with pytest.raises(ConflictError, match="8 of these live"):
        authority.renew_by_hand("root", actor="t")
    assert len(trust_anchor.parse_anchors(authority.roots.trust_anchors())) == 8


def test_both_silicon_authorities_are_trusted_and_the_new_one_issues(rotation: Rotation, clock: Any) -> None:
    authority = rotation.service.authority
    told: list[bytes] = []
    authority.silicon.on_new.append(told.append)
    old, _ = authority.silicon.identity_certificate(MAKER, DEVICE_ID)
    others = len(authority.silicon.certificates())
    made = authority.renew_by_hand("silicon", MAKER, actor="t")
    assert told == [made.der]
    assert len(authority.silicon.certificates()) == others + 1
    new, _ = authority.silicon.identity_certificate(MAKER, DEVICE_ID)
    assert is_directly_under(new.der, x509.load_der_x509_certificate(made.der))
    assert not is_directly_under(old.der, x509.load_der_x509_certificate(made.der))
    assert any(
        is_directly_under(old.der, x509.load_der_x509_certificate(one)) for one in authority.silicon.certificates()
    )
    clock.now += 21 * YEAR_S
    assert made.der not in authority.silicon.certificates()
    with pytest.raises(SignerError, match="no living silicon"):
        authority.silicon.identity_certificate(MAKER, DEVICE_ID)
    authority.renew()  # after a downtime of any length there is one again
    authority.silicon.identity_certificate(MAKER, DEVICE_ID)


def presented(context: ssl.SSLContext) -> bytes:
    """The certificate, DER, that a TLS server with this context shows now."""
    client_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client_context.check_hostname, client_context.verify_mode = False, ssl.CERT_NONE
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client, server = client_context.wrap_bio(down, up), context.wrap_bio(up, down, server_side=True)
    while True:
        with contextlib.suppress(ssl.SSLWantReadError):
            client.do_handshake()
            return client.getpeercert(binary_form=True) or b""
        with contextlib.suppress(ssl.SSLWantReadError):
            server.do_handshake()


def test_a_service_that_runs_for_years_presents_its_renewed_certificate(rotation: Rotation, clock: Any) -> None:
    authority = rotation.service.authority
    server_files = authority.server.files()
    context, control = (server_context(server_files.certificate, server_files.key) for _ in range(2))
    present_renewed(authority, context)
    first = der(server_chain(rotation)[0])
    assert presented(context) == first
    clock.now += 340 * DAY_S
    authority.renew()
    renewed = der(server_chain(rotation)[0])
    assert presented(context) == renewed != first
    assert presented(control) == first  # who is not told goes on with what ends


def test_a_renewed_identity_certificate_is_verified_along_every_silicon_authority(
    rotation: Rotation, clock: Any
) -> None:
    """A device that asks when four years are left, for sixty years."""
    authority, now = rotation.service.authority, lambda: int(clock.now)
    record, _ = authority.silicon.identity_certificate(MAKER, DEVICE_ID)
    current = x509.load_der_x509_certificate(record.der)
    replaced = 0
    for _ in range(60 * 6):
        clock.now += 61 * DAY_S
        authority.silicon.renew_due()
        ends = int(current.not_valid_after_utc.timestamp())
        if ends - now() > 4 * YEAR_S:
            continue
        message = trust_anchor.parse_identity(authority.silicon.renew_identity(MAKER, DEVICE_ID, ends))
        current = trust_anchor.verify_identity(current, message, now=now())
        replaced += 1
    assert replaced == 5
    trusted = [x509.load_der_x509_certificate(one) for one in authority.silicon.certificates()]
    assert any(is_directly_under(der(current), one) for one in trusted)


def test_a_root_whose_key_is_away_hinders_no_other_renewal(
    rotation: Rotation, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = rotation.service.authority
    clock.now += 14 * YEAR_S + DAY_S

    def away(*_: object) -> None:
        raise SignerError("the token is away")

    with monkeypatch.context() as patch:
        patch.setattr(authority.roots, "_make_next", away)
        with pytest.raises(SignerError):
            authority.renew()
    assert len(authority.roots.valid()) == 1
    assert rotation.hub_accepts(rotation.issue())
    authority.renew()
    assert len(authority.roots.valid()) == 2


RENEWALS: dict[str, Callable[[Rotation], object]] = {
    "root by hand": lambda one: one.service.authority.renew_by_hand("root", actor="t"),
    "silicon by hand": lambda one: one.service.authority.renew_by_hand("silicon", MAKER, actor="t"),
    "policy by hand": lambda one: one.service.authority.renew_by_hand("policy", actor="t"),
    "issuing by hand": lambda one: one.service.authority.renew_by_hand("issuing", "Contoso", actor="t"),
    "server moves to the new root": lambda one: one.service.authority.renew(),
}


@needs_openssl
@pytest.mark.parametrize("renewal", RENEWALS)
def test_a_renewal_that_is_cut_at_any_write_leaves_a_working_service(
    made_folder: Path, tmp_path: Path, clock: Any, monkeypatch: pytest.MonkeyPatch, renewal: str
) -> None:
    """Cut before and after each write of a key, a file or a transaction, then started again: everything there is works."""
    original = Rotation(copy_of(made_folder, tmp_path / "original"), clock)
    pinned = Follower(original, 0, 0)
    clock.now += DAY_S
    if renewal.startswith("server"):
        original.service.authority.renew_by_hand("root", actor="t")
        pinned.come()
        clock.now += ROOT_TAKEOVER_S - DAY_S
        original.service.authority.renew()
        clock.now += DAY_S
    original.close()
    cuts = 0
    for count, data in copies(tmp_path / "original"):
        opened = Rotation(data, clock) if not renewal.startswith("server") else None
        finished = True
        with monkeypatch.context() as patch:
            cut_at(patch, count)
            try:
                if opened is None:
                    opened = Rotation(data, clock)  # opening renews
                else:
                    RENEWALS[renewal](opened)
            except Cut:
                finished = False
        if opened is not None:
            opened.close()
        again = Rotation(data, clock)
        try:
            device = Follower(again, 0, 0)
            device.pinned = list(pinned.pinned)
            device.come()
            authority, now = again.service.authority, int(clock())
            assert device.pinned == roots_of(again)
            for root in authority.roots.valid():
                authority.keys.load_authority(root.kind, root.der)
            assert {der(one) for one in server_chain(again)} <= again.recorded() | {
                one.der for one in authority.roots.vouchers.valid()
            }
            assert not server_accepted(tmp_path, server_chain(again), authority.roots.certificate, at=now)
            handed = again.issue()
            assert set(handed.chain) <= again.recorded()
            assert again.hub_accepts(handed)
            silicon = [x509.load_der_x509_certificate(one) for one in authority.silicon.certificates()]
            identity, _ = authority.silicon.identity_certificate(MAKER, DEVICE_ID)
            assert any(is_directly_under(identity.der, one) for one in silicon)
        finally:
            again.close()
        if finished:
            break
        cuts += 1
    assert cuts >= 3


def test_a_device_gets_no_other_identity_certificate_that_ends_no_later(rotation: Rotation, clock: Any) -> None:
    """Where the silicon authority could not be renewed: the device would ask for one after the other."""
    silicon = rotation.service.authority.silicon
    maker, authorities = next(iter(silicon.by_maker().items()))
    clock.now = authorities[-1].not_after - DAY_S
    with pytest.raises(NotFoundError, match="no later"):
        silicon.renew_identity(maker, DEVICE_ID, authorities[-1].not_after)
    assert silicon.renew_identity(maker, DEVICE_ID, authorities[-1].not_after - 1)

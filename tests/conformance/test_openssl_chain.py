# SPDX-License-Identifier: Apache-2.0
"""OpenSSL's own verifier accepts what the service issues, and refuses it elsewhere, for another use and too late."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from armillary.sim.device.service_host import ServiceHost
from armillary.wire.encoding.pem import armour

NOW = 1_795_478_400  # 2026-11-24
DAY_S = 86_400

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl: sudo apt-get install openssl")


@dataclass(slots=True)
class Issued:
    """Files of one service: PEM."""

    folder: Path
    host: ServiceHost
    device_id: str = ""

    def verify(
        self,
        leaf: str,
        *,
        anchor: str = "root",
        chain: tuple[str, ...] = ("issuing", "catalog", "policy"),
        purpose: str = "sslclient",
        at: int = NOW,
        lists: bool = False,
    ) -> str:
        """The words of ``openssl verify``; "OK" when it accepts."""
        command = ["openssl", "verify", "-x509_strict", "-partial_chain", "-no-CAfile", "-no-CApath", "-no-CAstore"]
        command += ["-attime", str(at), "-purpose", purpose, "-trusted", str(self.path(anchor))]
        if lists:
            command += ["-crl_check_all", "-CRLfile", str(self.path("crl"))]
        for one in chain:
            command += ["-untrusted", str(self.path(one))]
        done = subprocess.run([*command, str(self.path(leaf))], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            assert done.stdout.endswith(": OK\n")
            return "OK"
        return done.stdout + done.stderr

    def path(self, name: str) -> Path:
        return self.folder / f"{name}.pem"

    def fetch_lists(self) -> None:
        """The revocation lists as of now, one PEM file."""
        catalog_id = self.host.service.registry.catalogs.get("Contoso").catalog_id
        lists = self.host.service.authority.revocation_lists.of_catalog(catalog_id)
        self.path("crl").write_bytes(b"".join(armour("X509 CRL", der) for der in lists))

    def write(self, name: str, der: bytes) -> None:
        self.path(name).write_bytes(x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM))


@pytest.fixture(scope="module")
def issued(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Issued]:
    folder = tmp_path_factory.mktemp("openssl")
    with ServiceHost(folder / "data", clock=lambda: float(NOW)) as host:
        host.catalog()
        host.catalog("Fabrikam")
        files = Issued(folder, host)
        with host.claimed(b"o" * 32) as device:
            leaf, issuing, catalog, policy = device.check_in().certificate_chain
            (identity,) = device.factory.certificate_chain
            first, *rest = device.prover.components
            device.prover.components = (replace(first, content=first.content + b"!"), *rest)
            device.prover.boot()
            update = device.check_in().certificate_chain[0]
        files.device_id = device.device_id
        authority = host.service.authority
        for name, der in {
            "root": authority.roots.certificate,
            "policy": policy,
            "catalog": catalog,
            "issuing": issuing,
            "client": leaf,
            "identity": identity,
            "update": update,
            "other-catalog": authority.catalogs.get("Fabrikam", ".default").der,
            "proof": authority.catalogs.prove_possession("Contoso", ".default", "A1B2C3"),
        }.items():
            files.write(name, der)
        issuer = x509.load_der_x509_certificate(identity).issuer
        (silicon,) = [
            one for one in authority.silicon.certificates() if x509.load_der_x509_certificate(one).subject == issuer
        ]
        files.write("silicon", silicon)
        shutil.copy(authority.server.files().certificate, files.path("server"))
        yield files


@pytest.mark.parametrize("anchor", ["root", "catalog"])
def test_a_client_certificate_leads_to_the_root_and_to_the_catalogs_authority(issued: Issued, anchor: str) -> None:
    assert issued.verify("client", anchor=anchor) == "OK"


def test_identity_server_and_possession_certificates_are_accepted_for_their_use(issued: Issued) -> None:
    assert issued.verify("identity", anchor="silicon", chain=()) == "OK"
    assert issued.verify("server", chain=(), purpose="sslserver") == "OK"
    assert issued.verify("proof", chain=("catalog", "policy")) == "OK"


@pytest.mark.parametrize(
    ("leaf", "purpose", "chain"),
    [
        ("client", "sslserver", ("issuing", "catalog", "policy")),
        ("client", "codesign", ("issuing", "catalog", "policy")),
        ("update", "sslclient", ("issuing", "catalog", "policy")),
        ("update", "sslserver", ("issuing", "catalog", "policy")),
        ("server", "sslclient", ()),
    ],
)
def test_another_purpose_is_refused(issued: Issued, leaf: str, purpose: str, chain: tuple[str, ...]) -> None:
    assert "purpose" in issued.verify(leaf, purpose=purpose, chain=chain)


@pytest.mark.parametrize("anchor", ["other-catalog", "silicon"])
def test_another_authority_is_refused(issued: Issued, anchor: str) -> None:
    assert "unable to get" in issued.verify("client", anchor=anchor)


def test_a_missing_link_is_refused(issued: Issued) -> None:
    for missing in ("issuing", "catalog", "policy"):
        chain = tuple(one for one in ("issuing", "catalog", "policy") if one != missing)
        assert "unable to get" in issued.verify("client", chain=chain)


def test_before_its_time_and_after_its_end_it_is_refused(issued: Issued) -> None:
    assert issued.verify("client", at=NOW + DAY_S - 60) == "OK"
    assert "expired" in issued.verify("client", at=NOW + DAY_S + 60)
    assert "not yet valid" in issued.verify("client", at=NOW - 3600)


def test_with_revocation_lists_a_revoked_devices_certificate_is_refused(issued: Issued) -> None:
    registry = issued.host.service.registry
    issued.fetch_lists()
    assert issued.verify("client", lists=True) == "OK"
    registry.lifecycle.revoke(issued.device_id, reason="lost", actor="test")
    try:
        assert issued.verify("client", lists=True) == "OK"  # the lists of before
        issued.fetch_lists()
        assert "certificate revoked" in issued.verify("client", lists=True)
        assert issued.verify("client") == "OK"  # the positive control: nothing but the lists says so
    finally:
        registry.lifecycle.restore(issued.device_id, actor="test")
    issued.fetch_lists()
    assert issued.verify("client", lists=True) == "OK"


def test_a_list_that_is_too_old_or_missing_is_no_list(issued: Issued) -> None:
    issued.fetch_lists()
    assert "CRL has expired" in issued.verify("client", lists=True, at=NOW + DAY_S + 1)
    issued.path("crl").write_bytes(b"".join(issued.path("crl").read_bytes().partition(b"-----END X509 CRL-----\n")[:2]))
    assert "unable to get certificate CRL" in issued.verify("client", lists=True)


def test_openssl_reads_the_chain_as_pkcs7(issued: Issued) -> None:
    chain = issued.host.service.authority.catalogs.chain("Contoso", ".default")
    certificates = [x509.load_der_x509_certificate(der) for der in reversed(chain)]
    done = subprocess.run(
        ["openssl", "pkcs7", "-inform", "DER", "-print_certs"],
        input=pkcs7.serialize_certificates(certificates, Encoding.DER),
        capture_output=True,
        check=True,
    )
    assert set(x509.load_pem_x509_certificates(done.stdout)) == set(certificates)


def test_openssl_reads_the_nonce_in_the_proof_of_possession(issued: Issued) -> None:
    command = ["openssl", "x509", "-in", str(issued.path("proof")), "-noout", "-subject", "-nameopt", "multiline"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert [line.split()[-1] for line in done.stdout.splitlines() if "commonName" in line] == ["A1B2C3"]

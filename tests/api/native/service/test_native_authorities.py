# SPDX-License-Identifier: Apache-2.0
"""Authorities and revocation lists over HTTP: public where a web server fetches them, and nothing else there."""

from __future__ import annotations

import base64
import uuid

from cryptography import x509
from tests.api.running_service import RunningService

PUBLIC = "/api/v1/public"


def test_a_web_server_fetches_chain_and_lists_without_a_token(service: RunningService, catalog: str) -> None:
    catalog_id = service.service.registry.catalogs.get(catalog).catalog_id
    chain = service.call("GET", f"{PUBLIC}/catalogs/{catalog_id}/chain.pem", token=None)
    assert (chain.status, chain.headers["content-type"]) == (200, "application/x-pem-file")
    certificates = x509.load_pem_x509_certificates(chain.raw)
    assert [one.subject.rfc4514_string().split(",")[0] for one in certificates[:2]] == [
        f"CN=Armillary Issuing {catalog_id}",
        f"CN=Armillary {catalog_id}",
    ]
    lists = service.call("GET", f"{PUBLIC}/catalogs/{catalog_id}/crl.pem", token=None)
    found = [
        x509.load_pem_x509_crl(part + b"-----END X509 CRL-----\n")
        for part in lists.raw.split(b"-----END X509 CRL-----\n")[:-1]
    ]
    assert [one.issuer for one in found] == [one.subject for one in certificates]
    for authority, expected in zip(certificates, found, strict=True):
        one = service.call("GET", f"{PUBLIC}/crl/{authority.serial_number:034x}.crl", token=None)
        assert (one.status, one.headers["content-type"]) == (200, "application/pkix-crl")
        assert x509.load_der_x509_crl(one.raw) == expected


def test_operators_see_authorities_with_their_lists(service: RunningService, catalog: str) -> None:
    answer = service.call("GET", f"/api/v1/authorities?catalog={catalog}", token=service.token_of("Reader")).body
    assert [one["kind"] for one in answer["items"]] == ["issuing", "catalog", "policy", "root"]
    for one in answer["items"]:
        authority = x509.load_der_x509_certificate(base64.b64decode(one["certificate"]))
        assert f"{authority.serial_number:034X}" == one["serial"]
        assert x509.load_der_x509_crl(base64.b64decode(one["revocation_list"])).issuer == authority.subject
    assert service.call("GET", f"/api/v1/authorities?catalog={catalog}", token=None).status == 401
    assert service.call("GET", "/api/v1/authorities?catalog=nobody").status == 404


def test_what_does_not_exist_is_not_found_and_says_no_more(service: RunningService) -> None:
    for path in (
        f"/catalogs/{uuid.uuid4()}/chain.pem",
        f"/catalogs/{uuid.uuid4()}/crl.pem",
        "/crl/00.crl",
        f"/crl/{'F' * 200}.crl",
        "/crl/..%2f..%2fkeys.crl",
    ):
        reply = service.call("GET", PUBLIC + path, token=None)
        assert reply.status in (401, 404), path
        assert len(reply.raw) < 1000
    assert service.call("GET", f"{PUBLIC}/catalogs/not-an-id/chain.pem", token=None).status in (400, 422)

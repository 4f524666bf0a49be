# SPDX-License-Identifier: Apache-2.0
"""Management routes of a catalog's certificate authority: certificates, chain, proof of possession."""

from __future__ import annotations

import base64

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from armillary.api.azure import bodies, names
from armillary.api.azure.call import Call, whole
from armillary.api.azure.requests import NonceBody
from armillary.api.http.route import ADMINISTRATOR, READER, Route

Body = bodies.Body


def list_certificates(call: Call) -> Body:
    """Certificates of a catalog, newest first."""
    rows = call.service.authority.catalogs.list(call.catalog)
    return whole(call, [bodies.certificate(row, call.parts) for row in rows])


def get_certificate(call: Call) -> Body:
    """A certificate by serial number; ``.default`` is the active one."""
    row = call.service.authority.catalogs.get(call.catalog, call.parts["serial"])
    return bodies.certificate(row, call.parts)


def retrieve_cert_chain(call: Call) -> Body:
    """The chain up to the root, as a degenerate PKCS #7 (RFC 5652 §5.2) in base64."""
    from cryptography.hazmat.primitives.serialization import pkcs7  # noqa: PLC0415 - 1 MB with email; rarely asked for

    chain = call.service.authority.catalogs.chain(call.catalog, call.parts["serial"])
    certificates = [x509.load_der_x509_certificate(der) for der in reversed(chain)]
    return {"certificateChain": base64.b64encode(pkcs7.serialize_certificates(certificates, Encoding.DER)).decode()}


def retrieve_proof_of_possession(call: Call, body: NonceBody) -> Body:
    """A certificate over the caller's nonce, signed by the certificate authority's key."""
    der = call.service.authority.catalogs.prove_possession(
        call.catalog, call.parts["serial"], body.proofOfPossessionNonce
    )
    return bodies.certificate_properties(der, "Active")


ROUTES = (
    Route("GET", names.CATALOG + "/certificates", list_certificates, READER),
    Route("GET", names.CERTIFICATE, get_certificate, READER),
    Route("POST", names.CERTIFICATE + "/retrieveCertChain", retrieve_cert_chain, READER),
    # The CA key signs.
    Route("POST", names.CERTIFICATE + "/retrieveProofOfPossessionNonce", retrieve_proof_of_possession, ADMINISTRATOR),
)

# SPDX-License-Identifier: Apache-2.0
"""Native routes of authorities: what a server that trusts a catalog's devices, and asks nobody here, is fed with.

The public ones need no token, so that a web server's own timer fetches them. They name authorities, which every device
shows in its handshakes, and serial numbers of revoked certificates, which are random.
"""

from __future__ import annotations

import base64
from functools import partial
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Path
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from armillary.api.http.route import ADMINISTRATOR, PUBLIC, READER, Route
from armillary.api.http.routes import operator_of, service_of
from armillary.api.native.parameters import V1, CatalogFilter, StrictBody
from armillary.engines.records.queries.certificates import CertificateRecord
from armillary.errors import InvalidArgumentError
from armillary.wire.encoding.pem import armour

CRL_TYPE = "application/pkix-crl"  # RFC 2585 §4.2
PEM_TYPE = "application/x-pem-file"


def list_authorities(request: Request, catalog: CatalogFilter = None) -> dict[str, Any]:
    """A catalog's living authorities and all above them, each with its revocation list; leaves first."""
    if catalog is None:
        raise InvalidArgumentError("query: expected a catalog, got none", remedy="Name it: catalog=NAME.")
    service = service_of(request)
    owner = service.registry.catalogs.get(catalog)
    items = [
        _document(one)
        | {"revocation_list": base64.b64encode(service.authority.revocation_lists.current(one.serial)).decode()}
        for one in service.authority.catalogs.valid(owner.catalog_id)
    ]
    return {"catalog_id": str(owner.catalog_id), "items": items, "next": None}


class RenewalBody(StrictBody):
    """What to renew.

    Attributes:
        kind: Of authority.
        name: The chip maker of a silicon authority, the catalog of a catalog's or issuing authority; empty for others.
    """

    kind: Literal["root", "policy", "silicon", "catalog", "issuing"]
    name: Annotated[str, Field(max_length=64)] = ""


def list_service_authorities(request: Request) -> dict[str, Any]:
    """The service's own living certificates, from the root down: which sign now, which take over, which end."""
    found = service_of(request).authority.list_service()
    return {"items": [_document(one) | {"state": state} for one, state in found], "next": None}


def renew_authority(request: Request, body: RenewalBody) -> dict[str, Any]:
    """Make the successor of an authority now; the old one is trusted until it ends."""
    made = service_of(request).authority.renew_by_hand(body.kind, body.name, actor=operator_of(request).name)
    return _document(made)


def _document(one: CertificateRecord) -> dict[str, Any]:
    return {
        "serial": one.serial,
        "kind": one.kind,
        "subject": one.subject,
        "not_before": one.not_before,
        "not_after": one.not_after,
        "certificate": base64.b64encode(one.der).decode(),
    }


SerialPath = Annotated[
    str, Path(description="Serial number in hex", json_schema_extra={"pattern": "^[0-9a-fA-F]{1,64}$"})
]


def service_root(request: Request) -> Response:
    """The root certificates that this service is verified with, the one that signs server certificates now first; PEM.

    Whoever fetches them without having one compares the SHA-256 of a certificate with what the console showed.
    """
    return Response(service_of(request).authority.server.files().root.read_bytes(), media_type=PEM_TYPE)


def revocation_list(request: Request, authority: SerialPath) -> Response:
    """The revocation list of an authority, named by its serial number in hex; DER (RFC 5280 §5)."""
    return Response(service_of(request).authority.revocation_lists.current(authority), media_type=CRL_TYPE)


def revocation_lists(request: Request, catalog_id: UUID) -> Response:
    """The revocation lists of every authority of a catalog and above it, one PEM file: nginx's `ssl_crl`."""
    lists = service_of(request).authority.revocation_lists.of_catalog(catalog_id)
    return Response(b"".join(armour("X509 CRL", der) for der in lists), media_type=PEM_TYPE)


def authority_chain(request: Request, catalog_id: UUID) -> Response:
    """Every living authority of a catalog and above it, one PEM file: nginx's `ssl_client_certificate`."""
    chain = service_of(request).authority.revocation_lists.chain_of_catalog(catalog_id)
    return Response(b"".join(armour("CERTIFICATE", der) for der in chain), media_type=PEM_TYPE)


_row = partial(Route, tag="authorities")
_public = partial(_row, role=PUBLIC, answer=Response)
_PUBLIC = V1 + "/public"
ROUTES = (
    _row("GET", V1 + "/authorities", list_authorities, READER, narrowed=True),
    _row("GET", V1 + "/service-authorities", list_service_authorities, READER),
    _row("POST", V1 + "/service-authorities/renew", renew_authority, ADMINISTRATOR),
    _public("GET", _PUBLIC + "/root.pem", service_root),
    _public("GET", _PUBLIC + "/crl/{authority}.crl", revocation_list),
    _public("GET", _PUBLIC + "/catalogs/{catalog_id}/crl.pem", revocation_lists),
    _public("GET", _PUBLIC + "/catalogs/{catalog_id}/chain.pem", authority_chain),
)

# SPDX-License-Identifier: Apache-2.0
"""What the key of an authority signed: certificates of authorities, servers, signers and devices; revocation lists."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from cryptography import x509
from sqlalchemy import Connection

from armillary.engines.records.queries import certificates as certificate_rows, revocations as revocation_rows
from armillary.engines.records.queries.certificates import CertificateRecord
from armillary.engines.records.queries.security import traces as rows
from armillary.service.authority.life import signed_by
from armillary.service.context.chips import Chips
from armillary.service.tracing.use import Use

# Kind of an authority -> kinds of certificates that its key signs. Device identities (of silicon authorities) and
# 24-hour client certificates (of issuing authorities) are too many to be read one by one: see below.
BELOW: Final[Mapping[str, tuple[str, ...]]] = {
    "root": ("root-voucher", "policy", "os-signing", "image-signing", "server"),
    "policy": ("catalog",),
    "catalog": ("issuing",),
}
AUTHORITIES: Final = (*BELOW, "silicon", "issuing")


def uses_of_authority(
    connection: Connection, record: CertificateRecord, chips: Chips, *, limit: int
) -> tuple[dict[str, list[Use]], dict[str, int]]:
    """What an authority signed, by kind of use, each ``limit`` at most and the newest; how many there are of each."""
    found: dict[str, list[Use]] = {}
    counts: dict[str, int] = {}
    below = [one for kind in BELOW.get(record.kind, ()) for one in _of_kind(connection, kind, record)]
    signed = [one for one in below if signed_by(x509.load_der_x509_certificate(one.der), record.der)]
    found["certificate"] = [
        Use("certificate", f"{one.kind} {one.subject}", one.serial, one.issued_at) for one in signed
    ]
    if record.kind == "silicon":
        made = [name for name in chips.names if chips.get(name).maker == record.subject]
        newest = rows.identities_until(connection, record.not_after, made, limit=limit)
        found["device"] = [Use("device", one.device_id[:12], one.device_id, one.issued_at) for one in newest]
        counts["device"] = rows.count_identities_until(connection, record.not_after, made)
    if record.kind == "issuing" and record.catalog_id is not None:
        name = rows.catalog_name(connection, record.catalog_id)
        said = f"{name}: client certificates of 24 hours, which armillary trace device lists"
        found["catalog"] = [Use("catalog", said, str(record.catalog_id), record.issued_at)]
    issued = revocation_rows.newest(connection, record.serial)
    if issued is not None:
        newest_list = Use("revocation list", f"number {issued.number}, the newest", record.serial, issued.this_update)
        found["revocation list"] = [newest_list]
    return found, {what: len(uses) for what, uses in found.items() if uses} | counts


def _of_kind(connection: Connection, kind: str, above: CertificateRecord) -> Iterable[CertificateRecord]:
    if kind == "issuing":
        if above.catalog_id is None:
            return ()
        return certificate_rows.of_catalog(connection, above.catalog_id, kinds=(kind,))
    return certificate_rows.of_kind(connection, kind)

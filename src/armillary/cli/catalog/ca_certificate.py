# SPDX-License-Identifier: Apache-2.0
"""``armillary ca-certificate``: certificates of a catalog's certificate authority."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Annotated, Any

import typer

from armillary.cli.terminal.files import write_file
from armillary.cli.terminal.output import Shown, counted, note, noun, table
from armillary.cli.terminal.remote import RemoteService, remote_command, segment
from armillary.cli.terminal.remote_names import (
    DEFAULT_RESOURCE_GROUP,
    CatalogOption,
    CatalogPath,
    OutputFileOption,
    ResourceGroupOption,
    catalog_name,
    catalog_path,
    resource_row,
)
from armillary.errors import NotFoundError
from armillary.wire.encoding.pem import armour

app = noun("Certificates of a catalog's certificate authority.")

COLUMNS = ("name", "status", "notBeforeUtc", "expiryUtc", "thumbprint", "subject")

SerialOption = Annotated[
    str, typer.Option("--name", "--certificate", "-n", metavar="SERIAL", help="Serial number; .default is the active.")
]


def _pem(encoded: str) -> bytes:
    return armour("CERTIFICATE", base64.b64decode(encoded))


def _wants_pem(file: Path) -> bool:
    return str(file) == "-" or file.suffix.lower() == ".pem"


def _authorities(remote: RemoteService, catalog: str | None) -> list[dict[str, Any]]:
    """A catalog's living authorities and all above them, leaves first."""
    found: list[dict[str, Any]] = remote.get("/authorities", catalog=catalog_name(remote, catalog))["items"]
    return found


@remote_command(app, "list")
def list_certificates(remote: RemoteService, base: CatalogPath) -> Shown:
    """List the certificates of a catalog."""
    found = remote.management.pages(f"{base}/certificates")
    return table(found, COLUMNS, row=resource_row, empty="The catalog has no certificate.")


@remote_command(app, "download")
def download(
    remote: RemoteService, *, output_file: OutputFileOption, name: SerialOption = ".default", base: CatalogPath
) -> None:
    """Write a certificate.

    PEM for a file that ends in .pem, DER for any other.
    """
    path = f"{base}/certificates/{segment(name)}"
    found = remote.management.call("GET", path)
    encoded = str(found["properties"]["certificate"])
    write_file(output_file, _pem(encoded) if _wants_pem(output_file) else base64.b64decode(encoded))
    note(f"certificate {found['name']} is written to {output_file}")


@remote_command(app, "download-chain")
def download_chain(
    remote: RemoteService,
    output_file: OutputFileOption,
    name: SerialOption = ".default",
    catalog: CatalogOption = None,
    resource_group: ResourceGroupOption = DEFAULT_RESOURCE_GROUP,
) -> None:
    """Write a certificate with its chain as PKCS #7 (.p7b).

    A file that ends in .pem gets every living authority of the catalog and all above them, for servers such as nginx
    that trust a catalog's devices (ssl_client_certificate).
    """
    if _wants_pem(output_file):
        bundle = _authorities(remote, catalog)
        write_file(output_file, b"".join(_pem(one["certificate"]) for one in bundle))
        note(f"{counted(len(bundle), 'authority', 'authorities')} written to {output_file}")
        return
    path = f"{catalog_path(remote, catalog, resource_group)}/certificates/{segment(name)}/retrieveCertChain"
    write_file(output_file, base64.b64decode(remote.management.call("POST", path)["certificateChain"]))
    note(f"the chain is written to {output_file}")


@remote_command(app, "crl")
def crl(
    remote: RemoteService,
    output_file: OutputFileOption,
    authority: Annotated[
        str | None,
        typer.Option("--authority", metavar="SERIAL", help="Only the list of this authority: DER unless .pem."),
    ] = None,
    catalog: CatalogOption = None,
) -> None:
    """Write a catalog's revocation lists.

    Those of its authorities and of all above them, in one PEM file as nginx (ssl_crl) and "openssl verify
    -crl_check_all" read it. It is good for a day: fetch it again every hour, by this command or from the public address
    /api/v1/public/catalogs/CATALOG-ID/crl.pem.
    """
    found = _authorities(remote, catalog)
    if authority is not None:
        found = [one for one in found if one["serial"] == authority.upper()]
        if not found:
            raise NotFoundError(
                f"the catalog has no living authority {authority!r:.60}",
                remedy="Leave --authority out for all of them.",
            )
    lists = [base64.b64decode(one["revocation_list"]) for one in found]
    as_der = authority is not None and not _wants_pem(output_file)
    write_file(output_file, b"".join(lists if as_der else [armour("X509 CRL", der) for der in lists]))
    note(f"{counted(len(lists), 'revocation list')} written to {output_file}")


@remote_command(app, "download-proof")
def download_proof(
    remote: RemoteService,
    *,
    output_file: OutputFileOption,
    verification_code: Annotated[
        str, typer.Option("--verification-code", metavar="CODE", help="What the other side asked to have signed.")
    ],
    name: SerialOption = ".default",
    base: CatalogPath,
) -> None:
    """Write a certificate that proves possession of the key."""
    path = f"{base}/certificates/{segment(name)}/retrieveProofOfPossessionNonce"
    proof = remote.management.call("POST", path, {"proofOfPossessionNonce": verification_code})
    encoded = str(proof["certificate"])
    write_file(output_file, _pem(encoded) if _wants_pem(output_file) else base64.b64decode(encoded))
    note(f"the proof is written to {output_file}")

# SPDX-License-Identifier: Apache-2.0
"""``armillary ca-certificate``: certificates of a catalog's certificate authority."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Annotated, Any

import typer

from armillary.cli.output import JsonOption, note, print_table
from armillary.cli.remote import RemoteService, remote_command, segment, write_file
from armillary.cli.remote_names import (
    DEFAULT_RESOURCE_GROUP,
    CatalogOption,
    ResourceGroupOption,
    catalog_path,
    resource_row,
)

app = typer.Typer(
    no_args_is_help=True,
    help="Certificates of a catalog's certificate authority.",
    rich_markup_mode=None,
    add_completion=False,
)

COLUMNS = ("name", "status", "notBeforeUtc", "expiryUtc", "thumbprint", "subject")
PEM_COLUMNS = 64

SerialOption = Annotated[
    str, typer.Option("--name", "--certificate", "-n", metavar="SERIAL", help="Serial number; .default is the active.")
]
OutputOption = Annotated[Path, typer.Option("--output-file", metavar="FILE", help="File to write; - is stdout.")]


def _pem(encoded: str) -> bytes:
    body = "\n".join(encoded[i : i + PEM_COLUMNS] for i in range(0, len(encoded), PEM_COLUMNS))
    return f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n".encode()


def _row(certificate: dict[str, Any]) -> dict[str, Any]:
    return resource_row(certificate)


@remote_command(app, "list")
def list_certificates(
    remote: RemoteService,
    catalog: CatalogOption = None,
    resource_group: ResourceGroupOption = DEFAULT_RESOURCE_GROUP,
    as_json: JsonOption = False,
) -> None:
    """List the certificates of a catalog."""
    found = list(remote.azure_pages(f"{catalog_path(remote, catalog, resource_group)}/certificates"))
    rows = found if as_json else [_row(certificate) for certificate in found]
    print_table(rows, COLUMNS, as_json=as_json, empty="The catalog has no certificate.")


@remote_command(app, "download")
def download(
    remote: RemoteService,
    output_file: OutputOption,
    name: SerialOption = ".default",
    catalog: CatalogOption = None,
    resource_group: ResourceGroupOption = DEFAULT_RESOURCE_GROUP,
) -> None:
    """Write a certificate.

    PEM for a file that ends in .pem, DER for any other.
    """
    path = f"{catalog_path(remote, catalog, resource_group)}/certificates/{segment(name)}"
    found = remote.azure("GET", path)
    encoded = str(found["properties"]["certificate"])
    as_pem = str(output_file) == "-" or output_file.suffix.lower() == ".pem"
    write_file(output_file, _pem(encoded) if as_pem else base64.b64decode(encoded))
    note(f"certificate {found['name']} is written to {output_file}")


@remote_command(app, "download-chain")
def download_chain(
    remote: RemoteService,
    output_file: OutputOption,
    name: SerialOption = ".default",
    catalog: CatalogOption = None,
    resource_group: ResourceGroupOption = DEFAULT_RESOURCE_GROUP,
) -> None:
    """Write a certificate with its chain as PKCS #7 (.p7b)."""
    path = f"{catalog_path(remote, catalog, resource_group)}/certificates/{segment(name)}/retrieveCertChain"
    write_file(output_file, base64.b64decode(remote.azure("POST", path)["certificateChain"]))
    note(f"the chain is written to {output_file}")


@remote_command(app, "download-proof")
def download_proof(
    remote: RemoteService,
    output_file: OutputOption,
    verification_code: Annotated[
        str, typer.Option("--verification-code", metavar="CODE", help="What the other side asked to have signed.")
    ],
    name: SerialOption = ".default",
    catalog: CatalogOption = None,
    resource_group: ResourceGroupOption = DEFAULT_RESOURCE_GROUP,
) -> None:
    """Write a certificate that proves possession of the key."""
    base = catalog_path(remote, catalog, resource_group)
    path = f"{base}/certificates/{segment(name)}/retrieveProofOfPossessionNonce"
    proof = remote.azure("POST", path, {"proofOfPossessionNonce": verification_code})
    encoded = str(proof["certificate"])
    as_pem = str(output_file) == "-" or output_file.suffix.lower() == ".pem"
    write_file(output_file, _pem(encoded) if as_pem else base64.b64decode(encoded))
    note(f"the proof is written to {output_file}")

# SPDX-License-Identifier: Apache-2.0
"""``armillary guardian probe opc-ua``: what a server with OPC UA offers, and which variables a trusted one has."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from armillary.cli.guardian.trial import link_folder
from armillary.cli.terminal.files import write_file
from armillary.cli.terminal.json_option import JsonOption
from armillary.cli.terminal.output import Shown, noun, table
from armillary.errors import InvalidArgumentError
from armillary.guard.discovery.drafting_values import draft_of_values
from armillary.wire.equipment.profile import OpcUa

if TYPE_CHECKING:
    from armillary.engines.equipment.opcua_discovery import VariableFound

verbs = noun()

ENDPOINT_COLUMNS = ("policy", "mode", "usable", "sha256", "subject", "ends")
VARIABLE_COLUMNS = ("node", "name", "kind", "value", "status")


@verbs.command("opc-ua")
def opc_ua(
    url: Annotated[str, typer.Argument(metavar="URL", help="opc.tcp://HOST:PORT")],
    certificate: Annotated[
        str | None,
        typer.Option("--certificate", metavar="SHA256", help="Of the server, as the machine shows it: list variables."),
    ] = None,
    policy: Annotated[str, typer.Option("--policy", metavar="NAME", help="Of the encryption.")] = "Basic256Sha256",
    rate: Annotated[
        float, typer.Option("--rate", min=0.1, max=1000, metavar="N", help="At most so many requests a second.")
    ] = 20.0,
    timeout: Annotated[
        float, typer.Option("--timeout", min=0.01, max=60, metavar="SECONDS", help="How long an answer may take.")
    ] = 2.0,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="DIR", help="Keeps the certificate that the server is to trust.")
    ] = None,
    profile: Annotated[
        Path | None, typer.Option("--profile", metavar="FILE", help="Write a draft of a profile; with --certificate.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a server offers, and its variables with --certificate.

    What it offers is unverified: compare the certificate with what the machine itself shows before you name it.
    """
    if profile is not None and certificate is None:
        raise InvalidArgumentError("--profile needs --certificate", remedy="Name the server's certificate.")
    from armillary.engines.equipment.opening import library  # noqa: PLC0415 - no other command needs links

    with library("asyncua"):
        from armillary.engines.equipment.opcua_discovery import endpoints, variables  # noqa: PLC0415
    pin = (certificate or "").replace(":", "").lower()  # As openssl and many machines show it
    settings = OpcUa(url=url, policy=policy, server_certificate_sha256=pin, timeout_s=timeout)
    rows = [asdict(each) for each in asyncio.run(endpoints(settings))]
    offered = table(rows, ENDPOINT_COLUMNS, empty="It offers nothing.")
    if not pin:
        found: list[VariableFound] = []
        notes = ["Nothing of this is verified: compare the SHA-256 with the machine's own, then name it: --certificate"]
    else:
        with link_folder(data) as folder:
            found = asyncio.run(variables(settings, folder, rate))
        notes = [f"{len(found)} variables; none was written."]
    if profile is not None:
        _write_draft(profile, settings, found)
        notes.append(f"A draft is in {profile}. Next: armillary guardian profile check {profile}")
    listed = [asdict(each) for each in found]
    document = Shown({"url": url, "endpoints": rows, "variables": listed if pin else None})
    below = table(listed, VARIABLE_COLUMNS, empty="It shows no variables.") if pin else None
    document.then(offered, "", below, *notes).show(as_json=as_json)


def _write_draft(profile: Path, settings: OpcUa, found: Sequence[VariableFound]) -> None:
    link = {
        "protocol": "opc-ua",
        "url": settings.url,
        "policy": settings.policy,
        "server_certificate_sha256": settings.server_certificate_sha256,
        "timeout_s": settings.timeout_s,
    }
    drafted = [each.drafted for each in found if each.drafted is not None]
    write_file(profile, draft_of_values(link, drafted).encode())

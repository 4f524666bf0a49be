# SPDX-License-Identifier: Apache-2.0
"""``armillary trace``: all that is known of one device, key, product or advisory, as one answer with its proof."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from armillary.cli.security.advisory import IdArgument, shown as shown_advisory
from armillary.cli.terminal.device_reference import DeviceOption
from armillary.cli.terminal.files import write_file
from armillary.cli.terminal.output import Shown, noun, record, table
from armillary.cli.terminal.readable import readable, readable_of
from armillary.cli.terminal.remote import RemoteService, remote_command, segment
from armillary.cli.terminal.remote_names import CatalogOption, OnlyCatalogOption, ProductOption, in_catalog
from armillary.cli.terminal.short_ids import resolve_ids
from armillary.cli.terminal.together import Together
from armillary.errors import InvalidArgumentError
from armillary.wire.image.naming import label_of

app = noun("Traces: all that is known of a device, a key, a product or an advisory, with what proves it.")

SerialOption = Annotated[
    str | None, typer.Option("--serial", metavar="HEX", help="Serial of a certificate that the service issued.")
]
KeyIdOption = Annotated[
    str | None,
    typer.Option("--key-id", metavar="HEX", help="Key that signs the repository: release keys show has its id."),
]


def _asked(_: RemoteService, *, audit: bool, proof: Path | None) -> tuple[bool, Path | None]:
    return audit, proof


# What a trace shows besides: its audit lines, for people too; and a file with what proves them.
Evidence = Annotated[
    tuple[bool, Path | None],
    Together(
        {
            "audit": (
                Annotated[bool, typer.Option("--audit", help="Show the audit lines too; --json always has them.")],
                False,
            ),
            "proof": (
                Annotated[
                    Path | None,
                    typer.Option(
                        "--proof", metavar="FILE", help="Write the proof of the audit lines: armillary audit verify."
                    ),
                ],
                None,
            ),
        },
        _asked,
    ),
]
_LINES = ("number", "at", "actor", "operation", "target")
_GROUP = ("name", "devices", "country", "os_feed", "update_policy", "deployment_id")
_KEY = ("kind", "subject", "state", "not_after", "serial")
_RUNS = ("kind", "name", "devices", "advisory_state", "components", "id")
_CASE = ("case_id", "kind", "title", "closed_at")
_REPORT = ("reference", "state", "received_at")
_ADVISORY = ("advisory_id", "devices", "exploited", "stale", "summary")
_CERTIFICATE = ("serial", "kind", "subject", "not_before", "not_after", "revoked_at")


@remote_command(app, "device")
def device(remote: RemoteService, device: DeviceOption, evidence: Evidence) -> Shown:
    """Tell a device's life, from the factory run to now.

    Operations, boots, certificates, updates, failures and findings in the order of time; --json has audit lines too.
    """
    found = remote.get(f"/devices/{segment(device)}/trace")
    cut = f"Of {', '.join(found['cut'])} only the newest 1,000 were read." if found["cut"] else None
    columns = ("at", "kind", "says", "record")
    shown = table(found["events"], columns, empty="Nothing is known of it.", row=readable_of(*columns))
    return _with_evidence(remote, Shown(found, shown.print_text).then(cut), found["audit"], evidence)


@remote_command(app, "key")
def key(remote: RemoteService, evidence: Evidence, serial: SerialOption = None, key_id: KeyIdOption = None) -> Shown:
    """Say what a key has signed, by whom, until when, and whose it is."""
    if (serial is None) == (key_id is None):
        raise typer.BadParameter("expected --serial or --key-id, and one of them only")
    if key_id is not None:
        return _repository_key(remote, key_id, evidence)
    found = remote.get(f"/certificates/{segment(serial or '')}/trace")
    columns = ("at", "what", "name", "by", "record")
    uses = table(
        found["uses"], columns, empty="Its key has signed nothing that is recorded.", row=readable_of(*columns)
    )
    head = record({**found["certificate"], **_signing(found)}, row=lambda row: readable(_named(row, found)))
    return _with_evidence(remote, Shown(found, head.print_text).then("", uses), found["audit"], evidence)


def _repository_key(remote: RemoteService, key_id: str, evidence: tuple[bool, Path | None]) -> Shown:
    def listed() -> Iterable[tuple[str, str]]:
        return ((key["key_id"], role["role"]) for role in remote.get("/repository")["roles"] for key in role["keys"])

    meant = resolve_ids([key_id], lambda: dict(listed()).items(), "key", lists="armillary release keys show")[0]
    found = remote.get(f"/repository/keys/{segment(meant)}/trace")
    facts = {name: found[name] for name in ("key_id", "roles", "is_online", "until_root")}
    signed = ", ".join(f"{each['role']} {each['version']}" for each in found["signed"])
    roots = table(found["roots"], ("version", "roles", "is_signer", "expires"), empty="No root names it.")
    shown = record({**facts, "signed_in_force": signed}, row=readable).then("", "Versions of root", roots)
    return _with_evidence(remote, replace(shown, found=found), found["audit"], evidence)


def _signing(found: Mapping[str, Any]) -> dict[str, Any]:
    """From when until when a key signs what devices install; nothing of other keys."""
    period = found["period"]
    return {} if period is None else {f"signs_{name}": period[name] for name in ("since", "until")}


def _named(row: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    times = {f"{name}_at": row[name] for name in _signing(found)}
    return {name: row[name] for name in _CERTIFICATE} | times | {"uses": dict(found["counts"])}


@remote_command(app, "product")
def product(remote: RemoteService, product: ProductOption, evidence: Evidence, catalog: CatalogOption = None) -> Shown:
    """Tell what a product is made of, and what is known against it.

    Keys, certificates in force, releases, images, components, open advisories, device groups. --json has all of it.
    """
    found = remote.get(f"{in_catalog(remote, catalog, 'products', product)}/trace")
    head = record(_summary(found))
    shown = Shown(found, head.print_text)
    for title, part in (
        ("Device groups", table(found["groups"], _GROUP, empty="It has no device group.")),
        ("Keys", table(found["keys"], _KEY, empty="No key.", row=readable_of(*_KEY))),
        (
            "Releases and images",
            table(
                [*found["releases"], *({**each, "name": label_of(each)} for each in found["images"])],
                _RUNS,
                empty="None runs or is deployed.",
            ),
        ),
        ("Cases", table(found["cases"], _CASE, empty="None.", row=readable_of(*_CASE))),
        ("Vulnerability reports", table(found["reports"], _REPORT, empty="None.", row=readable_of(*_REPORT))),
        ("Open advisories", table(found["advisories"], _ADVISORY, empty=_without_advisories(found), row=_advisory_row)),
    ):
        shown = shown.then("", title, part)
    cut = f"Of {', '.join(found['cut'])} there are more than are shown." if found["cut"] else None
    return _with_evidence(remote, shown.then(cut), found["audit"], evidence)


def _summary(found: Mapping[str, Any]) -> dict[str, Any]:
    about, certificates = found["product"], found["certificates"]
    return readable(
        {
            "product": f"{about['catalog']}/{about['name']}",
            "support": about["support"],
            **{name: about[name] for name in ("support_ends", "placed_on_market", "manufacturer", "contact")},
            "devices": found["devices"]["count"],
            "certificates_in_force": certificates["in_force"],
            "next_end_at": certificates["next_end"],
            "components": len(found["components"]),
            "advisories": len(found["advisories"]),
            "advisory_states": found["coverage"],
        }
    )


def _without_advisories(found: Mapping[str, Any]) -> str:
    """What no open advisory means: nothing, where anything of it is unknown."""
    good = set(found["coverage"]) == {"none-known"}
    return "None is known." if good else "None is known, and not everything could be judged: see advisory_states."


def _advisory_row(row: Mapping[str, Any]) -> dict[str, Any]:
    exploited = "yes" if row["exploited_since"] is not None else "no" if row["exploitation_known"] else "unknown"
    return {**row, "summary": row["summary"][:60], "exploited": exploited}


def _with_evidence(
    remote: RemoteService, shown: Shown, lines: Sequence[Mapping[str, Any]], asked: tuple[bool, Path | None]
) -> Shown:
    audit, proof = asked
    if proof is not None:
        if not lines:
            raise InvalidArgumentError(
                "--proof: there is no audit line of it that this token may read",
                remedy="Use a token of the whole service: the audit log is of all catalogs.",
            )
        made = remote.post("/logs/audit/proof", {"numbers": [line["number"] for line in lines]})
        write_file(proof, json.dumps(made, indent=1).encode() + b"\n")  # as the service spells it: wire/transparency
        shown = shown.then(f"the proof of {len(made['entries'])} audit lines is in {proof}")
    if not audit:
        return shown
    text = table(lines, _LINES, empty="Audit lines are shown to who sees all catalogs.", row=readable_of(*_LINES))
    return replace(shown.then("", text), found=shown.found)


@remote_command(app, "advisory")
def advisory(
    remote: RemoteService,
    advisory: IdArgument,
    catalog: OnlyCatalogOption = None,
    proof: Annotated[
        Path | None, typer.Option("--proof", metavar="FILE", help="Write the proof of the audit lines there.")
    ] = None,
) -> Shown:
    """Say whom an advisory affects, and how much is patched.

    Images, releases, devices, catalogs, member states, fixed versions and the curve.

    Audit lines are those of the imports that it is known from; with --catalog there are none, as they are not a
    catalog's.
    """
    found = remote.get(f"/advisories/{segment(advisory)}", catalog=catalog, audit="true")
    return _with_evidence(remote, shown_advisory(found), found.get("audit", []), (True, proof))

# SPDX-License-Identifier: Apache-2.0
"""``armillary attestation-policy``: what a catalog demands of its devices beyond a good boot."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from armillary.cli.service import firmware_reference
from armillary.cli.terminal.output import Shown, noun, record, table
from armillary.cli.terminal.readable import readable
from armillary.cli.terminal.remote import RemoteService, remote_command
from armillary.cli.terminal.remote_names import CatalogOption, YesOption, catalog_name, confirm, in_catalog
from armillary.cli.terminal.times import moment
from armillary.errors import InvalidArgumentError

app = noun("What a catalog demands of its devices beyond a good boot.")

VERSION_COLUMNS = (
    "version", "changed_at", "changed_by", "minimum_tier", "chips", "minimum_security_versions", "older_releases_until",
    "maximum_release_age_days", "firmware_log", "mechanisms",
)  # fmt: skip
NO_END = "no-end"
NO_MECHANISM = "none"

MechanismOption = Annotated[
    list[str] | None,
    typer.Option(
        "--mechanism",
        metavar="NAME",
        help=f"What has to contain applications, as a device's page names it; repeatable. Or {NO_MECHANISM}.",
    ),
]
# Trust tiers, rising.
Tier = Literal["simulated", "software", "tpm", "silicon"]


@remote_command(app, "show")
def show(
    remote: RemoteService,
    catalog: CatalogOption = None,
    versions: Annotated[bool, typer.Option("--versions", help="Show every version it had, newest first.")] = False,
) -> Shown:
    """Show what a catalog demands."""
    path = in_catalog(remote, catalog, "attestation-policy")
    if versions:
        found = remote.get(f"{path}/versions")["items"]
        empty = "No policy was ever set: the catalog demands nothing."
        return table(found, VERSION_COLUMNS, row=_row, empty=empty)
    return _demands(remote.get(path))


@remote_command(app, "set")
def set_policy(
    remote: RemoteService,
    catalog: CatalogOption = None,
    minimum_tier: Annotated[
        Tier | None, typer.Option("--minimum-tier", help="Lowest trust tier a device must have.")
    ] = None,
    chips: Annotated[
        list[str] | None, typer.Option("--chip", metavar="NAME", help="Accepted chip profile; repeatable.")
    ] = None,
    any_chip: Annotated[bool, typer.Option("--any-chip", help="Accept every chip again.")] = False,
    minimum_versions: Annotated[
        list[str] | None,
        typer.Option(
            "--minimum-security-version",
            metavar="TYPE=N",
            help="Lowest security version of an image type; repeatable. It never falls again.",
        ),
    ] = None,
    older_until: Annotated[
        str | None,
        typer.Option(
            "--older-releases-until",
            metavar="TIME",
            help=f"Until when a release is good although its chip has a newer one: a date, now, or {NO_END}.",
        ),
    ] = None,
    maximum_age: Annotated[
        str | None,
        typer.Option(
            "--maximum-release-age",
            metavar="DAYS",
            help=f"For how many days after its publication a release is good, or {NO_END}.",
        ),
    ] = None,
    firmware_log: Annotated[
        bool | None,
        typer.Option(
            "--firmware-log/--no-firmware-log", help="Whether devices have to send the log of their machine's firmware."
        ),
    ] = None,
    mechanisms: MechanismOption = None,
    if_version: Annotated[
        int | None, typer.Option("--if-version", min=0, metavar="N", help="Refuse the change if another version holds.")
    ] = None,
    yes: YesOption = False,
) -> Shown:
    """Change what a catalog demands.

    Takes effect at each device's next check-in. What is not named stays as it is.
    """
    change: dict[str, Any] = {}
    if minimum_tier is not None:
        change["minimum_tier"] = minimum_tier
    if chips and any_chip:
        raise InvalidArgumentError("--chip and --any-chip contradict each other", remedy="Give one of them.")
    if chips or any_chip:
        change["chips"] = chips or []
    if minimum_versions:
        change["minimum_security_versions"] = dict(_pair(text) for text in minimum_versions)
    if older_until is not None:
        change["older_releases_until"] = (
            None if older_until == NO_END else moment("--older-releases-until", older_until)
        )
    if maximum_age is not None:
        change["maximum_release_age_days"] = None if maximum_age == NO_END else _days(maximum_age)
    if firmware_log is not None:
        change["firmware_log"] = firmware_log
    change |= _containment(mechanisms or [])
    if not change:
        raise InvalidArgumentError("nothing to change", remedy="armillary attestation-policy set --help lists demands.")
    name = catalog_name(remote, catalog)
    confirm(f"Change what catalog {name} demands? Devices that lack it get only updates.", yes=yes)
    if if_version is not None:
        change["if_version"] = if_version
    return _demands(remote.patch(in_catalog(remote, name, "attestation-policy"), change))


app.add_typer(firmware_reference.firmware, name="firmware")


def _demands(policy: dict[str, Any]) -> Shown:
    never = "No policy was ever set: the catalog demands nothing."
    return record(policy, row=_row).then(never if policy["version"] == 0 else None)


def _row(policy: dict[str, Any]) -> dict[str, Any]:
    until = policy["older_releases_until"]
    return {
        **readable({**policy, "older_releases_until": None}),
        "chips": policy["chips"] or "any",
        "mechanisms": policy["mechanisms"] or None,
        "minimum_security_versions": [f"{kind}={n}" for kind, n in policy["minimum_security_versions"].items()] or None,
        "older_releases_until": NO_END if until is None else readable({"at": until})["at"],
        "maximum_release_age_days": policy["maximum_release_age_days"] or NO_END,
    }


def _containment(names: list[str]) -> dict[str, Any]:
    if NO_MECHANISM in names and len(names) > 1:
        raise InvalidArgumentError(
            f"--mechanism: {NO_MECHANISM} and names contradict each other", remedy="Give one or the other."
        )
    return {"mechanisms": [] if names == [NO_MECHANISM] else names} if names else {}


def _pair(text: str) -> tuple[str, int]:
    kind, equals, version = text.partition("=")
    if not (kind.isascii() and kind.isdecimal() and equals and version.isascii() and version.isdecimal()):
        raise InvalidArgumentError(
            f"--minimum-security-version: expected TYPE=N, got {text!r:.60}",
            remedy="Write 17=2; armillary release show prints each component's image type.",
        )
    return kind, int(version)


def _days(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise InvalidArgumentError(
            f"--maximum-release-age: expected a number of days or {NO_END}, got {text!r:.60}", remedy="Write 180."
        )
    return int(text)

# SPDX-License-Identifier: Apache-2.0
"""What the verbs of ``armillary release`` share: their options, and how a release is shown."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from armillary.cli.terminal.output import Shown, only, record, table
from armillary.cli.terminal.readable import readable

ReleaseOption = Annotated[str, typer.Option("--release", metavar="ID", help="Release id.")]

COLUMNS = ("release_id", "chip", "version", "feed", "created_at", "state")
PART_COLUMNS = ("name", "image_type", "security_version", "size", "digest")


def whole(release: dict[str, Any]) -> Shown:
    """A release and its components."""
    components = table(release["components"], PART_COLUMNS, empty="The release has no components.")
    return record(release, row=lambda found: only(*COLUMNS)(row(found))).then("", components)


def row(release: dict[str, Any]) -> dict[str, Any]:
    """A release for people, with its state in words."""
    shown = readable(release)
    if release["withdrawn_at"] is not None:
        state = f"withdrawn {shown['withdrawn_at']}: {release['withdrawn_reason']}"
    elif release["published_at"] is None:
        state = "draft, signed" if release["signed_at"] is not None else "draft, not signed"
    elif release["expires_at"] is not None:
        state = f"good until {shown['expires_at']}"
    else:
        state = "good"
    return {**shown, "state": state if release["imported_from"] is None else f"{state}; imported"}

# SPDX-License-Identifier: Apache-2.0
"""What the verbs of ``armillary release`` share: their options, and how a release is shown."""

from __future__ import annotations

import time
from typing import Annotated, Any
from uuid import UUID

import typer

from armillary.cli.terminal.output import Shown, note, only, record, table
from armillary.cli.terminal.readable import readable
from armillary.cli.terminal.remote import RemoteService, segment
from armillary.errors import InvalidArgumentError, NotFoundError

ReleaseOption = Annotated[
    str, typer.Option("--release", metavar="ID", help="Release id, or CHIP/VERSION such as mt3620/26.11.")
]
AllowOlderOption = Annotated[
    bool, typer.Option("--allow-older", help="Also where devices of the feed are given a newer one now.")
]

COLUMNS = ("release_id", "chip", "version", "feed", "created_at", "state")
PART_COLUMNS = ("name", "image_type", "security_version", "size", "digest")


def path_of(remote: RemoteService, name: str) -> str:
    """The path of a release in the API, by its id or ``CHIP/VERSION``.

    Raises:
        InvalidArgumentError: it is neither.
        NotFoundError: the chip has no release of this version.
    """
    chip, slash, version = name.partition("/")
    if slash:
        releases = remote.pages("/releases", chip=chip)
        found = next((str(one["release_id"]) for one in releases if one["version"] == version), None)
        if found is None:
            raise NotFoundError(f"{chip} has no release {version}", remedy="List them: armillary release list.")
        return f"/releases/{found}"
    try:
        return f"/releases/{segment(str(UUID(name)))}"
    except ValueError as error:
        raise InvalidArgumentError(
            f"release: expected its id, or CHIP/VERSION such as mt3620/26.11, got {name!r:.60}",
            remedy="List them: armillary release list.",
        ) from error


def whole(release: dict[str, Any]) -> Shown:
    """A release and its components."""
    components = table(release["components"], PART_COLUMNS, empty="The release has no components.")
    return record(release, row=lambda found: only(*COLUMNS)(row(found))).then("", components)


def row(release: dict[str, Any]) -> dict[str, Any]:
    """A release for people, with its state in words; first what keeps a device that boots it out."""
    shown = readable(release)
    if release["withdrawn_at"] is not None:
        state = f"withdrawn {shown['withdrawn_at']}: {release['withdrawn_reason']}"
    elif release["published_at"] is None:
        state = "draft, signed" if release["signed_at"] is not None else "draft, not signed"
    elif release.get("is_below_floor"):
        state = "below the security floor"
    elif release["expires_at"] is not None and release["expires_at"] <= time.time():
        state = f"expired {shown['expires_at']}"
    elif release.get("is_passed_over"):
        state = "stand-in, given to nobody"
    elif release["expires_at"] is not None:
        state = f"good until {shown['expires_at']}"
    else:
        state = "good"
    return {**shown, "state": state if release["imported_from"] is None else f"{state}; imported"}


def note_first_real(remote: RemoteService, release: dict[str, Any]) -> None:
    """Say what the first release of real packages does to its chip's stand-ins, where this one is that."""
    if release.get("is_stand_in", True):  # a service of before does not say, and ends none
        return
    others = [
        one for one in remote.pages("/releases", chip=release["chip"]) if one["release_id"] != release["release_id"]
    ]
    published = [one for one in others if one["published_at"] is not None and one["imported_from"] is None]
    stand_ins = [one for one in published if one["is_stand_in"]]
    if not stand_ins or len(stand_ins) < len(published):
        return
    begin = "Once it is published" if release["published_at"] is None else "From now on"
    note(
        f"{begin} the stand-ins of {release['chip']} are given to nobody, for good: a feed that does not get "
        f"{release['version']} gives nothing until a release is promoted to it or published there."
    )

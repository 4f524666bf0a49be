# SPDX-License-Identifier: Apache-2.0
"""``armillary disclosure``: how strangers are asked to report vulnerabilities."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final, Literal

import typer

from armillary.cli.terminal.files import read_file
from armillary.cli.terminal.output import Shown, note, noun, record
from armillary.cli.terminal.readable import readable
from armillary.cli.terminal.remote import RemoteService, remote_command
from armillary.cli.terminal.remote_names import YesOption, confirm
from armillary.cli.terminal.together import Together
from armillary.errors import InvalidArgumentError

app = noun("How strangers report vulnerabilities: security.txt, the page for it, the published times.")

MAX_FILE_BYTES: Final = 32 << 10
_FIELDS: Final = (
    "is_published", "is_open", "contacts", "policy", "languages", "encryption", "acknowledgments", "hiring", "csaf",
    "canonical", "base_url", "acknowledge_days", "status_days", "signed_until_at", "reports", "refused",
)  # fmt: skip
# Option -> field, of those that take URIs; each may be repeated.
_URIS: Final = {
    "contact": "contacts",
    "policy": "policy",
    "encryption": "encryption",
    "acknowledgments": "acknowledgments",
    "hiring": "hiring",
    "csaf": "csaf",
    "canonical": "canonical",
}


def _uris(option: str, text: str) -> Any:
    return Annotated[
        list[str] | None, typer.Option(f"--{option}", metavar="URI", help=f"{text}; repeatable, '' for none.")
    ]


def _changes(_: RemoteService, **given: Any) -> dict[str, Any]:
    found: dict[str, Any] = {
        field: [each for each in given[option] if each] for option, field in _URIS.items() if given[option] is not None
    }
    if given["languages"] is not None:
        found["languages"] = [each.strip() for each in given["languages"].split(",") if each.strip()]
    if given["intake"] is not None:
        found["is_open"] = given["intake"] == "on"
    for option in ("base_url", "acknowledge_days", "status_days"):
        if given[option] is not None:
            found[option] = given[option]
    signed: str | None = given["signed_file"]
    if signed is not None:
        found["signed_file"] = _text(Path(signed)) if signed else ""
    return found


def _text(path: Path) -> str:
    try:
        return read_file(path, limit=MAX_FILE_BYTES).decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidArgumentError(f"{path}: expected UTF-8", remedy="Give a security.txt.") from error


# What is to be published.
Changes = Annotated[
    dict[str, Any],
    Together(
        {
            "contact": (_uris("contact", "Where reports go, such as mailto:security@example.com"), None),
            "policy": (_uris("policy", "Where your policy is"), None),
            "encryption": (_uris("encryption", "Where the key for messages is"), None),
            "acknowledgments": (_uris("acknowledgments", "Where reporters are thanked"), None),
            "hiring": (_uris("hiring", "Where jobs are"), None),
            "csaf": (_uris("csaf", "Where CSAF provider metadata is"), None),
            "canonical": (_uris("canonical", "Where the file is, if not here"), None),
            "languages": (
                Annotated[str | None, typer.Option("--languages", metavar="TAGS", help="Such as en,de.")],
                None,
            ),
            "intake": (
                Annotated[Literal["on", "off"] | None, typer.Option("--intake", help="Take reports on a page here.")],
                None,
            ),
            "base_url": (
                Annotated[
                    str | None, typer.Option("--base-url", metavar="URL", help="Public address: https://example.com.")
                ],
                None,
            ),
            "acknowledge_days": (
                Annotated[
                    int | None,
                    typer.Option("--acknowledge-days", min=1, max=90, metavar="N", help="Receipt is acknowledged in."),
                ],
                None,
            ),
            "status_days": (
                Annotated[
                    int | None,
                    typer.Option("--status-days", min=1, max=90, metavar="N", help="Reporters hear of it every."),
                ],
                None,
            ),
            "signed_file": (
                Annotated[
                    str | None,  # no path, of which '' would be refused
                    typer.Option("--signed-file", metavar="FILE", help="Serve this, signed with OpenPGP; '' for none."),
                ],
                None,
            ),
        },
        _changes,
    ),
]


@remote_command(app, "show")
def show(remote: RemoteService) -> Shown:
    """Show what is published, and how many reports are in which state."""
    return _shown(remote.get("/disclosure"))


@remote_command(app, "set")
def set_(remote: RemoteService, changes: Changes) -> Shown:
    """Say where strangers report vulnerabilities.

    What is not named stays as it is. From then on /.well-known/security.txt is served at the operator API's address.
    """
    if not changes:
        raise typer.BadParameter("name what to publish, such as --contact mailto:security@example.com or --intake on")
    return _shown(remote.patch("/disclosure", changes))


@remote_command(app, "clear")
def clear(remote: RemoteService, yes: YesOption = False) -> None:
    """Publish nothing any more, and take no reports.

    Those that came stay.
    """
    confirm("Publish no security.txt and take no reports?", yes=yes)
    remote.delete("/disclosure")
    note("nothing is published, and no reports are taken")


def _shown(found: dict[str, Any]) -> Shown:
    return record(found, row=lambda one: readable(_named(one)))


def _named(found: dict[str, Any]) -> dict[str, Any]:
    shown = {**found, "signed_until_at": found["signed_until"]}
    return {name: shown[name] for name in _FIELDS}

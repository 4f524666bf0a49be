# SPDX-License-Identifier: Apache-2.0
"""``armillary person``: people who sign in to the console by a provider.

With the token of an administrator of one catalog every command is about the people of that catalog.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal
from uuid import UUID

import typer

from armillary.cli.terminal.output import Shown, note, noun, record, table
from armillary.cli.terminal.readable import readable
from armillary.cli.terminal.remote import AS_GIVEN, RemoteService, meant_catalog, remote_command, segment
from armillary.cli.terminal.remote_names import OnlyCatalogOption, YesOption, confirm
from armillary.errors import InvalidArgumentError, NotFoundError

app = noun("People who sign in by a provider.")

PLACE: Final = "/people"
COLUMNS = ("login", "name", "state", "may", "signed_in_at", "person_id")
FACTS = (
    "person_id", "login", "name", "email", "issuer", "subject", "state", "created_at", "created_by", "signed_in_at",
    "may",
)  # fmt: skip

Role = Literal["Administrator", "Contributor", "Reader"]
PersonOption = Annotated[
    str, typer.Option("--person", "-p", metavar="WHO", help="Address, login, or id of the person.")
]
CatalogOption = Annotated[
    str | None,
    typer.Option("--catalog", "-c", metavar="NAME", help="The only catalog it reaches; else all of the token's."),
]
OrganisationOption = Annotated[
    str | None,
    typer.Option("--organisation", "-o", metavar="ID", help="The only organisation of that catalog it reaches."),
]


@remote_command(app, "list")
def list_people(remote: RemoteService, catalog: OnlyCatalogOption = None) -> Shown:
    """List people, with what each may do."""
    return table(
        remote.pages(PLACE, catalog=catalog or own_catalog(remote)),
        COLUMNS,
        row=_row,
        empty="No person. Invite one: armillary person invite --email ADDRESS",
    )


@remote_command(app, "show")
def show(remote: RemoteService, person: PersonOption) -> Shown:
    """Show a person, and the ids of the grants."""
    found = _meant(remote, person, own_catalog(remote))
    return record(found, row=lambda each: {name: _row(each).get(name) for name in FACTS})


@remote_command(app, "invite")
def invite(
    remote: RemoteService,
    email: Annotated[
        str | None, typer.Option("--email", metavar="ADDRESS", help="Address that the provider has verified.")
    ] = None,
    subject: Annotated[
        str | None, typer.Option("--subject", metavar="TEXT", help="What the provider calls the person.")
    ] = None,
    name: Annotated[
        str, typer.Option("--name", "-n", metavar="NAME", help="What the person is called; else as the provider says.")
    ] = "",
    role: Annotated[Role | None, typer.Option("--role", help="A first role to grant.")] = None,
    catalog: Annotated[CatalogOption, AS_GIVEN] = None,
    organisation: OrganisationOption = None,
) -> Shown:
    """Let somebody sign in. Nothing is sent: tell them to open the console."""
    own = own_catalog(remote)
    if role is None and (catalog or organisation):
        raise InvalidArgumentError(
            "--catalog and --organisation: expected a role as well", remedy="Say what is granted there: --role Reader."
        )
    body = {"email": email, "subject": subject, "name": name, "role": role}
    granted = None if role is None else meant_catalog(remote, catalog) or own
    given = body | {"catalog": granted, "organisation": organisation}
    made = remote.post(PLACE, {key: value for key, value in given.items() if value is not None}, catalog=own)
    shown = record(made, row=lambda each: {key: _row(each)[key] for key in ("login", "may", "person_id")})
    return shown.then("tell them to open the console and sign in with the provider")


@remote_command(app, "grant")
def grant(
    remote: RemoteService,
    person: PersonOption,
    role: Annotated[Role, typer.Option("--role", help="What it allows.")],
    catalog: CatalogOption = None,
    organisation: OrganisationOption = None,
) -> Shown:
    """Grant a role. Without a catalog it is of all of them, or of the only one that the token is for."""
    own = own_catalog(remote)
    found = _meant(remote, person, own)
    body = {"role": role, "catalog": catalog or own, "organisation": organisation}
    given = {key: value for key, value in body.items() if value is not None}
    made = remote.post(f"{_place(found)}/grants", given, catalog=own)
    return record(made, row=lambda each: {key: _row(each)[key] for key in ("login", "may")})


@remote_command(app, "revoke")
def revoke(
    remote: RemoteService,
    person: PersonOption,
    role: Annotated[Role | None, typer.Option("--role", help="The role that was granted.")] = None,
    catalog: CatalogOption = None,
    organisation: OrganisationOption = None,
    grant_id: Annotated[str | None, typer.Option("--grant-id", metavar="ID", help="The grant, by its id.")] = None,
) -> None:
    """Take a role back. Sessions that act by it end now."""
    own = own_catalog(remote)
    found = _meant(remote, person, own)
    wanted = (role, (catalog or own or "").lower(), organisation or "")
    fitting = [
        each
        for each in found["grants"]
        if each["grant_id"] == grant_id
        or (grant_id is None and (each["role"], (each["catalog"] or "").lower(), each["organisation"] or "") == wanted)
    ]
    if len(fitting) != 1:
        many = "several such grants" if fitting else "no such grant"
        raise NotFoundError(
            f"{found['login']} has {many}; granted is {_may(found)}",
            remedy="Name it by --role, --catalog and --organisation, or by --grant-id: armillary person show --json.",
        )
    remote.delete(f"{_place(found)}/grants/{segment(fitting[0]['grant_id'])}", catalog=own)
    note(f"{_words(fitting[0])} is revoked from {found['login']}")


@remote_command(app, "disable")
def disable(remote: RemoteService, person: PersonOption, *, yes: YesOption = False) -> None:
    """Let a person in no more; sessions end now. Enable undoes it."""
    found = _meant(remote, person, own_catalog(remote))
    confirm(f"Disable {found['login']} and end all sessions of this person?", yes=yes)
    remote.post(f"{_place(found)}/disable", {})
    note(f"{found['login']} is disabled")


@remote_command(app, "enable")
def enable(remote: RemoteService, person: PersonOption) -> None:
    """Let a person in again who was disabled."""
    found = _meant(remote, person, own_catalog(remote))
    remote.post(f"{_place(found)}/enable", {})
    note(f"{found['login']} is enabled")


@remote_command(app, "remove")
def remove(remote: RemoteService, person: PersonOption, *, yes: YesOption = False) -> None:
    """Delete a person with all grants, or those of the token's catalog. The audit log keeps what was done."""
    own = own_catalog(remote)
    found = _meant(remote, person, own)
    of = f"all grants of {own}" if own else "all grants"
    confirm(f"Remove {found['login']} with {of}? This cannot be undone.", yes=yes)
    remote.delete(_place(found), catalog=own)
    note(f"{found['login']} is removed" + (f" from {own}" if own else ""))


def own_catalog(remote: RemoteService) -> str | None:
    """The only catalog that the command's token is for; None for all."""
    found = remote.get("/me")["catalog"]
    return None if found is None else str(found)


def _meant(remote: RemoteService, person: str, own: str | None) -> dict[str, Any]:
    """The person of an id, login or address, of those whom the token's catalog knows."""
    given = person.strip().lower()
    for each in remote.pages(PLACE, catalog=own):
        if given in (each["person_id"], each["login"].lower(), each["email"]):
            return dict(each)
    raise NotFoundError(f"there is no person {person!r:.80}", remedy="List them: armillary person list.")


def _place(found: dict[str, Any]) -> str:
    return f"{PLACE}/{segment(str(UUID(found['person_id'])))}"


def _row(found: dict[str, Any]) -> dict[str, Any]:
    return readable({**found, "may": _may(found)})


def _may(found: dict[str, Any]) -> str:
    return ", ".join(_words(each) for each in found["grants"]) or "nothing"


def _words(grant: dict[str, Any]) -> str:
    if grant["catalog_id"] is None:
        return f"{grant['role']} of all catalogs"
    catalog = grant["catalog"] or "a deleted catalog"
    return (
        f"{grant['role']} of {grant['organisation']} in {catalog}"
        if grant["organisation"]
        else f"{grant['role']} of {catalog}"
    )

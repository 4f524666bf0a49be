# SPDX-License-Identifier: Apache-2.0
"""``armillary notification-channel``: who is told of findings and actions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import typer

from armillary.cli.terminal.files import read_file
from armillary.cli.terminal.output import Shown, note, noun, record, table
from armillary.cli.terminal.readable import readable_of
from armillary.cli.terminal.remote import RemoteService, remote_command, segment
from armillary.cli.terminal.remote_names import LimitOption, YesOption, confirm
from armillary.errors import InvalidArgumentError, NotFoundError

app = noun("Notification channels: who is told of findings and actions.")

PLACE: Final = "/notification-channels"
COLUMNS = ("name", "kind", "catalog", "min_severity", "waiting", "delivered", "given_up", "dropped", "error")
FACTS = (
    "channel_id", "name", "kind", "catalog", "options", "topics", "finding_kinds", "min_severity", "created_at",
    "created_by", "waiting", "delivered", "given_up", "dropped", "failures", "delivered_at", "failed_at", "error",
)  # fmt: skip
GIVEN_UP = ("kept_at", "sequence", "attempts", "severity", "title", "error")
TOLD = ("event", "severity", "told")
SILENT = ("rule", "name", "catalog", "why")
MAX_SECRET_BYTES: Final = 4096
MAX_PEM_BYTES: Final = 16 << 10

Kind = Literal["webhook", "e-mail", "syslog", "otlp", "ocsf-file"]
Severity = Literal["info", "low", "medium", "high", "critical"]
NameOption = Annotated[str, typer.Option("--name", "-n", metavar="NAME", help="Channel.")]
CatalogOption = Annotated[
    str | None, typer.Option("--catalog", "-c", metavar="NAME", help="Of a catalog; else of the whole service.")
]


@remote_command(app, "create")
def create(
    remote: RemoteService,
    name: NameOption,
    kind: Annotated[Kind, typer.Option("--kind", help="How it is told.")],
    *,
    catalog: CatalogOption = None,
    url: Annotated[
        str | None, typer.Option("--url", metavar="URL", help="Of a webhook, or a collector's /v1/logs.")
    ] = None,
    form: Annotated[
        Literal["cloudevents", "ocsf"] | None, typer.Option("--format", help="What a webhook carries.")
    ] = None,
    to: Annotated[list[str] | None, typer.Option("--to", metavar="ADDRESS", help="E-mail address; repeatable.")] = None,
    host: Annotated[str | None, typer.Option("--host", metavar="NAME", help="Syslog receiver.")] = None,
    port: Annotated[int | None, typer.Option("--port", metavar="N", help="Its port.")] = None,
    transport: Annotated[Literal["tls", "tcp", "udp"] | None, typer.Option("--transport", help="Of syslog.")] = None,
    facility: Annotated[int | None, typer.Option("--facility", metavar="N", help="Of syslog: 0 to 23.")] = None,
    ca_file: Annotated[
        Path | None, typer.Option("--ca-file", metavar="FILE", help="PEM that a syslog receiver is checked with.")
    ] = None,
    header: Annotated[
        str | None, typer.Option("--header", metavar="NAME", help="Header in which a collector wants the secret.")
    ] = None,
    secret_file: Annotated[
        Path | None, typer.Option("--secret-file", metavar="FILE", help="Signs webhooks; - is stdin.")
    ] = None,
    topic: Annotated[
        list[str] | None,
        typer.Option("--topic", metavar="WORD", help="finding, action, alert; repeatable. Else finding, action."),
    ] = None,
    finding_kind: Annotated[
        list[str] | None, typer.Option("--finding-kind", metavar="KIND", help="Only such findings; repeatable.")
    ] = None,
    min_severity: Annotated[Severity, typer.Option("--min-severity", help="Nothing below.")] = "info",
) -> Shown:
    """Make a channel.

    Try it at once: armillary notification-channel test. Its secret and its address are kept sealed and never shown.
    """
    authority = None if ca_file is None else read_file(ca_file, limit=MAX_PEM_BYTES).decode("ascii", "replace")
    options = {
        "url": url, "format": form, "to": to, "host": host, "port": port, "transport": transport,
        "facility": facility, "ca": authority, "header": header,
    }  # fmt: skip
    body: dict[str, Any] = {
        "name": name,
        "kind": kind,
        "options": {key: value for key, value in options.items() if value is not None},
        "topics": topic or [],
        "finding_kinds": finding_kind or [],
        "min_severity": min_severity,
    }
    if secret_file is not None:
        body["secret"] = _secret(secret_file)
    return record(remote.post(PLACE, body, catalog=catalog), row=_facts)


@remote_command(app, "change")
def change(
    remote: RemoteService,
    name: NameOption,
    *,
    catalog: CatalogOption = None,
    topic: Annotated[
        list[str] | None,
        typer.Option("--topic", metavar="WORD", help="finding, action, alert; all: finding, action; repeatable."),
    ] = None,
    finding_kind: Annotated[
        list[str] | None, typer.Option("--finding-kind", metavar="KIND", help="Such findings, or all; repeatable.")
    ] = None,
    min_severity: Annotated[Severity | None, typer.Option("--min-severity", help="Nothing below.")] = None,
) -> Shown:
    """Change what a channel is told from now on.

    What is not named stays; all takes a choice back.
    """
    found, owner = _named(remote, name, catalog)
    wanted = {"topics": _all_or(topic), "finding_kinds": _all_or(finding_kind), "min_severity": min_severity}
    body = {key: value for key, value in wanted.items() if value is not None}
    return record(remote.patch(_place(found), body, catalog=owner), row=_facts)


@remote_command(app, "overview")
def overview(remote: RemoteService, catalog: CatalogOption = None) -> Shown:
    """Show who is told of what, and who is not.

    Also whether there is a mail server, and which rules cannot reach whom they name.
    """
    found = remote.get("/notification-overview", catalog=catalog)
    mail = found["mail"]
    state = f"{mail['host'] or 'set'}" if mail["is_set"] else "not set: e-mails wait (smtp_host, smtp_from)"
    told = table(found["events"], TOLD, row=_told, empty="")
    silent = table(found["silent_rules"], SILENT, row=_silent, empty="Every rule can reach somebody.")
    shown = record(found, row=lambda _: {"mail server": state})
    return shown.then("Told:", told).then("Rules that cannot reach all whom they name:", silent)


@remote_command(app, "list")
def list_channels(remote: RemoteService, catalog: CatalogOption = None) -> Shown:
    """List channels, and how each is doing."""
    found = remote.get(PLACE, catalog=catalog)["items"]
    empty = "No channels. Make one: armillary notification-channel create."
    return table(found, COLUMNS, row=_row, empty=empty)


@remote_command(app, "show")
def show(remote: RemoteService, name: NameOption, catalog: CatalogOption = None, limit: LimitOption = None) -> Shown:
    """Show a channel, how it is doing, and what it was not told."""
    found, owner = _named(remote, name, catalog)
    given_up = list(remote.pages(f"{_place(found)}/given-up", limit=limit or 10, catalog=owner))
    rows = [{**each, "severity": each["event"]["severity"], "title": each["event"]["title"]} for each in given_up]
    return record({**found, "given_up_events": given_up}, row=_facts).then(
        "Given up:", table(rows, GIVEN_UP, row=readable_of(*GIVEN_UP), empty="Nothing was given up.")
    )


@remote_command(app, "test")
def send_test(remote: RemoteService, name: NameOption, catalog: CatalogOption = None) -> Shown:
    """Send a test now, and say what came back."""
    found, owner = _named(remote, name, catalog)
    outcome = remote.post(f"{_place(found)}/test", catalog=owner)
    shown = record(outcome)
    return Shown(shown.found, shown.print_text, 0 if outcome["ok"] else 1)


@remote_command(app, "retry")
def retry(remote: RemoteService, name: NameOption, catalog: CatalogOption = None) -> None:
    """Send again what was given up."""
    found, owner = _named(remote, name, catalog)
    outcome = remote.post(f"{_place(found)}/retry", catalog=owner)
    note(f"sent again: {outcome['events']}")


@remote_command(app, "delete")
def delete(remote: RemoteService, name: NameOption, catalog: CatalogOption = None, yes: YesOption = False) -> None:
    """Delete a channel, with what it has still to be told."""
    found, owner = _named(remote, name, catalog)
    waiting = found["status"]["waiting"]
    confirm(f"Delete the channel {found['name']}? {waiting} events wait for it.", yes=yes)
    remote.delete(_place(found), catalog=owner)
    note(f"channel {found['name']} is deleted")


def _all_or(words: list[str] | None) -> list[str] | None:
    """What an option chose; ``all`` is no choice, which the service has as an empty list."""
    return [] if words is not None and "all" in words else words


def _told(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """A line of who is told of what."""
    named = (" of ".join(filter(None, (each["name"], each["catalog"]))) for each in event["told"])
    return {"event": event["event"], "severity": event["severity"] or "", "told": ", ".join(named) or "nobody"}


def _silent(rule: Mapping[str, Any]) -> Mapping[str, Any]:
    return {
        "rule": rule["id"],
        "name": rule["name"],
        "catalog": rule["catalog"] or "all",
        "why": "; ".join(rule["why"]),
    }


def _named(remote: RemoteService, name: str, catalog: str | None) -> tuple[dict[str, Any], str | None]:
    """The channel of a name, of a catalog or of the whole service, and the catalog that is asked for.

    Raises:
        NotFoundError: there is none.
    """
    for each in remote.get(PLACE, catalog=catalog)["items"]:
        if each["name"].lower() == name.lower() and (catalog is not None or each["catalog"] is None):
            return each, catalog
    raise NotFoundError(f"there is no channel {name!a:.70}", remedy="List them: armillary notification-channel list.")


def _place(channel: Mapping[str, Any]) -> str:
    return f"{PLACE}/{segment(channel['channel_id'])}"


def _flat(channel: Mapping[str, Any]) -> dict[str, Any]:
    return {**channel, **channel["status"]}


def _row(channel: Mapping[str, Any]) -> Mapping[str, Any]:
    """A line of the list; an error that was overcome is shown by ``show`` only."""
    flat = _flat(channel)
    return readable_of(*COLUMNS)(flat if flat["failures"] else {**flat, "error": ""})


def _facts(channel: Mapping[str, Any]) -> Mapping[str, Any]:
    options = ", ".join(
        f"{name} {_words(value)}" for name, value in channel["options"].items() if value not in (None, [])
    )
    lists = {name: ", ".join(channel[name]) or "all" for name in ("topics", "finding_kinds")}
    return readable_of(*FACTS)({**_flat(channel), **lists, "options": options or "none"})


def _words(value: object) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value))
    text = str(value)
    return "given" if text.startswith("-----BEGIN") else text


def _secret(path: Path) -> str:
    try:
        return read_file(path, limit=MAX_SECRET_BYTES).decode("ascii").strip("\r\n")
    except UnicodeDecodeError as error:
        raise InvalidArgumentError(f"{path}: expected ASCII text", remedy="Make one: openssl rand -hex 32.") from error

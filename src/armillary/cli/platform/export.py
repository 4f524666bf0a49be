# SPDX-License-Identifier: Apache-2.0
"""``armillary export``: continuous data exports, their progress and what was refused."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from armillary.cli.platform.group import WhereOption, filter_of
from armillary.cli.terminal import authored
from armillary.cli.terminal.authored import CatalogOption, FileOption, IdOption, NameOption
from armillary.cli.terminal.given import one_of, pairs_of
from armillary.cli.terminal.output import Shown, note, noun, record, table
from armillary.cli.terminal.readable import readable
from armillary.cli.terminal.remote import RemoteService, remote_command

app = noun("Data exports: telemetry, properties, alerts and life-cycle to somewhere else, continuously.")

COLUMNS = ("id", "name", "source", "to", "state", "exported", "filtered", "behind", "dead", "missed", "why")
DEAD_COLUMNS = ("number", "at_ms", "count", "error")

AddOption = Annotated[
    list[str] | None,
    typer.Option("--add", metavar="NAME=FIELD", help="Add what is known of the device, such as site=cloud:site."),
]
NamesOption = Annotated[
    bool, typer.Option("--names", help="Add display names and units of values, as the device template has them.")
]
ExportOption = Annotated[str, typer.Option("--export", "-e", metavar="ID", help="Export id.")]
EXPORTS = authored.Documents(app, "/exports", ExportOption, name="data export")


def _row(document: dict[str, Any]) -> dict[str, Any]:
    body, status = document["body"], document["status"]
    cursor = status["cursor"] or {}
    destination = body["destination"]
    counts = {name: cursor.get(name, 0) for name in ("exported", "filtered", "dead", "missed")}
    return {
        **authored.row_of(document),
        "to": next(
            (destination[name] for name in ("url", "host", "endpoint", "servers") if name in destination),
            destination["kind"],
        ),
        "state": status["state"],
        "behind": status["behind"],
        "why": status["why"] or None,
        **counts,
    }


def _shown(document: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in _row(document).items() if name in COLUMNS or name in document["body"]}


@remote_command(app, "create")
def create(
    remote: RemoteService,
    *,
    name: NameOption = None,
    source: Annotated[
        str, typer.Option("--source", metavar="WORD", help="telemetry, properties, alerts, lifecycle or connectivity.")
    ] = "telemetry",
    webhook: Annotated[str | None, typer.Option("--webhook", metavar="URL", help="Send to a webhook.")] = None,
    to_files: Annotated[bool, typer.Option("--files", help="Write files in the service's data folder.")] = False,
    mqtt: Annotated[
        str | None, typer.Option("--mqtt", metavar="HOST[:PORT]/TOPIC", help="Publish to an MQTT broker over TLS.")
    ] = None,
    s3: Annotated[
        str | None, typer.Option("--s3", metavar="URL/BUCKET[/PREFIX]", help="Put objects into S3-like storage.")
    ] = None,
    region: Annotated[str, typer.Option("--region", metavar="NAME", help="Of the storage.")] = "us-east-1",
    access_key: Annotated[str, typer.Option("--access-key", metavar="ID", help="Of the storage.")] = "",
    kafka: Annotated[
        str | None,
        typer.Option("--kafka", metavar="HOST:PORT[,...]/TOPIC", help="Produce to a Kafka cluster over TLS."),
    ] = None,
    sasl: Annotated[
        str, typer.Option("--sasl", metavar="WORD", help="Of the cluster: none, PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512.")
    ] = "none",
    server_ca: Annotated[
        Path | None, typer.Option("--server-ca", metavar="FILE", exists=True, dir_okay=False, help="Its CAs (PEM).")
    ] = None,
    username: Annotated[
        str, typer.Option("--username", metavar="NAME", help="Of the MQTT broker or the cluster.")
    ] = "",
    secret: Annotated[
        str | None,
        typer.Option(
            "--secret",
            metavar="TEXT",
            envvar="ARMILLARY_EXPORT_SECRET",
            help="Signs webhooks; password of a broker; secret access key.",
        ),
    ] = None,
    group: Annotated[
        str | None, typer.Option("--segment", "--group", "-g", metavar="ID", help="Only members of a segment.")
    ] = None,
    where: WhereOption = None,
    add: AddOption = None,
    names: NamesOption = False,
    transform: Annotated[str | None, typer.Option("--transform", metavar="JQ", help="jq program.")] = None,
    from_beginning: Annotated[
        bool, typer.Option("--from-beginning", help="Begin with the oldest that is kept, not with what comes now.")
    ] = False,
    document_id: IdOption = None,
    file: FileOption = None,
    catalog: CatalogOption = None,
    replace: authored.ReplaceOption = False,
) -> Shown:
    """Make a data export."""
    if (name is None) == (file is None):
        raise typer.BadParameter("give either --name with the other options, or --file")
    if file is not None:
        body = authored.read_definition(file)
    else:
        body = {
            "name": name,
            "source": source,
            "from": "beginning" if from_beginning else "now",
            "group": group,
            "filters": [filter_of(each) for each in where or []],
            "enrichments": pairs_of("--add", add, form="NAME=FIELD"),
            "names": names,
            "transform": transform,
            "destination": one_of(
                "--webhook, --files, --mqtt, --s3 and --kafka",
                webhook and partial(dict, kind="webhook", url=webhook, **_kept(secret)),
                to_files and partial(dict, kind="file"),
                mqtt and partial(_mqtt, mqtt, username, secret),
                s3 and partial(_s3, s3, region, access_key, secret),
                kafka and partial(_kafka, kafka, sasl, username, secret, server_ca),
            ),
        }
    return record(EXPORTS.put(remote, document_id, body, catalog, replace=replace), row=_shown)


EXPORTS.add_list(
    "List data exports and how they are doing.",
    COLUMNS,
    row=_row,
    empty="There is no data export; make one: armillary export create.",
)


EXPORTS.add_show("Show a data export and how it is doing.", row=_shown)


@remote_command(app, "enable")
def enable(remote: RemoteService, export: ExportOption, catalog: CatalogOption = None) -> None:
    """Let a data export go on where it was."""
    _switch(remote, export, catalog, enabled=True)


@remote_command(app, "disable")
def disable(remote: RemoteService, export: ExportOption, catalog: CatalogOption = None) -> None:
    """Stop a data export; it stays where it is."""
    _switch(remote, export, catalog, enabled=False)


@remote_command(app, "dead-letters")
def dead_letters(remote: RemoteService, export: ExportOption, catalog: CatalogOption = None) -> Shown:
    """List batches that were refused for good."""
    found = remote.pages(f"{EXPORTS.place(export)}/dead-letters", catalog=catalog)
    return table(found, DEAD_COLUMNS, row=readable, empty="Nothing was refused for good.")


@remote_command(app, "replay")
def replay(remote: RemoteService, export: ExportOption, catalog: CatalogOption = None) -> None:
    """Deliver dead letters again.

    What takes longer than a few seconds goes on in the service.
    """
    found = remote.post(f"{EXPORTS.place(export)}/dead-letters/replay", catalog=catalog)
    if found["under_way"]:
        note(f"{found['delivered']} records delivered so far; the rest goes on: armillary export dead-letters")
    else:
        note(f"{found['delivered']} records delivered")


EXPORTS.add_delete("Delete a data export with its dead letters.\n\nFiles that it wrote stay.")


def _switch(remote: RemoteService, export: str, catalog: str | None, *, enabled: bool) -> None:
    path = EXPORTS.place(export)
    body = remote.get(path, catalog=catalog)["body"]
    remote.put(path, {**body, "enabled": enabled}, catalog=catalog)
    note(f"export {export} {'enabled' if enabled else 'disabled'}")


def _mqtt(given: str, username: str, secret: str | None) -> dict[str, Any]:
    place, _, topic = given.partition("/")
    host, _, port = place.partition(":")
    if not topic or (port and not port.isdecimal()):
        raise typer.BadParameter("--mqtt: expected HOST[:PORT]/TOPIC")
    found = {"kind": "mqtt", "host": host, "topic": topic, "username": username, **_kept(secret)}
    return {**found, "port": int(port)} if port else found


def _kafka(given: str, sasl: str, username: str, secret: str | None, ca: Path | None) -> dict[str, Any]:
    servers, _, topic = given.partition("/")
    if not topic:
        raise typer.BadParameter("--kafka: expected HOST:PORT[,HOST:PORT...]/TOPIC")
    found = {"kind": "kafka", "servers": servers.split(","), "topic": topic, "sasl": sasl, "username": username}
    authorities = {} if ca is None else {"ca": ca.read_text(encoding="ascii", errors="replace")}
    return {**found, **authorities, **_kept(secret)}


def _kept(secret: str | None) -> dict[str, str]:
    return {} if secret is None else {"secret": secret}


def _s3(place: str, region: str, access_key: str, secret: str | None) -> dict[str, str]:
    scheme, _, rest = place.partition("://")
    host, _, path = rest.partition("/")
    bucket, _, prefix = path.partition("/")
    if not host or not bucket or not access_key:
        raise typer.BadParameter("--s3: expected https://HOST/BUCKET[/PREFIX], and an --access-key")
    found = {
        "kind": "s3",
        "endpoint": f"{scheme}://{host}",
        "bucket": bucket,
        "region": region,
        "access_key": access_key,
    }
    return {**found, **({"prefix": prefix} if prefix else {}), **_kept(secret)}

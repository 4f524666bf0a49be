# SPDX-License-Identifier: Apache-2.0
"""``armillary guardian content``: what the hub has for equipment: device template, groups, rules, dashboard."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Final

import typer

from armillary.cli.terminal.authored import NOTHING_THERE, CatalogOption
from armillary.cli.terminal.json_option import JsonOption
from armillary.cli.terminal.output import Shown, noun, table
from armillary.cli.terminal.remote import RemoteService, remote_command, segment
from armillary.content import guardian_content
from armillary.errors import OperatorError
from armillary.sim.templates.plans import documents_of, template_body

app = noun("What is shipped for equipment: templates, rules, dashboards.")

# What is put first, for what comes later names it.
ORDER: Final = ("group", "rule", "job", "dashboard")
COLUMNS: Final = ("kind", "id", "change")

NameArgument = Annotated[
    str, typer.Argument(metavar="EQUIPMENT", help=f"One of {', '.join(guardian_content.names())}.")
]


@app.command("list")
def list_content(as_json: JsonOption = False) -> None:
    """List what is shipped."""
    heads = {name: guardian_content.load(name).head for name in guardian_content.names()}
    rows = [{"equipment": name, "title": head["title"], "line": head["line"]} for name, head in heads.items()]
    table(rows, ("equipment", "title", "line"), empty="Nothing is shipped.").show(as_json=as_json)


@remote_command(app, "put")
def put(
    remote: RemoteService,
    equipment: NameArgument,
    catalog: CatalogOption = None,
    replace: Annotated[bool, typer.Option("--replace", help="Also what is there and was changed since.")] = False,
) -> Shown:
    """Put what is shipped for a kind of equipment into the hub.

    Its template, groups, rules and dashboard.

    What is there already stays as its author left it.
    """
    owner = catalog or remote.catalog or None
    return table(put_content(remote, equipment, owner, replace=replace), COLUMNS, empty="There was nothing to put.")


def put_content(
    remote: RemoteService, equipment: str, catalog: str | None, *, replace: bool = False
) -> list[dict[str, Any]]:
    """Put what is shipped for a kind of equipment into a catalog, or for all; a row for each document."""
    content = guardian_content.load(equipment)
    documents = documents_of(content, catalog or "")
    rows = [_put_template(remote, head, content.models[head["id"]], catalog) for head in content.head["template"]]
    for kind in ORDER:
        for (each, document_id), body in documents.items():
            if each == kind:
                rows.append(_put(remote, kind, document_id, {**body, "catalog": catalog}, catalog, replace=replace))
    return rows


def _put(
    remote: RemoteService, kind: str, document_id: str, body: Mapping[str, Any], catalog: str | None, *, replace: bool
) -> dict[str, Any]:
    """Put one document, unless it is there."""
    place = f"/{kind}s/{segment(document_id)}"
    try:
        remote.put(place, body, if_match=None if replace else NOTHING_THERE, catalog=catalog)
    except OperatorError as error:
        if error.code != "request.precondition":
            raise
        return {"kind": kind, "id": document_id, "change": "there already"}
    return {"kind": kind, "id": document_id, "change": "replaced" if replace else "new"}


def _put_template(remote: RemoteService, head: Mapping[str, Any], model: bytes, catalog: str | None) -> dict[str, Any]:
    """Put and publish the device template, anew where the one that is there has another model."""
    name = head["id"]
    body = {**template_body(head, json.loads(model)), "catalog": catalog}
    place = f"/templates/{segment(name)}"
    try:
        found = remote.get(place, catalog=catalog)
    except OperatorError as error:
        if error.code != "request.not-found":
            raise
        change = "new"
    else:
        wanted = {each["name"] for each in body["cloud_properties"]}
        has_all = wanted <= {each["name"] for each in found["cloud_properties"]}
        if has_all and found["body"]["models"] == body["models"] and found["published_versions"]:
            return {"kind": "template", "id": name, "change": "there already"}
        change = "next version"
    remote.put(place, body, catalog=catalog)
    try:
        remote.post(f"{place}/publish", catalog=catalog)
    except OperatorError as error:
        if error.code != "request.conflict":
            raise
        change = "there already"  # the newest published version is this one; only the draft was another
    return {"kind": "template", "id": name, "change": change}

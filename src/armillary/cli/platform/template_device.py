# SPDX-License-Identifier: Apache-2.0
"""``armillary template check|import|list|show|publish|delete|export|devices|migrate``: device templates."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from armillary.cli.terminal.authored import CatalogOption, SearchOption, id_of, none_of
from armillary.cli.terminal.device_reference import device_row
from armillary.cli.terminal.files import read_file, write_file
from armillary.cli.terminal.json_option import JsonOption
from armillary.cli.terminal.output import Shown, note, noun, only, record, table
from armillary.cli.terminal.readable import readable
from armillary.cli.terminal.remote import RemoteService, remote_command, segment
from armillary.cli.terminal.remote_names import OutputFileOption, YesOption, confirm
from armillary.errors import InvalidArgumentError, ModelError

PATH = "/templates"
COLUMNS = ("name", "display_name", "versions", "capabilities", "cloud_properties", "catalog", "root")
CAPABILITY_COLUMNS = ("name", "kind", "schema", "unit", "writable", "display_name")
MAX_FILE_BYTES = 1 << 20

TemplateOption = Annotated[str, typer.Option("--template", "-t", metavar="NAME", help="Template.")]
VersionOption = Annotated[
    int | None, typer.Option("--version", min=1, metavar="N", help="Published version; without it the draft.")
]
NewestOption = Annotated[
    int | None, typer.Option("--version", min=1, metavar="N", help="Published version; the newest by default.")
]
FilesArgument = Annotated[
    list[Path], typer.Argument(metavar="FILE...", help="Models in DTDL; or one template, ours or IoT Central's.")
]
RootOption = Annotated[
    str | None, typer.Option("--root", metavar="DTMI", help="Root interface; found by itself where it is clear.")
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only say what would be lost.")]

# How a template is written out.
Form = Literal["dtdl", "central", "document"]

verbs = noun()


@verbs.command("check")
def _check(files: FilesArgument, root: RootOption = None, as_json: JsonOption = False) -> None:
    """Check models on this host.

    Names every broken rule of DTDL with its line; no service is asked.
    """
    from armillary.twin.template.json_form import parse_template  # noqa: PLC0415 - other verbs do not need it

    template = parse_template(_body(files, root, None))
    for where, what in template.model.warnings:
        note(f"warning: {where}: {what}")
    found = {
        "root": template.root,
        "display_name": template.display_name,
        "interfaces": len(template.model.interfaces),
        "capabilities": len(template.capabilities),
        "cloud_properties": len(template.cloud),
        "warnings": len(template.model.warnings),
    }
    record(found).show(as_json=as_json)


@remote_command(verbs, "import")
def _import(
    remote: RemoteService,
    files: FilesArgument,
    template: Annotated[
        str | None,
        typer.Option("--template", "-t", metavar="NAME", help="Its name: a-z 0-9 _ -; made of the title by default."),
    ] = None,
    root: RootOption = None,
    title: Annotated[str | None, typer.Option("--name", "-n", metavar="TEXT", help="Its title, for people.")] = None,
    publish: Annotated[bool, typer.Option("--publish", help="Publish it at once.")] = False,
    catalog: CatalogOption = None,
) -> Shown:
    """Make a device template of models, or change one.

    Cloud properties, views and names that it has stay, as far as the new models have what they name.
    """
    body = _body(files, root, title)
    name = template or id_of(str(body["display_name"]))
    documents = [{"name": str(each), "content": _text(each)} for each in files]
    sent = {"documents": documents, "root": root, "display_name": title}
    made = remote.post(_place(name, "/import"), sent, catalog=catalog)
    for dropped in made["dropped"]:
        note(f"{dropped} is no part of the models any more; what named it was taken away")
    if publish:
        made = remote.post(_place(name, "/publish"), catalog=catalog)
    return _template(made)


@remote_command(verbs, "list")
def _list(remote: RemoteService, catalog: CatalogOption = None, search: SearchOption = None) -> Shown:
    """List device templates."""
    found = remote.pages(PATH, catalog=catalog, search=search)
    empty = none_of("template", search) or "There is no template; make one: armillary template import FILE."
    return table(found, COLUMNS, row=readable, empty=empty)


@remote_command(verbs, "show")
def _show(
    remote: RemoteService, template: TemplateOption, version: VersionOption = None, catalog: CatalogOption = None
) -> Shown:
    """Show what devices of a template say and do."""
    return _template(remote.get(_place(template, _version(version)), catalog=catalog))


@remote_command(verbs, "publish")
def _publish(
    remote: RemoteService,
    template: TemplateOption,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what differs and would be lost.")] = False,
    catalog: CatalogOption = None,
) -> Shown:
    """Publish the draft of a template.

    A published version never changes, and devices can have it.
    """
    made = remote.post(_place(template, "/publish"), catalog=catalog, dry_run="true" if dry_run else None)
    difference = made.get("difference") or {"added": [], "removed": [], "changed": {}, "compatible": True}
    worse = [f"{name} is gone" for name in difference["removed"]]
    worse += [f"{name}: {how}" for name, how in difference["changed"].items()]
    if dry_run:
        new = [f"{name} is new" for name in difference["added"]]
        upcoming = record(made, row=only("version", "devices", "losing", "dry_run"))
        return upcoming.then(*new, *worse, *_losses_of_devices(made))
    if not difference["compatible"]:
        note(f"Version {made['version']} lacks or changes what version {made['version'] - 1} has:")
        for each in worse:
            note(f"  {each}")
    return _template(made)


@remote_command(verbs, "delete")
def _delete(
    remote: RemoteService,
    template: TemplateOption,
    version: VersionOption = None,
    catalog: CatalogOption = None,
    yes: YesOption = False,
) -> Shown:
    """Delete a template, or a version of it.

    Not while a device has it.
    """
    what = f"version {version} of template {template}" if version else f"template {template} with all its versions"
    confirm(f"Delete {what}?", yes=yes)
    return record(remote.delete(_place(template, _version(version)), catalog=catalog))


@remote_command(verbs, "export")
def _export(
    remote: RemoteService,
    template: TemplateOption,
    output_file: OutputFileOption,
    version: VersionOption = None,
    form: Annotated[Form, typer.Option("--form", help="Models, IoT Central's form, or the whole document.")] = "dtdl",
    catalog: CatalogOption = None,
) -> None:
    """Write a template to a file."""
    found = remote.get(_place(template, _version(version)), catalog=catalog)
    body = found["body"]
    out: Any = body["models"] if form == "dtdl" else body
    if form == "central":
        if not version and not found["published_versions"]:
            raise InvalidArgumentError(
                f"template {template} is not published", remedy="Publish it, or use --form dtdl."
            )
        chosen = version or found["published_versions"][-1]
        out = remote.get(_place(template, f"/versions/{chosen}/export"), catalog=catalog)
    write_file(output_file, (json.dumps(out, indent=2, ensure_ascii=False) + "\n").encode())
    note(f"template {template} is written to {output_file}")


@remote_command(verbs, "devices")
def _devices(remote: RemoteService, template: TemplateOption, catalog: CatalogOption = None) -> Shown:
    """List devices that have a template."""
    found = remote.pages(f"{PATH}/{segment(template)}/devices", catalog=catalog)
    return table(found, ("name", "device_id", "version", "by"), row=device_row, empty="No device has this template.")


@remote_command(verbs, "migrate")
def _migrate(
    remote: RemoteService,
    template: TemplateOption,
    version: NewestOption = None,
    dry_run: DryRunOption = False,
    catalog: CatalogOption = None,
    yes: YesOption = False,
) -> Shown:
    """Give every device of a template one version of it.

    Says what they lose.
    """
    if not dry_run:
        confirm(f"Migrate every device of template {template}?", yes=yes)
    found = remote.post(_place(template, "/migrate"), {"version": version, "dry_run": dry_run}, catalog=catalog)
    return record(found, row=only("devices", "losing", "dry_run")).then(*_losses_of_devices(found))


def _losses_of_devices(found: dict[str, Any]) -> list[str]:
    return [f"{each['device_id'][:12]}...: {', '.join(losses(each))}" for each in found["named"]]


def losses(migration: dict[str, Any]) -> list[str]:
    """What a device loses, in words."""
    words = [f"cloud property {name}: {why}" for name, why in migration["lost_cloud_properties"].items()]
    words += [f"{name} is not modelled any more" for name in migration["unmodelled_telemetry"]]
    words += [f"property {name} is not modelled any more" for name in migration["unmodelled_properties"]]
    words += [f"property {each['name']}: expected {each['expected']}" for each in migration["broken_properties"]]
    return words


def _body(files: list[Path], root: str | None, title: str | None) -> dict[str, Any]:
    """The template that some files make; says every fault of them."""
    from armillary.twin.template.json_form import body_of_documents  # noqa: PLC0415 - other verbs do not need it

    documents = [(str(each), read_file(each, limit=MAX_FILE_BYTES)) for each in files]
    try:
        return body_of_documents(documents, root=root, display_name=title)
    except ModelError as error:
        for where, what in error.faults[1:]:
            note(f"{where}: {what}")
        raise


def _text(file: Path) -> str:
    return read_file(file, limit=MAX_FILE_BYTES).decode("utf-8-sig")


def _place(name: str, rest: str = "") -> str:
    return f"{PATH}/{segment(name)}{rest}"


def _version(version: int | None) -> str:
    return "" if version is None else f"/versions/{version}"


def _template(found: dict[str, Any]) -> Shown:
    head = only("name", "version", "display_name", "description", "catalog", "root", "published_versions")
    rows = [{**each, "schema": _schema(each["schema"])} for each in found["capabilities"]]
    rows += [{**each, "kind": "cloud", "schema": _schema(each["schema"])} for each in found["cloud_properties"]]
    capabilities = table(rows, CAPABILITY_COLUMNS, empty="The template has nothing yet.")
    warnings = [f"warning: {each['name']}: {each['reason']}" for each in found["warnings"]]
    unknown = "warning: the extension {} is not known; what it adds was not checked"
    warnings += [unknown.format(context) for context in found["unknown_contexts"]]
    return record(found, row=head).then("", capabilities, *warnings)


def _schema(schema: Any) -> str | None:
    """A schema in a few characters."""
    if isinstance(schema, dict):
        kind = next(iter(schema))
        if kind == "enum":
            return "enum " + "/".join(str(each["name"]) for each in schema["enum"][:6])
        return kind if kind != "object" else "object " + "/".join(schema["object"])
    return None if schema is None else str(schema)

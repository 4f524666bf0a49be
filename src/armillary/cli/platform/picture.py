# SPDX-License-Identifier: Apache-2.0
"""``armillary picture``: pictures for tiles and floor plans of dashboards."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from armillary.cli.terminal import authored
from armillary.cli.terminal.authored import CatalogOption, IdOption, NameOption
from armillary.cli.terminal.files import read_file
from armillary.cli.terminal.output import Shown, noun, record
from armillary.cli.terminal.readable import readable
from armillary.cli.terminal.remote import RemoteService, remote_command
from armillary.wire.picture.picture import ENDINGS, MAX_PICTURE_BYTES, media_type_of

app = noun("Pictures for tiles and floor plans of dashboards: PNG, JPEG, SVG.")

COLUMNS: Final = ("id", "name", "catalog", "media_type", "width", "height", "bytes", "changed_by")
FACTS: Final = ("id", "image", "name", "catalog", "media_type", "width", "height", "bytes", "removed")
PictureOption = Annotated[str, typer.Option("--picture", metavar="ID", help="Picture id.")]

PICTURES = authored.Documents(app, "/pictures", PictureOption)


@remote_command(app, "upload")
def upload(
    remote: RemoteService,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A PNG, JPEG or SVG file.")],
    name: NameOption = None,
    picture_id: IdOption = None,
    catalog: CatalogOption = None,
    replace: authored.ReplaceOption = False,
) -> Shown:
    """Upload a picture; a tile shows it by its image.

    What it is, its bytes say. Scripts and links of an SVG, texts and places of a photo are left out.
    """
    data = read_file(file, limit=MAX_PICTURE_BYTES)
    called = name or file.stem
    chosen = picture_id or authored.id_of(called)[:63] + ENDINGS[media_type_of(data)]
    body: dict[str, Any] = {"name": called, "content": base64.b64encode(data).decode("ascii")}
    if catalog is not None:
        body["catalog"] = catalog
    made = PICTURES.put(remote, chosen, body, catalog, replace=replace)
    return record(made, row=_facts)


def _facts(found: dict[str, Any]) -> dict[str, Any]:
    shown = {**found, "removed": ", ".join(found.get("removed", ())) or "nothing"}
    return readable({name: shown[name] for name in FACTS})


PICTURES.add_list(
    "List pictures.", COLUMNS, row=readable, empty="There is no picture; upload one: armillary picture upload."
)
PICTURES.add_delete_of_used("Delete a picture. One that a dashboard shows is refused without --force.")

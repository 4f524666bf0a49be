# SPDX-License-Identifier: Apache-2.0
"""Options that take an image, and the id of the one that is meant: by its id, or by the first digits of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated

import typer

from armillary.cli.terminal.remote import RemoteService
from armillary.cli.terminal.remote_names import catalog_path
from armillary.cli.terminal.short_ids import resolve_ids
from armillary.wire.image.naming import image_label

ImageOption = Annotated[
    str, typer.Option("--image", "-i", metavar="ID", help="Image: its id, or four or more first digits.")
]
OnlyImageOption = Annotated[
    str | None,
    typer.Option(
        "--image", "-i", metavar="ID", help="Only devices that report this image: its id, or its first digits."
    ),
]
ImagesOption = Annotated[
    list[str],
    typer.Option("--images", "-i", metavar="IDS", help="Ids of images, or their first digits; commas or repeated."),
]


def resolve_images(remote: RemoteService, texts: Sequence[str], base: str) -> list[str]:
    """The ids that ``texts`` mean among the images at a catalog's management path. Raises as :func:`resolve_ids`."""
    return resolve_ids(texts, lambda: _listed(remote, base), "image")


def resolve_image(remote: RemoteService, text: str, catalog: str | None) -> str:
    """The id of the image that ``text`` means in a catalog. Raises as :func:`resolve_ids`."""
    return resolve_ids([text], lambda: _listed(remote, catalog_path(remote, catalog)), "image")[0]


def _listed(remote: RemoteService, base: str) -> Iterable[tuple[str, str]]:
    for each in remote.management.pages(f"{base}/images"):
        called = each["properties"].get("imageName") or "unnamed"
        yield each["name"], image_label(called, each["properties"].get("version"))

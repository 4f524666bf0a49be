# SPDX-License-Identifier: Apache-2.0
"""Operations on uploaded pictures: list, show, keep, delete. What is kept of a file can do nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from armillary.engines.documents.document import Document
from armillary.engines.documents.pictures import KIND, PictureLine
from armillary.engines.documents.store import DocumentStore
from armillary.errors import ConflictError
from armillary.identity.operator import Operator
from armillary.platform.authored.documents import AuthoredDocuments
from armillary.twin.author.picture import check_picture_id, content_of, document_of_picture, image_of
from armillary.wire.picture.picture import read_picture

# Of one catalog, or of all: an application as files has all of them (``wire/export/application_archive.py``).
MAX_PICTURES: Final = 40


@dataclass(eq=False)
class PictureOperations:
    """What people do with pictures. Methods block for the disk."""

    _authored: AuthoredDocuments
    _store: DocumentStore

    def listed(self, catalog: str | None, limit: int, after: str | None, search: str | None = None) -> dict[str, Any]:
        """Pictures by id, without their contents; with ``search`` those that have the text in their name or id."""
        found = self._store.pictures.listed(catalog, limit=limit + 1, after=after, text=search or "")
        return {
            "items": [_line(each) for each in found[:limit]],
            "next": found[limit - 1].id if len(found) > limit else None,
        }

    def show(self, picture_id: str, catalog: str | None) -> dict[str, Any]:
        """A picture without its content. Raises NotFoundError."""
        return _shown(self._authored.visible(KIND, picture_id, catalog))

    def content(self, picture_id: str, catalog: str | None) -> tuple[bytes, str]:
        """The bytes of a picture and its media type. Raises NotFoundError."""
        body = self._authored.visible(KIND, picture_id, catalog).content
        return content_of(body), str(body["media_type"])

    def put(
        self,
        actor: Operator,
        picture_id: str,
        name: str,
        owner: str | None,
        data: bytes,
        catalog: str | None,
        if_match: str | None,
    ) -> dict[str, Any]:
        """Keep the picture of a file for the catalog ``owner``, None for all; ``removed`` says what was left out.

        Raises:
            InvalidArgumentError: no picture, too large, or an id that does not fit it.
            ConflictError: there are too many, or the id is taken.
        """
        picture = read_picture(data)
        check_picture_id(picture_id, picture.media_type)
        whose = catalog if catalog is not None else owner
        if self._store.find(KIND, picture_id) is None and self._store.pictures.count(whose) >= MAX_PICTURES:
            raise ConflictError(f"there are {MAX_PICTURES} pictures", remedy="Delete one that no dashboard shows.")
        body = document_of_picture(name, owner, picture)
        kept = self._authored.put(actor, KIND, picture_id, body, catalog, if_match)
        return {**_shown(self._authored.visible(KIND, kept["id"], catalog)), "removed": list(picture.removed)}

    def delete(
        self, actor: Operator, picture_id: str, catalog: str | None, if_match: str | None, *, force: bool = False
    ) -> dict[str, Any]:
        """Delete a picture that no dashboard shows, or whatever shows it with ``force``. It cannot be brought back."""
        return self._authored.delete(actor, KIND, picture_id, catalog, if_match, force=force)


def _shown(document: Document) -> dict[str, Any]:
    body = document.content
    line = PictureLine(
        document.id,
        body["name"],
        body.get("catalog"),
        body["media_type"],
        body["width"],
        body["height"],
        len(body["content"]),
        document.changed_ms,
        document.changed_by,
    )
    return {**_line(line), "etag": document.etag}


def _line(line: PictureLine) -> dict[str, Any]:
    return {
        "id": line.id,
        "image": image_of(line.id),
        "name": line.name,
        "catalog": line.catalog,
        "media_type": line.media_type,
        "width": line.width,
        "height": line.height,
        "bytes": line.characters * 3 // 4,
        "changed_ms": line.changed_ms,
        "changed_by": line.changed_by,
    }

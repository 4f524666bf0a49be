# SPDX-License-Identifier: Apache-2.0
"""Uploaded pictures: their page, the form that takes one, the one that the tile's panel sends, the picture itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any, Final

from starlette.responses import JSONResponse, Response

from armillary.console.dashboards import pages_pictures, pictures
from armillary.console.frame.action_checks import Form, confirmed
from armillary.console.frame.asking import ask, catalogs, may, sent_catalog, show
from armillary.console.frame.confirmation import Confirmation
from armillary.console.frame.console import Visit
from armillary.console.frame.flash import done
from armillary.console.frame.form import Wrong, wrong_of
from armillary.console.frame.words import slug
from armillary.errors import ArmillaryError, InvalidArgumentError
from armillary.wire.picture.picture import ENDINGS, MAX_PICTURE_BYTES, media_type_of

NEW: Final = pages_pictures.NEW
FOR_TILE: Final = pages_pictures.FOR_TILE
# A picture and the fields beside it.
MAX_FORM_BYTES: Final = MAX_PICTURE_BYTES + (64 << 10)
LINES: Final = 100
# Ids that a new one is compared with.
KNOWN: Final = 1000


def page(visit: Visit) -> Response:
    """All uploaded pictures."""
    found = ask(visit, "list_pictures", limit=LINES, after=visit.query.get("after"))
    may_change = may(visit, "put_picture")
    return show(visit, pages_pictures.list_sheet(found, may_change=may_change, now=visit.now))


def new(visit: Visit) -> Response:
    """The form that takes a picture."""
    return _new_page(visit, {}, None)


def take(visit: Visit, form: Form, files: Mapping[str, bytes]) -> Response:
    """Keep a picture."""
    try:
        made = _kept(visit, form, files)
    except ArmillaryError as error:
        return _new_page(visit, form, wrong_of(error))
    return done(f"{pages_pictures.LIST}#{made['id']}", "picture-cut" if made["removed"] else "picture-kept")


def take_for_tile(visit: Visit, form: Form, files: Mapping[str, bytes]) -> Response:
    """Keep a picture that was chosen in a tile's panel: answers in JSON how the tile names it, or what is wrong."""
    try:
        made = _kept(visit, form, files)
    except ArmillaryError as error:
        return JSONResponse(
            {"message": f"{error.message[:1].upper()}{error.message[1:]}.", "remedy": error.remedy}, 400
        )
    return JSONResponse({name: made[name] for name in ("image", "name", "removed")})


def question(visit: Visit) -> Confirmation:
    """What deleting a picture does."""
    named = visit.params["picture_id"]
    found = ask(visit, "show_picture", picture_id=named)
    return pages_pictures.delete_confirmation(found, ask(visit, "picture_uses", picture_id=named)["items"])


def delete(visit: Visit, form: Form) -> Response:
    """Delete a picture; with the question's word although dashboards show it."""
    confirmed(question(visit), form)
    ask(visit, "delete_picture", picture_id=visit.params["picture_id"])
    return done(pages_pictures.LIST, "picture-deleted")


def content(visit: Visit, picture_id: str) -> Response:
    """The picture itself, with a policy that lets it do nothing."""
    found = ask(visit, "picture_content", picture_id=picture_id)
    headers = {**pictures.HEADERS, "Cache-Control": "private, max-age=60"}
    return Response(found["content"], media_type=found["media_type"], headers=headers)


def _kept(visit: Visit, form: Form, files: Mapping[str, bytes]) -> dict[str, Any]:
    data = files.get("picture")
    if not data:
        raise InvalidArgumentError("no picture was chosen", remedy="Choose a PNG, JPEG or SVG file.")
    ending = ENDINGS[media_type_of(data)]
    name = form.get("name", "").strip() or PurePath(form.get("file_name", "")).stem or "picture"
    taken = frozenset(each["id"].removesuffix(ending) for each in ask(visit, "list_pictures", limit=KNOWN)["items"])
    return ask(
        visit,
        "put_picture",
        picture_id=slug(name, taken)[:60].strip("-") + ending,
        name=name[:128],
        owner=sent_catalog(visit, form),
        data=data,
    )


def _new_page(visit: Visit, sent: Mapping[str, str], wrong: Wrong | None) -> Response:
    whole = visit.operator.catalog is None
    made = pages_pictures.new_sheet(sent, wrong, catalogs(visit), whole=whole)
    return show(visit, made, 400 if wrong else 200)

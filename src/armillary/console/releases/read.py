# SPDX-License-Identifier: Apache-2.0
"""Releases, images, bills of materials and keys, read: asked of the sources, laid out as sheets."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from starlette.responses import Response

from armillary.console.frame.asking import ask, catalogs, in_order, may, ordered_sheet, show
from armillary.console.frame.console import Visit
from armillary.console.frame.form import Wrong
from armillary.console.frame.sheet import LIST_LINES
from armillary.console.releases import (
    pages_bill,
    pages_feeds,
    pages_images,
    pages_releases,
    pages_repository,
    pages_signing_keys,
)
from armillary.wire.image.bill_of_materials import MEDIA_TYPE, media_type_of

MAX_SEARCH: Final = 128
# Pages of a bill go so far: it has no more components (``wire/image/bill_of_materials.py``).
MAX_DIGITS: Final = 5
# Action -> the change that one has to be allowed.
CHANGES: Final[Mapping[str, str]] = {
    "sign": "sign_release",
    "publish": "publish_release",
    "promote": "promote_release",
    "revoke": "revoke_release",
}


def releases(visit: Visit) -> Response:
    """Releases and drafts."""
    return releases_page(visit)


def releases_page(visit: Visit, sent: Mapping[str, str] = MappingProxyType({}), wrong: Wrong | None = None) -> Response:
    """The page; ``wrong`` is what was wrong with the form of a feed as it was ``sent``."""
    may_feed, now = may(visit, "make_feed"), visit.now
    feeds = pages_feeds.feeds_section(
        ask(visit, "list_feeds")["items"], sent=sent, wrong=wrong, may_make=may_feed, now=now
    )
    found, chip = ask(visit, "list_releases"), visit.query.get("chip", "")
    made = pages_releases.list_sheet(found, feeds, chip=chip, may_make=may(visit, "make_draft"), now=now)
    return show(visit, made, 400 if wrong else 200)


def release(visit: Visit) -> Response:
    """One release or draft."""
    return release_page(visit)


def release_page(visit: Visit, wrong: Wrong | None = None) -> Response:
    """The page; ``wrong`` is what was wrong with a bill of materials that was sent."""
    found = ask(visit, "show_release", release_id=visit.params["release_id"])
    here = pages_releases.place(found["release_id"])
    made = pages_releases.release_sheet(
        found,
        may_roll_out=may(visit, "start_os_rollout"),
        verbs=[verb for verb in pages_releases.verbs_of(found, visit.now) if may(visit, CHANGES[verb])],
        **_bill(visit, found, here, may_add=may(visit, "put_release_bill"), wrong=wrong),
        now=visit.now,
    )
    return show(visit, made, 400 if wrong else 200)


def release_bill(visit: Visit) -> Response:
    """The bill of materials of a release, to be kept."""
    release_id = visit.params["release_id"]
    return _download(ask(visit, "release_bill", release_id=release_id), f"release-{release_id}")


def new_release(visit: Visit) -> Response:
    """The form of a draft."""
    return new_page(visit, {}, None)


def new_page(visit: Visit, sent: Mapping[str, str], wrong: Wrong | None) -> Response:
    """The form as it was sent, and what was wrong with it."""
    chip = visit.query.get("chip", "")
    offered = ask(visit, "draft_choices", chip=chip)
    return show(visit, pages_releases.draft_sheet(offered, chip, sent, wrong), 400 if wrong else 200)


def images(visit: Visit) -> Response:
    """A catalog's images."""
    names, after = catalogs(visit), visit.query.get("after")
    if not names:
        return show(visit, pages_images.no_catalog_sheet())
    asked = visit.query.get("catalog", "")
    catalog = asked if asked in names else names[0]
    found = in_order(
        visit,
        pages_images.BY_SOURCE,
        lambda **at: ask(visit, "list_images", catalog=catalog, limit=LIST_LINES, **at),
    )
    is_part, may_upload = bool(after) and not found.is_sorted, may(visit, "hold_packages")
    made = pages_images.list_sheet(found.page, catalog, names, is_part=is_part, may_upload=may_upload, now=visit.now)
    return show(visit, ordered_sheet(made, found))


def image(visit: Visit) -> Response:
    """One image."""
    return image_page(visit)


def image_page(visit: Visit, wrong: Wrong | None = None) -> Response:
    """The page; ``wrong`` is what was wrong with a bill of materials that was sent."""
    found = ask(visit, "show_image", catalog=visit.params["catalog"], image_id=visit.params["image_id"])
    here = pages_images.place(found["catalog"], found["image_id"])
    parts = _bill(visit, found, here, may_add=may(visit, "put_image_bill"), wrong=wrong)
    return show(visit, pages_images.image_sheet(found, **parts, now=visit.now), 400 if wrong else 200)


def image_bill(visit: Visit) -> Response:
    """The bill of materials of an image, to be kept."""
    named = {name: visit.params[name] for name in ("catalog", "image_id")}
    return _download(ask(visit, "image_bill", **named), f"image-{visit.params['image_id']}")


def repository(visit: Visit) -> Response:
    """Keys of the repository's roles."""
    names = {str(each["catalog_id"]): each["name"] for each in visit.sources.settings.catalog_names()}
    return show(visit, pages_repository.repository_sheet(ask(visit, "show_repository"), names, visit.now))


def signing_keys(visit: Visit) -> Response:
    """Keys that sign releases and images."""
    return show(visit, pages_signing_keys.signing_keys_sheet(ask(visit, "show_signing_keys"), visit.now))


def _bill(visit: Visit, found: Mapping[str, Any], here: str, *, may_add: bool, wrong: Wrong | None) -> dict[str, Any]:
    """The section of a bill, and the form that searches it."""
    asked, after = visit.query.get("q", "").strip()[:MAX_SEARCH], visit.query.get("after", "")
    from_number = int(after) if after.isdecimal() and len(after) <= MAX_DIGITS else 0
    has_one = found["bill"] is not None
    form = pages_bill.bill_form(f"{here}/bill", has_one=has_one, wrong=wrong) if may_add else None
    section = pages_bill.bill_section(found, here, asked=asked, after=from_number, now=visit.now, form=form)
    return {"bill": section, "search": pages_bill.search_form(here, asked) if has_one else None}


def _download(found: Mapping[str, Any], name: str) -> Response:
    media_type = media_type_of(found["spec_version"])
    suffix = "cdx" if media_type == MEDIA_TYPE else "spdx"
    return Response(
        found["document"],
        media_type=media_type,
        headers={"Content-Disposition": f'attachment; filename="{name}.{suffix}.json"'},
    )

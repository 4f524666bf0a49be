# SPDX-License-Identifier: Apache-2.0
"""Uploads and new roll-outs, read: asked of the sources, laid out as pages."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any

from starlette.responses import Response

from armillary.console.frame.asking import ask, catalogs, may, show
from armillary.console.frame.console import Visit
from armillary.console.frame.form import Wrong
from armillary.console.frame.sheet import LIST_LINES, Sheet
from armillary.console.language.say import say
from armillary.console.new_rollout import pages_new_rollout as pages, pages_upload, policy_form
from armillary.console.releases import pages_images
from armillary.errors import NotFoundError

NOTHING: Mapping[str, str] = MappingProxyType({})


def new_image(visit: Visit) -> Response:
    """The form for image packages."""
    return upload_page(visit, NOTHING, None)


def upload_page(visit: Visit, sent: Mapping[str, str], wrong: Wrong | None) -> Response:
    """The form as it was sent, and what was wrong with it."""
    names = catalogs(visit)
    if not names:
        return show(visit, pages_images.no_catalog_sheet())
    asked, group = sent.get("catalog") or visit.query.get("catalog", ""), sent.get("group") or visit.query.get("group")
    catalog = asked if asked in names else names[0]
    most = ask(visit, "upload_limits", catalog=catalog)["bytes"]
    made = pages_upload.upload_sheet(catalog, names, group or "", most, sent, wrong)
    return show(visit, made, 400 if wrong else 200)


def held_images(visit: Visit) -> Response:
    """What is in packages that were sent."""
    return held_page(visit, visit.query.get("group", ""), NOTHING, None)


def held_page(visit: Visit, group: str, sent: Mapping[str, str], wrong: Wrong | None) -> Response:
    """The page as it was sent; ``wrong`` is why they could not be kept."""
    named = held_named(visit)
    items = ask(visit, "show_held", **named)["items"]
    made = pages_upload.held_sheet(named["catalog"], named["held_id"], items, group, visit.now, wrong, sent)
    return show(visit, made, 400 if wrong else 200)


def held_named(visit: Visit) -> dict[str, str]:
    """The upload that an address names."""
    return {name: visit.params[name] for name in ("catalog", "held_id")}


def new_rollout(visit: Visit) -> Response:
    """Who gets it, then the form."""
    target = visit.query.get("target", "")
    if not target:
        return show(visit, _choose(visit))
    return rollout_page(visit, target, NOTHING, None)


def rollout_page(visit: Visit, target: str, sent: Mapping[str, str], wrong: Wrong | None) -> Response:
    """The form of a roll-out of images as it was sent, and what was wrong with it."""
    named = group_of(visit, target)
    target = "/".join((named["catalog"], named["product"], named["device_group"]))
    in_force = ask(visit, "group_images", **named)["items"]
    page = ask(visit, "list_images", catalog=named["catalog"], limit=LIST_LINES, after=None)
    known = {each["image_id"]: each for each in (*page["items"], *in_force)}
    wanted = _wanted(visit, sent, known, in_force)
    for image_id in wanted - known.keys():  # older than the newest of the list
        with suppress(NotFoundError):  # what the form names and is not there is said by the error
            known[image_id] = ask(visit, "show_image", catalog=named["catalog"], image_id=image_id)
    ticks = pages.image_fields(
        list(known.values()), wanted, frozenset(each["image_id"] for each in in_force), visit.now
    )
    hint = say("one a line: Product/Group of {catalog}", catalog=named["catalog"])
    view = pages.application_form(target, ticks, policy_form.fieldsets(sent, hint), wrong)
    return visit.page("new_rollout.html", status=400 if wrong else 200, view=view)


def os_rollout(visit: Visit) -> Response:
    """The form of a roll-out of an OS release."""
    return os_page(visit, NOTHING, None)


def os_page(visit: Visit, sent: Mapping[str, str], wrong: Wrong | None) -> Response:
    """The form as it was sent, and what was wrong with it."""
    release = ask(visit, "show_release", release_id=visit.params["release_id"])
    feeds = [each["name"] for each in ask(visit, "list_feeds")["items"]]
    sets = policy_form.fieldsets(sent, say("one a line: Catalog/Product/Group"))
    view = pages.os_form(release, feeds, catalogs(visit), sent, sets, wrong)
    return visit.page("new_rollout.html", status=400 if wrong else 200, view=view)


def group_of(visit: Visit, target: str) -> dict[str, str]:
    """The device group that ``CATALOG/PRODUCT/GROUP`` names, among those of the operator.

    Raises:
        NotFoundError: none.
    """
    for each in ask(visit, "list_device_groups")["items"]:
        if pages.target_of(each).casefold() == target.casefold():
            return {"catalog": each["catalog"], "product": each["product"], "device_group": each["name"]}
    raise NotFoundError(f"there is no device group {target[:100]!r}", remedy="Choose one of the list.")


def _choose(visit: Visit) -> Sheet:
    releases = None
    if may(visit, "start_os_rollout"):
        releases = [
            each
            for each in ask(visit, "list_releases")["items"]
            if each["published_at"] is not None and each["withdrawn_at"] is None and each["feed"] != "Retail"
        ]
    return pages.choose_sheet(ask(visit, "list_device_groups")["items"], releases)


def _wanted(
    visit: Visit, sent: Mapping[str, str], known: Mapping[str, Any], in_force: list[dict[str, Any]]
) -> frozenset[str]:
    """Images that are ticked: of the form, else those of the address and what the group has beside them."""
    if sent:
        return frozenset(name.removeprefix(pages.IMAGE) for name in sent if name.startswith(pages.IMAGE))
    asked = [each for each in visit.query.get("images", "").split(",") if each]
    replaced = {known[each]["component_id"] for each in asked if each in known}
    stay = [each["image_id"] for each in in_force if each["component_id"] not in replaced]
    return frozenset((*asked, *stay))

# SPDX-License-Identifier: Apache-2.0
"""Dashboards, read: the list, the view and its data, the board, the form of a tile, a command before it is sent."""

from __future__ import annotations

import contextlib
from typing import Any
from urllib.parse import urlencode

from starlette.responses import JSONResponse, Response

from armillary.console.dashboards import pages_dashboard, pages_tile_form, pictures, uploads
from armillary.console.dashboards.pages_dashboard import place
from armillary.console.dashboards.tile_inputs import WORDS
from armillary.console.frame.asking import ask, found_text, listed, may, meant, shown_range
from armillary.console.frame.console import Visit
from armillary.console.frame.flash import PARAMETER
from armillary.console.frame.sheet import FIND, find_form, next_href
from armillary.console.frame.table_bar import with_kept
from armillary.console.frame.times import RANGES, TimeRange, asked_range, choice_of
from armillary.errors import ArmillaryError, NotFoundError
from armillary.twin.author.dashboard import KINDS, Dashboard, free_row, parse
from armillary.twin.author.picture import UPLOADED

KIND = "dashboard"
# The range of each tile is its own.
OWN = TimeRange()
LIST_LINES = 100
# Groups and templates that a tile's form offers.
CHOICES = 200


def dashboards(visit: Visit) -> Response:
    """All dashboards."""
    search = found_text(visit)
    page = visit.sources.application.documents(KIND, after=visit.query.get("after"), limit=LIST_LINES, search=search)
    view = pages_dashboard.list_view(page, visit.now, search)
    further = next_href("/dashboards", page["next"], {FIND: search} if search else {})
    table = listed(visit, pages_dashboard.COLUMNS, view["lines"], further)
    view |= {"heads": table.heads, "lines": table.rows, "next_href": table.next_href}
    view["may_make"] = may(visit, KIND)
    view["may_use"] = may(visit, "use_application_template")
    view["templates"] = [name for name, _ in _templates(visit)]
    view["search"] = with_kept(find_form("/dashboards", search), visit.here) if view["lines"] or search else None
    return visit.page("dashboards.html", view=view, bar=table.bar)


def dashboard(visit: Visit) -> Response:
    """One dashboard."""
    document = found(visit)
    shown = parse(document["body"])
    asked, problem = shown_range(visit)
    views = _views(visit, document, shown, asked)
    dashboard_id = document["id"]
    query = f"?{urlencode(asked.given)}" if asked.given else ""
    view = {
        "name": shown.name,
        "description": shown.description,
        "tiles": views,
        "script": visit.said(pages_dashboard.script_views(views, visit.timed)),
        "ranges": choice_of(
            place(dashboard_id), visit.query, asked, visit.now, default=pages_dashboard.OWN_RANGES, problem=problem
        ),
        "is_fixed": asked.is_fixed,
        "has_map": any(each["kind"] == "map" and each["state"] == "ok" for each in views),
        "undo_post": place(dashboard_id, "undo") if visit.query.get(PARAMETER) == "dashboard" else "",
        "etag": document["etag"],
        "data_href": place(dashboard_id, "data") + query,
        "live_href": place(dashboard_id, "live"),
        "edit_href": place(dashboard_id, "edit"),
        "new_href": place(dashboard_id, "tiles", "new"),
        "may_change": may(visit, KIND, document["body"]),
        "may_call": may(visit, "application.call"),
    }
    return visit.page("dashboard.html", view=view, status=400 if problem else 200)


def data(visit: Visit) -> Response:
    """The tiles as the page's script takes them."""
    document = found(visit)
    views = _views(visit, document, parse(document["body"]), asked_range(visit.query, visit.now))
    changed = {name: document[name] for name in ("etag", "changed_by")}
    return JSONResponse({"tiles": visit.said(pages_dashboard.script_views(views, visit.timed)), **changed})


def edit(visit: Visit) -> Response:
    """The editor: the live dashboard, its tiles to be moved, sized, added and changed."""
    document = found(visit)
    shown = parse(document["body"])
    views = _views(visit, document, shown)
    view = pages_dashboard.edit_view(document, shown, views)
    view["script"] = visit.said(view["script"])
    view["may_change"] = may(visit, KIND, document["body"])
    view["kinds"] = [(kind, *words[:2]) for kind, words in WORDS.items()]
    view["has_map"] = True
    return visit.page("dashboard_edit.html", view=view)


def tile(visit: Visit) -> Response:
    """The form of a tile, or of a new one, as a page of its own."""
    document = found(visit)
    if visit.params["tile_id"] == "new":
        kind = visit.query.get("kind", "")
        if kind not in KINDS:
            raise NotFoundError(f"there is no kind of tile {kind[:40]!r}", remedy="Choose one on the board.")
        body = document["body"]
        return tile_page(
            visit, document, pages_tile_form.new_tile(kind, free_row(parse(body).tiles), template_of(body))
        )
    return tile_page(visit, document, known_tile(document, visit.params["tile_id"]))


def tile_page(
    visit: Visit, document: dict[str, Any], shown: dict[str, Any], error: ArmillaryError | None = None
) -> Response:
    """The form with a tile's values, and what was wrong with them."""
    body, dashboard_id, tile_id = document["body"], document["id"], visit.params["tile_id"]
    view = form_of(visit, shown)
    view |= {
        "tile": shown,
        "is_new": tile_id == "new",
        "dashboard": body["name"],
        "etag": visit.query.get("etag") or document["etag"],
        "post": place(dashboard_id, "tiles", tile_id),
        "remove_post": place(dashboard_id, "tiles", tile_id, "remove"),
        "back": place(dashboard_id, "edit"),
        "error": error,
        "may_change": may(visit, KIND, body),
    }
    return visit.page("tile_form.html", status=400 if error else 200, view=view)


def form_of(visit: Visit, shown: dict[str, Any]) -> dict[str, Any]:
    """The fields of a tile's form, with what there is to choose from."""
    fields = {row.name for row in KINDS[shown["kind"]]}
    source = shown.get("source") or {}
    if source.get("device"):
        with contextlib.suppress(ArmillaryError):  # as people write one; what is wrong is said when it is sent
            source = {"device": meant(visit, source["device"])}
            shown = {**shown, "source": {"device": _called(visit, source["device"])}}
    offered = pages_tile_form.Offered(
        groups=_groups(visit) if "source" in fields else (),
        templates=_templates(visit) if "source" in fields else (),
        devices=_devices(visit) if "source" in fields else (),
        names=visit.sources.application.tile_choices(source) if source else {},
        pictures=_pictures(visit) if "image" in fields else (),
        dashboards=_dashboards(visit) if "target" in fields else (),
        called=_placed(visit, shown) if "places" in fields else {},
    )
    upload = {"page": uploads.NEW, "for_tile": uploads.FOR_TILE} if may(visit, "put_picture") else None
    return {**pages_tile_form.form_view(shown["kind"], shown, offered), "upload": upload}


def preview_of(visit: Visit, document: dict[str, Any], shown: dict[str, Any]) -> dict[str, Any]:
    """The view of one tile that is not kept yet, drawn on a dashboard's devices. Raises InvalidArgumentError."""
    lone = {**document["body"], "tiles": [shown]}
    return _views(visit, {**document, "body": lone}, parse(lone))[0]


def template_of(body: dict[str, Any]) -> str:
    """The device template that a dashboard is about; "" for any."""
    return str(body.get("template") or "")


def picture(visit: Visit) -> Response:
    """A picture that was uploaded, or one of an application template."""
    if visit.params["template"] == UPLOADED:
        return uploads.content(visit, visit.params["file"])
    seen = pictures.find(visit.params["template"], visit.params["file"])
    return Response(seen.content, media_type=seen.media_type, headers=dict(pictures.HEADERS))


def found(visit: Visit) -> dict[str, Any]:
    """The dashboard that the address names. Raises NotFoundError."""
    return dict(visit.sources.application.document(KIND, visit.params["dashboard_id"]))


def known_tile(document: dict[str, Any], tile_id: str) -> dict[str, Any]:
    """A tile of a dashboard. Raises NotFoundError."""
    for each in document["body"]["tiles"]:
        if each["id"] == tile_id:
            return dict(each)
    raise NotFoundError(f"there is no tile {tile_id[:40]!r}", remedy="Reload the dashboard.")


def _views(visit: Visit, document: dict[str, Any], shown: Dashboard, asked: TimeRange = OWN) -> list[dict[str, Any]]:
    range_s, end_ms = RANGES.get(asked.word), None
    if asked.is_fixed:
        begin, end = asked.bounds(visit.now, 0)
        range_s, end_ms = end - begin, end * 1000
    answered = visit.sources.application.tiles(
        document["body"], range_s=range_s, points=pages_dashboard.POINTS, end_ms=end_ms
    )
    return pages_dashboard.tile_views(shown, answered, document["id"], visit.now)


def _templates(visit: Visit) -> list[tuple[str, str]]:
    """Device templates, each once however many versions it has: its name and what people call it."""
    page = ask(visit, "list_templates", limit=CHOICES)
    return [(each["name"], each["display_name"]) for each in page["items"]]


def _groups(visit: Visit) -> list[tuple[str, str]]:
    page = visit.sources.application.documents("group", after=None, limit=CHOICES)
    return [(each["id"], str(each["body"].get("name") or each["id"])) for each in page["items"]]


def _called(visit: Visit, device_id: str) -> str:
    """A device's name, where it means that device alone; else its id."""
    name = visit.sources.application.labels([device_id])[device_id]
    with contextlib.suppress(ArmillaryError):
        return name if meant(visit, name) == device_id else device_id
    return device_id


def _placed(visit: Visit, shown: dict[str, Any]) -> dict[str, str]:
    """What devices of a floor plan's places are called, by id."""
    places = shown.get("places")
    listed = places if isinstance(places, list) else []
    ids = [each["device"] for each in listed if isinstance(each, dict) and isinstance(each.get("device"), str)]
    return dict(visit.sources.application.labels(ids)) if ids else {}


def _devices(visit: Visit) -> list[str]:
    if not may(visit, "fleet.devices"):
        return []
    page = visit.sources.fleet.devices({}, after=None, limit=CHOICES)
    return [str(each["name"]) for each in page["items"]]


def _dashboards(visit: Visit) -> list[tuple[str, str]]:
    page = visit.sources.application.documents(KIND, after=None, limit=CHOICES)
    return [(each["id"], str(each["body"]["name"])) for each in page["items"]]


def _pictures(visit: Visit) -> list[tuple[str, str]]:
    """Uploaded pictures by name, then those that application templates bring."""
    kept = ask(visit, "list_pictures", limit=CHOICES)["items"]
    shipped = [(f"{template}/{file}", f"{template}: {file}") for template, file in pictures.shipped()]
    return [*((each["image"], each["name"]) for each in kept), *shipped]

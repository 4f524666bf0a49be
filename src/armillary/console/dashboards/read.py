# SPDX-License-Identifier: Apache-2.0
"""Dashboards, read: the list, the view and its data, the board, the form of a tile, a command before it is sent."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse, Response

from armillary.console.dashboards import pages_dashboard, pages_tile_form, pictures
from armillary.console.dashboards.pages_dashboard import RANGES, place
from armillary.console.frame.asking import ask, may
from armillary.console.frame.console import Visit
from armillary.console.frame.sort import sorted_table
from armillary.errors import ArmillaryError, NotFoundError
from armillary.twin.author.dashboard import KINDS, Dashboard, TileSource, free_row, parse

KIND = "dashboard"
LIST_LINES = 100
# Groups and templates that a tile's form offers.
CHOICES = 200


def dashboards(visit: Visit) -> Response:
    """All dashboards."""
    page = visit.sources.application.documents(KIND, after=visit.query.get("after"), limit=LIST_LINES)
    view = pages_dashboard.list_view(page, visit.now)
    is_whole = not page["next"] and not visit.query.get("after")
    view["heads"], view["lines"] = sorted_table(pages_dashboard.COLUMNS, view["lines"], visit.here, is_whole=is_whole)
    view["next_href"] = f"/dashboards?after={page['next']}" if page["next"] else None
    view["may_make"] = may(visit, KIND)
    view["templates"] = [name for name, _ in _templates(visit)]
    return visit.page("dashboards.html", view=view)


def dashboard(visit: Visit) -> Response:
    """One dashboard."""
    document = found(visit)
    shown = parse(document["body"])
    asked = pages_dashboard.chosen_range(visit.query)
    views = _views(visit, document, shown)
    dashboard_id = document["id"]
    query = f"?range={asked}" if asked else ""
    view = {
        "name": shown.name,
        "description": shown.description,
        "tiles": views,
        "script": pages_dashboard.script_views(views),
        "ranges": [(name, words) for name, (words, _) in RANGES.items()],
        "range": asked,
        "has_map": any(each["kind"] == "map" and each["state"] == "ok" for each in views),
        "data_href": place(dashboard_id, "data") + query,
        "live_href": place(dashboard_id, "live"),
        "edit_href": place(dashboard_id, "edit"),
        "new_href": place(dashboard_id, "tiles", "new"),
        "may_change": may(visit, KIND, document["body"]),
        "may_call": may(visit, "application.call"),
    }
    return visit.page("dashboard.html", view=view)


def data(visit: Visit) -> Response:
    """The tiles as the page's script takes them."""
    document = found(visit)
    views = _views(visit, document, parse(document["body"]))
    return JSONResponse({"tiles": pages_dashboard.script_views(views)})


def edit(visit: Visit) -> Response:
    """The board on which tiles are moved."""
    document = found(visit)
    shown = parse(document["body"])
    names = _called(visit, [each.source for each in shown.tiles if each.source is not None])
    labels = visit.sources.application.tile_labels(document["body"])
    view = pages_dashboard.edit_view(document, shown, names, labels)
    view["may_change"] = may(visit, KIND, document["body"])
    view["kinds"] = [(kind, *words[:2]) for kind, words in pages_tile_form.WORDS.items()]
    return visit.page("dashboard_edit.html", view=view)


def tile(visit: Visit) -> Response:
    """The form of a tile, or of a new one."""
    document = found(visit)
    if visit.params["tile_id"] == "new":
        kind = visit.query.get("kind", "")
        if kind not in KINDS:
            raise NotFoundError(f"there is no kind of tile {kind[:40]!r}", remedy="Choose one on the board.")
        started = pages_tile_form.new_tile(kind, free_row(parse(document["body"]).tiles))
        return tile_page(visit, document, started)
    return tile_page(visit, document, known_tile(document, visit.params["tile_id"]))


def tile_page(
    visit: Visit, document: dict[str, Any], shown: dict[str, Any], error: ArmillaryError | None = None
) -> Response:
    """The form with a tile's values, and what was wrong with them."""
    body, dashboard_id, tile_id = document["body"], document["id"], visit.params["tile_id"]
    sources = [
        *((f"template:{name}", f"all devices of {words}") for name, words in _templates(visit)),
        *((f"group:{name}", f"group {words}") for name, words in _groups(visit)),
    ]
    view = pages_tile_form.form_view(shown["kind"], shown, sources, body.get("template") or "")
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


def picture(visit: Visit) -> Response:
    """A picture of an application template."""
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


def _views(visit: Visit, document: dict[str, Any], shown: Dashboard) -> list[dict[str, Any]]:
    _, range_s = RANGES[pages_dashboard.chosen_range(visit.query)]
    answered = visit.sources.application.tiles(document["body"], range_s=range_s, points=pages_dashboard.POINTS)
    return pages_dashboard.tile_views(shown, answered, document["id"], visit.now)


def _templates(visit: Visit) -> list[tuple[str, str]]:
    """Device templates, each once however many versions it has: its name and what people call it."""
    page = ask(visit, "list_templates", limit=CHOICES)
    return [(each["name"], each["display_name"]) for each in page["items"]]


def _groups(visit: Visit) -> list[tuple[str, str]]:
    page = visit.sources.application.documents("group", after=None, limit=CHOICES)
    return [(each["id"], str(each["body"].get("name") or each["id"])) for each in page["items"]]


def _called(visit: Visit, sources: list[TileSource]) -> dict[TileSource, str]:
    """What tiles are of, in words."""
    labels = visit.sources.application.labels([each.id for each in sources if each.kind == "device"])
    words = {"device": labels, "template": dict(_templates(visit)), "group": dict(_groups(visit))}
    return {each: words[each.kind].get(each.id, each.id) for each in sources}

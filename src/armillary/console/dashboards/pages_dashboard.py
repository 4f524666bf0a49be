# SPDX-License-Identifier: Apache-2.0
"""Dashboards as pages: the list, the view, the board on which tiles are moved. Pure: API answers in, views out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote

from markupsafe import Markup

from armillary.console.dashboards.pages_tiles import tile_view
from armillary.console.dashboards.tile_inputs import WORDS
from armillary.console.frame import sheet
from armillary.console.frame.words import counted, moment, sentence
from armillary.console.language.say import say
from armillary.twin.author.dashboard import Dashboard, reading_order

# What the range is called where each tile has its own.
OWN_RANGES: Final = say("tile defaults")
# Ways of a tile to other pages, as its view names them.
WAYS: Final = frozenset({"href", "head_href", "device_href"})
# Points of the widest tile: one for each two pixels of a wide screen.
POINTS = 600
DRAWN = frozenset({"line", "heatmap", "map"})


def place(dashboard_id: str, *more: str) -> str:
    """A path below a dashboard."""
    return "/".join(["/dashboards", quote(dashboard_id), *more])


# Columns of the list, and what each is sorted by.
COLUMNS: Mapping[str, Callable[[Mapping[str, Any]], object] | None] = MappingProxyType(
    {
        say("Dashboard"): lambda line: line["name"],
        say("Template"): lambda line: line["template"],
        say("Tiles"): lambda line: line["tiles"],
        say("Changed"): lambda line: line["changed"],
        say("By"): lambda line: line["by"],
    }
)


def list_view(page: Mapping[str, Any], now: int, search: str = "") -> dict[str, Any]:
    """All dashboards, or those that have ``search`` in their name or id."""
    lines = [
        {
            "href": place(item["id"]),
            "name": item["body"]["name"],
            "about": item["body"].get("description", ""),
            "template": item["body"].get("template") or "",
            "tiles": counted(len(item["body"]["tiles"]), "tile"),
            "changed": moment(item["changed_ms"] // 1000, now),
            "by": item["changed_by"],
        }
        for item in page["items"]
    ]
    said = _sentence(len(lines), more=bool(page["next"]))
    if search and not lines:
        said = sheet.nothing_found(search)
    return {"sentence": said, "detail": sheet.only_found(search) if search and lines else "", "lines": lines}


def _sentence(count: int, *, more: bool) -> str:
    if not count:
        return say("No dashboard yet.")
    many = counted(count, "dashboard")
    return say("{dashboards} on this page.", dashboards=many) if more else sentence(many)


def tile_views(shown: Dashboard, data: Mapping[str, Any], dashboard_id: str, now: int) -> list[dict[str, Any]]:
    """Every tile, in reading order."""
    views = [tile_view(tile, data.get(tile.id), dashboard_id, now) for tile in reading_order(shown.tiles)]
    for view in views:
        view["drawn"] = view["state"] == "ok" and (view["kind"] in DRAWN or "chart" in view)
    return views


def script_views(views: Sequence[Mapping[str, Any]], timed: Callable[[str], str] = str) -> dict[str, Any]:
    """What the page's script takes: the same views without what only the template lays out.

    ``timed`` makes of a way to another page one that shows the same stretch of time there.
    """
    return {view["id"]: _plain({**view, "html": None}, timed) for view in views}


def edit_view(document: Mapping[str, Any], shown: Dashboard, views: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The editor: every tile as it is shown, with its place, its grip, and the way to its form.

    ``shown`` is the document, read; ``views`` are its tiles, by :func:`tile_views`.
    """
    dashboard_id = document["id"]
    items = [
        {
            "view": view,
            "id": view["id"],
            "name": view["title"] or WORDS[view["kind"]][0],
            **{axis: getattr(shown.tile(view["id"]), axis) for axis in ("x", "y", "w", "h")},
            "href": place(dashboard_id, "tiles", view["id"]),
        }
        for view in views
    ]
    return {
        "name": shown.name,
        "etag": document["etag"],
        "items": items,
        "tiles": document["body"]["tiles"],
        "script": script_views(views),
        "sizes": {kind: words[2] for kind, words in WORDS.items()},
        "template": document["body"].get("template") or "",
        "catalog": document["body"].get("catalog") or "",
        "back": place(dashboard_id),
        "save_href": place(dashboard_id, "tiles"),
        "preview_href": place(dashboard_id, "preview"),
        "data_href": place(dashboard_id, "data"),
        "live_href": place(dashboard_id, "live"),
        "new_href": place(dashboard_id, "tiles", "new"),
        "delete_href": place(dashboard_id, "delete"),
    }


def with_tile(body: Mapping[str, Any], tile_id: str | None, tile: Mapping[str, Any]) -> dict[str, Any]:
    """A dashboard's body with one tile in the place of ``tile_id``'s, or added (None)."""
    if tile_id is None:
        return {**body, "tiles": [*body["tiles"], dict(tile)]}
    return {**body, "tiles": [dict(tile) if each["id"] == tile_id else each for each in body["tiles"]]}


def without_tile(body: Mapping[str, Any], tile_id: str) -> dict[str, Any]:
    """A dashboard's body without one tile."""
    return {**body, "tiles": [each for each in body["tiles"] if each["id"] != tile_id]}


def _plain(value: Any, timed: Callable[[str], str]) -> Any:
    if isinstance(value, Markup):
        return None
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if isinstance(value, Mapping):
        return {
            name: timed(each) if name in WAYS and isinstance(each, str) else _plain(each, timed)
            for name, each in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_plain(each, timed) for each in value]
    return value

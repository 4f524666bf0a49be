# SPDX-License-Identifier: Apache-2.0
"""Dashboards as pages: the list, the view, the board on which tiles are moved. Pure: API answers in, views out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from armillary.console.dashboards.pages_tiles import tile_view
from armillary.console.frame.words import counted, moment
from armillary.errors import InvalidArgumentError
from armillary.twin.author.dashboard import Dashboard, Tile, TileSource

# Word in the address -> (word on the button, seconds that every tile looks back). The first is each tile's own.
RANGES: Mapping[str, tuple[str, int | None]] = MappingProxyType(
    {
        "": ("as made", None),
        "1h": ("1 h", 3600),
        "24h": ("24 h", 86_400),
        "7d": ("7 d", 7 * 86_400),
        "30d": ("30 d", 30 * 86_400),
    }
)
# Points of the widest tile: one for each two pixels of a wide screen.
POINTS = 600
DRAWN = frozenset({"line", "heatmap", "map"})


def chosen_range(query: Mapping[str, str]) -> str:
    """The range that the address asks for."""
    asked = query.get("range", "")
    return asked if asked in RANGES else ""


def place(dashboard_id: str, *more: str) -> str:
    """A path below a dashboard."""
    return "/".join(["/dashboards", quote(dashboard_id), *more])


# Columns of the list, and what each is sorted by.
COLUMNS: Mapping[str, Callable[[Mapping[str, Any]], object] | None] = MappingProxyType(
    {
        "Dashboard": lambda line: line["name"],
        "Template": lambda line: line["template"],
        "Tiles": lambda line: line["tiles"],
        "Changed": lambda line: line["changed"],
        "By": lambda line: line["by"],
    }
)


def list_view(page: Mapping[str, Any], now: int) -> dict[str, Any]:
    """All dashboards."""
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
    more = " on this page" if page["next"] else ""
    said = f"{counted(len(lines), 'dashboard')}{more}." if lines else "No dashboard was made yet."
    return {"sentence": said, "lines": lines}


def tile_views(shown: Dashboard, data: Mapping[str, Any], dashboard_id: str, now: int) -> list[dict[str, Any]]:
    """Every tile, in reading order: by row, then by column."""
    order = sorted(shown.tiles, key=lambda tile: (tile.y, tile.x))
    views = [tile_view(tile, data.get(tile.id), dashboard_id, now) for tile in order]
    for view in views:
        view["drawn"] = view["state"] == "ok" and (view["kind"] in DRAWN or "chart" in view)
    return views


def script_views(views: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the page's script takes: the same views without what only the template lays out."""
    return {view["id"]: _plain({**view, "html": None}) for view in views}


def edit_view(
    document: Mapping[str, Any],
    shown: Dashboard,
    names: Mapping[TileSource, str],
    labels: Mapping[str, Sequence[Mapping[str, Any]]],
) -> dict[str, Any]:
    """The board: every tile with what it is, its grip, and the ways to its form.

    ``shown`` is the document, read; ``names`` are those of sources, ``labels`` what the values of each tile (by its id)
    are called.
    """
    dashboard_id = document["id"]
    tiles = [
        {
            "id": tile.id,
            "name": tile.title or tile.id,
            "x": tile.x,
            "y": tile.y,
            "w": tile.w,
            "h": tile.h,
            "about": about(tile, names, labels.get(tile.id, ())),
            "href": place(dashboard_id, "tiles", tile.id),
        }
        for tile in sorted(shown.tiles, key=lambda tile: (tile.y, tile.x))
    ]
    return {
        "name": shown.name,
        "etag": document["etag"],
        "tiles": tiles,
        "back": place(dashboard_id),
        "layout_href": place(dashboard_id, "layout"),
        "new_href": place(dashboard_id, "tiles", "new"),
        "delete_href": place(dashboard_id, "delete"),
    }


def about(tile: Tile, names: Mapping[TileSource, str], labels: Sequence[Mapping[str, Any]]) -> str:
    """A tile in a few words: its kind, what it shows and of which devices."""
    called = {each["name"]: str(each["display_name"]) for each in labels}
    shown = ", ".join(called.get(each, each) for each in tile.values or tile.options.get("names", ()))
    parts = [tile.kind.replace("-", " "), shown]
    if tile.source is not None:
        parts.append(f"{tile.source.kind} {names.get(tile.source, tile.source.id)}")
    return " · ".join(part for part in parts if part)


def moved(body: Mapping[str, Any], layout: object) -> dict[str, Any]:
    """A dashboard's body with its tiles where ``layout`` puts them; tiles that it does not name stay.

    Raises:
        InvalidArgumentError: the layout is not a list of places.
    """
    if not isinstance(layout, list) or not all(
        isinstance(each, dict) and isinstance(each.get("id"), str) for each in layout
    ):
        raise InvalidArgumentError(
            "layout: expected a list of places", remedy="Reload the page and move the tiles again."
        )
    places = {each.get("id"): {axis: each.get(axis) for axis in ("x", "y", "w", "h")} for each in layout}
    return {**body, "tiles": [{**tile, **places.get(tile["id"], {})} for tile in body["tiles"]]}


def with_tile(body: Mapping[str, Any], tile_id: str | None, tile: Mapping[str, Any]) -> dict[str, Any]:
    """A dashboard's body with one tile in the place of ``tile_id``'s, or added (None)."""
    if tile_id is None:
        return {**body, "tiles": [*body["tiles"], dict(tile)]}
    return {**body, "tiles": [dict(tile) if each["id"] == tile_id else each for each in body["tiles"]]}


def without_tile(body: Mapping[str, Any], tile_id: str) -> dict[str, Any]:
    """A dashboard's body without one tile."""
    return {**body, "tiles": [each for each in body["tiles"] if each["id"] != tile_id]}


def _plain(value: Any) -> Any:
    if isinstance(value, Markup):
        return None
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return value

# SPDX-License-Identifier: Apache-2.0
"""Pages of the search: what was found, and the lines of the command palette."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response

from armillary.api.views.search import KINDS, MAX_COUNTED
from armillary.console.frame.asking import ask, may, show
from armillary.console.frame.console import Visit
from armillary.console.search import pages_search as pages

# Hits of each kind beside the others, and in the palette, which shows a few lines.
HITS = 8
LINES = 5


def search(visit: Visit) -> Response:
    """What is called so: of each kind the first, or all of one kind."""
    text, kind = visit.query.get("q", ""), visit.query.get("kind", "")
    if not text.strip():
        return show(visit, pages.first_page())
    kinds = (kind,) if kind in KINDS else ()
    found = ask(visit, "search", text=text, kinds=kinds, limit=MAX_COUNTED if kinds else HITS)
    return show(visit, pages.search_page(found, kind if kinds else ""))


def lines(visit: Visit) -> Response:
    """The palette's lines for what was typed so far, as JSON."""
    text = visit.query.get("q", "").strip()
    found = ask(visit, "search", text=text, kinds=(), limit=LINES) if text else {"kinds": (), "items": ()}
    actions = [each for each in pages.ACTIONS if not each.question or may(visit, each.question)]
    return JSONResponse(visit.said(pages.lines(found, text, actions, visit.timed)))

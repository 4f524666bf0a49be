# SPDX-License-Identifier: Apache-2.0
"""Cases, read: asked of the sources, laid out as sheets, and drafts to keep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from armillary.console.evidence import pages_case, pages_cases
from armillary.console.evidence.read_traces import kept
from armillary.console.frame.asking import ask, catalogs, in_order, may, ordered_sheet, show
from armillary.console.frame.console import Visit
from armillary.console.frame.form import Wrong
from armillary.console.frame.sheet import LIST_LINES

# What a list is asked for -> only open cases, only closed ones, all.
_ONLY: Mapping[str, bool | None] = {"": True, "closed": False, "all": None}
_PREFILLED = ("kind", "title", "catalog", "product", "subject", "reference")


def cases(visit: Visit) -> Response:
    """Cases with their clocks."""
    wanted, after = visit.query.get("only", ""), visit.query.get("after")
    asked = wanted if wanted in _ONLY else ""
    found = in_order(
        visit,
        pages_cases.BY_SOURCE,
        lambda **at: ask(visit, "list_cases", is_open=_ONLY[asked], limit=LIST_LINES, **at),
    )
    new, is_part = pages_cases.NEW if may(visit, "begin_case") else "", bool(after) and not found.is_sorted
    made = pages_cases.list_sheet(found.page, asked=asked, new=new, is_part=is_part, now=visit.now)
    return show(visit, ordered_sheet(made, found))


def case(visit: Visit) -> Response:
    """One case."""
    return case_page(visit, None)


def case_page(visit: Visit, wrong: tuple[str, Mapping[str, str], Wrong] | None) -> Response:
    """The page; ``wrong`` is which form was refused, as it was sent, and why."""
    found = ask(visit, "show_case", case_id=visit.params["case_id"])
    may_add = may(visit, "add_to_case")
    made = pages_case.case_sheet(found, found["fields"], may_add=may_add, wrong=wrong, now=visit.now)
    return show(visit, made, 400 if wrong else 200)


def new_case(visit: Visit) -> Response:
    """The form of a new case; an address may say what it is about."""
    sent = {name: visit.query[name] for name in _PREFILLED if name in visit.query}
    return new_page(visit, sent, None)


def new_page(visit: Visit, sent: Mapping[str, str], wrong: Wrong | None) -> Response:
    """The form as it was sent, and what was wrong with it."""
    whole = visit.operator.catalog is None
    return show(visit, pages_cases.new_sheet(catalogs(visit), sent, wrong, whole=whole), 400 if wrong else 200)


def draft(visit: Visit) -> Response:
    """A draft of a stage's report."""
    return show(visit, pages_case.draft_sheet(_draft(visit), visit.now))


def draft_text(visit: Visit) -> Response:
    """A draft as text, to be kept."""
    found = _draft(visit)
    headers = {"Content-Disposition": f'attachment; filename="draft-{found["stage"]}.txt"'}
    return Response(found["text"], media_type="text/plain", headers=headers)


def draft_document(visit: Visit) -> Response:
    """A draft as JSON, to be kept."""
    found = _draft(visit)
    return kept(found, f"draft-{found['stage']}")


def _draft(visit: Visit) -> dict[str, Any]:
    asked = visit.query.get("stage", "")
    stage = asked if asked in pages_cases.STAGES else next(iter(pages_cases.STAGES))
    return ask(visit, "draft_case", case_id=visit.params["case_id"], stage=stage)

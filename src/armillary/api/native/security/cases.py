# SPDX-License-Identifier: Apache-2.0
"""Native routes of cases: what must be reported to authorities, by when, and what was submitted."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Query
from pydantic import Field
from starlette.requests import Request

from armillary.api.http.route import CONTRIBUTOR, READER, Route
from armillary.api.http.routes import operator_of, service_of
from armillary.api.native.parameters import V1, CatalogFilter, Limit, SortedNumberAfter, StrictBody, sort_query
from armillary.engines.records.order_words import CASES

CASE_KINDS: Final = ("exploited-vulnerability", "severe-incident")
CASE_STAGES: Final = ("24h", "72h", "final")
CASE_SUBJECTS: Final = ("advisory", "finding", "vulnerability-report")
MAX_AT: Final = (1 << 53) - 1  # what a JSON number is exact for

At = Annotated[int | None, Field(ge=1, le=MAX_AT)]
Reason = Annotated[str, Field(max_length=4000)]
StageQuery = Annotated[str, Query(max_length=16, json_schema_extra={"enum": list(CASE_STAGES)})]
OpenFilter = Annotated[bool | None, Query(alias="open", description="Only open cases, or only closed ones")]


class SubjectBody(StrictBody):
    """What a case is about: an `advisory`, a `finding` or a `vulnerability-report`, and its id."""

    subject: Annotated[str, Field(json_schema_extra={"enum": list(CASE_SUBJECTS)}, max_length=32)]
    id: Annotated[str, Field(min_length=1, max_length=200)]


class AwareBody(StrictBody):
    """Who is aware of what, and since when.

    Attributes:
        kind: `exploited-vulnerability` or `severe-incident`.
        at: Since when, Unix seconds; left out: now. It is never changed.
        title: What happened in a few words; left out: the id of what it is about.
        product: The only product that it concerns; left out: all of the catalog.
        about: What it is about, where that is known here.
        text: How it became known.
    """

    kind: Annotated[str, Field(json_schema_extra={"enum": list(CASE_KINDS)}, max_length=32)]
    at: At = None
    title: Annotated[str, Field(max_length=200)] = ""
    product: Annotated[str | None, Field(min_length=1, max_length=50)] = None
    about: SubjectBody | None = None
    text: Reason = ""


class CorrectionBody(StrictBody):
    """Another time of becoming aware, and why. The clocks follow it only if it is earlier."""

    at: Annotated[int, Field(ge=1, le=MAX_AT)]
    text: Reason


class FixBody(StrictBody):
    """Since when a fix or mitigation is available; left out: now."""

    at: At = None
    text: Reason = ""


class SubmittedBody(StrictBody):
    """A stage that was submitted.

    Attributes:
        stage: `24h`, `72h` or `final`.
        at: When, Unix seconds; left out: now.
        reference: What the authority calls it.
    """

    stage: Annotated[str, Field(json_schema_extra={"enum": list(CASE_STAGES)}, max_length=16)]
    at: At = None
    reference: Annotated[str, Field(max_length=200)] = ""
    text: Reason = ""


class NoteBody(StrictBody):
    """A note; with `field` it is what drafts say there: what only a person knows."""

    text: Reason
    field: Annotated[str, Field(max_length=64)] = ""


class CloseBody(StrictBody):
    """Why a case is closed."""

    text: Reason


def list_cases(
    request: Request,
    catalog: CatalogFilter = None,
    is_open: OpenFilter = None,
    limit: Limit = 50,
    after: SortedNumberAfter = None,
    sort: Annotated[str | None, sort_query(CASES)] = None,
) -> dict[str, Any]:
    """Cases, newest first or sorted, each with its clocks."""
    from armillary.api.views.security import cases as views  # noqa: PLC0415 - memory: few services have cases

    service = service_of(request)
    page = service.casework.cases.list(catalog, is_open=is_open, limit=limit, after=after, order=sort or "")
    return views.cases(page, service.context.now())


def become_aware(request: Request, body: AwareBody, catalog: CatalogFilter = None) -> dict[str, Any]:
    """Begin a case: somebody is aware of an exploited vulnerability or a severe incident, and the clocks run."""
    from armillary.api.views.security import cases as views  # noqa: PLC0415 - memory, as above
    from armillary.service.cases.cases import Said  # noqa: PLC0415 - memory, as above

    service = service_of(request)
    said = Said(kind="aware", at=body.at, text=body.text, subject=_subject(body.about))
    made = service.casework.cases.aware(
        body.kind, said, title=body.title, catalog=catalog, product=body.product, actor=operator_of(request).name
    )
    return views.case(made, service.context.now())


def show_case(request: Request, case_id: UUID, catalog: CatalogFilter = None) -> dict[str, Any]:
    """A case: its entries, and each stage with the time when it is due and the seconds that remain."""
    from armillary.api.views.security import cases as views  # noqa: PLC0415 - memory, as above

    service = service_of(request)
    return views.case(service.casework.cases.get(case_id, catalog), service.context.now())


def correct_case(
    request: Request, case_id: UUID, body: CorrectionBody, catalog: CatalogFilter = None
) -> dict[str, Any]:
    """State another time of becoming aware; the first stays, and the clocks follow the earliest."""
    return _added(request, case_id, catalog, kind="correction", at=body.at, text=body.text)


def refer_case(request: Request, case_id: UUID, body: SubjectBody, catalog: CatalogFilter = None) -> dict[str, Any]:
    """Say that a case is about one more advisory, finding or vulnerability report."""
    return _added(request, case_id, catalog, kind="reference", subject=_subject(body))


def fix_available(request: Request, case_id: UUID, body: FixBody, catalog: CatalogFilter = None) -> dict[str, Any]:
    """Record that a fix or mitigation is available: the clock of the final report begins."""
    return _added(request, case_id, catalog, kind="fix-available", at=body.at, text=body.text)


def submit_case(request: Request, case_id: UUID, body: SubmittedBody, catalog: CatalogFilter = None) -> dict[str, Any]:
    """Record that a stage was submitted to the authority, and what the authority calls it."""
    said = {"stage": body.stage, "reference": body.reference, "text": body.text}
    return _added(request, case_id, catalog, kind="submitted", at=body.at, **said)


def note_case(request: Request, case_id: UUID, body: NoteBody, catalog: CatalogFilter = None) -> dict[str, Any]:
    """Add a note, or fill a gap of the drafts."""
    from armillary.api.views.security import cases as views  # noqa: PLC0415 - memory, as above

    service, actor = service_of(request), operator_of(request).name
    made = service.casework.note(case_id, body.text, field=body.field, catalog=catalog, actor=actor)
    return views.case(made, service.context.now())


def draft_case(request: Request, case_id: UUID, stage: StageQuery, catalog: CatalogFilter = None) -> dict[str, Any]:
    """The draft of a report: each field with its sources, what is missing by name, and all of it as text."""
    from armillary.regulation.draft import as_document  # noqa: PLC0415 - memory, as above

    return as_document(service_of(request).casework.drafts.make(case_id, stage, catalog))


def close_case(request: Request, case_id: UUID, body: CloseBody, catalog: CatalogFilter = None) -> dict[str, Any]:
    """Close a case: nothing more is to be done, and nothing can be added."""
    return _added(request, case_id, catalog, kind="closed", text=body.text)


def _added(request: Request, case_id: UUID, catalog: str | None, **said: Any) -> dict[str, Any]:
    from armillary.api.views.security import cases as views  # noqa: PLC0415 - memory, as above
    from armillary.service.cases.cases import Said  # noqa: PLC0415 - memory, as above

    service, actor = service_of(request), operator_of(request).name
    made = service.casework.cases.add(case_id, Said(**said), catalog=catalog, actor=actor)
    return views.case(made, service.context.now())


def _subject(body: SubjectBody | None) -> Any:
    from armillary.service.cases.subjects import Subject  # noqa: PLC0415 - memory, as above

    return None if body is None else Subject(body.subject, body.id)


_row = partial(Route, tag="cases", narrowed=True)
_CASE = V1 + "/cases/{case_id}"
ROUTES = (
    _row("GET", V1 + "/cases", list_cases, READER),
    _row("POST", V1 + "/cases", become_aware, CONTRIBUTOR, status=201),
    _row("GET", _CASE, show_case, READER),
    _row("POST", _CASE + "/corrections", correct_case, CONTRIBUTOR),
    _row("POST", _CASE + "/references", refer_case, CONTRIBUTOR),
    _row("POST", _CASE + "/fix-available", fix_available, CONTRIBUTOR),
    _row("POST", _CASE + "/submissions", submit_case, CONTRIBUTOR),
    _row("POST", _CASE + "/notes", note_case, CONTRIBUTOR),
    _row("GET", _CASE + "/draft", draft_case, READER),
    _row("POST", _CASE + "/close", close_case, CONTRIBUTOR),
)

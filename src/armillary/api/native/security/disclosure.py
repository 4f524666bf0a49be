# SPDX-License-Identifier: Apache-2.0
"""Native routes of disclosure: what ``security.txt`` says, reports from strangers as JSON, and their inbox."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Literal

from fastapi import Path, Query
from pydantic import Field
from starlette.requests import Request

from armillary.api.http.route import ADMINISTRATOR, CONTRIBUTOR, PUBLIC, READER, Route
from armillary.api.http.routes import operator_of, service_of
from armillary.api.native.parameters import V1, CatalogFilter, Limit, Name, NumberAfter, StrictBody

REFERENCE_PATTERN = "^[Vv][Rr]-[A-Za-z2-7]{4}-[A-Za-z2-7]{4}-[A-Za-z2-7]{4}$"
ReferencePath = Annotated[
    str, Path(max_length=40, description="Reference of a report", json_schema_extra={"pattern": REFERENCE_PATTERN})
]
StateQuery = Annotated[
    Literal["new", "acknowledged", "in-work", "fixed", "closed", "open"] | None,
    Query(description="Only reports in this state; `open`: all but closed ones"),
]
Uris = Annotated[list[Annotated[str, Field(max_length=500)]], Field(max_length=16)]
Days = Annotated[int, Field(ge=1, le=90)]


class DisclosureBody(StrictBody):
    """What is published; what is not named stays as it is.

    Attributes:
        contacts: Where reports go: `mailto:`, `tel:` or `https://`, the preferred first.
        languages: Languages that are read: `en`, `de`.
        canonical: Where the file is; left empty: at this service.
        encryption: Where the key is that messages are encrypted with.
        acknowledgments: Where reporters are thanked.
        policy: Where the policy is.
        hiring: Where jobs are.
        csaf: Where the provider metadata of CSAF advisories are.
        is_open: Whether the page and the route for reports take any.
        base_url: The public address, `https://host`; empty for this service's own.
        acknowledge_days: Within so many days receipt is acknowledged.
        status_days: Every so many days reporters hear how it stands.
        signed_file: A file of your own, signed with OpenPGP, that is served until it expires; empty for none.
    """

    contacts: Uris = Field(default=[])
    languages: Annotated[list[Annotated[str, Field(max_length=40)]], Field(max_length=20)] = Field(default=[])
    canonical: Uris = Field(default=[])
    encryption: Uris = Field(default=[])
    acknowledgments: Uris = Field(default=[])
    policy: Uris = Field(default=[])
    hiring: Uris = Field(default=[])
    csaf: Uris = Field(default=[])
    is_open: bool = False
    base_url: Annotated[str, Field(max_length=300)] = ""
    acknowledge_days: Days = 5
    status_days: Days = 30
    signed_file: Annotated[str, Field(max_length=32 << 10)] = ""


class ReportBody(StrictBody):
    """A vulnerability that somebody found. Files cannot be sent: say where they are.

    Attributes:
        title: What it is, in a few words.
        description: What was found, and how it can be seen again.
        product: Which product.
        version: Which version of its software.
        contact: How its writer is reached; without it nobody can answer.
        exploited: Whether its writer knows it to be exploited.
        publication: When its writer means to publish it.
    """

    title: Annotated[str, Field(min_length=1, max_length=200)]
    description: Annotated[str, Field(min_length=1, max_length=20_000)]
    product: Annotated[str, Field(max_length=200)] = ""
    version: Annotated[str, Field(max_length=100)] = ""
    contact: Annotated[str, Field(max_length=200)] = ""
    exploited: Literal["unknown", "yes", "no"] = "unknown"
    publication: Annotated[str, Field(max_length=200)] = ""


class ActionBody(StrictBody):
    """What is done about a report, and a note of it, which is kept sealed as the report is.

    Attributes:
        action: `acknowledge`, `work`, `fix`, `tell` (its writer was told how it stands), `close` or `reopen`.
        note: What was said or found; needed to close.
    """

    action: Literal["acknowledge", "work", "fix", "tell", "close", "reopen"]
    note: Annotated[str, Field(max_length=4000)] = ""


class AssignBody(StrictBody):
    """Whom a report concerns: who speaks for this catalog sees it, too."""

    catalog: Name
    product: Name | None = None


def show_disclosure(request: Request) -> dict[str, Any]:
    """What is published, how many reports are in which state, and how many were refused since the start."""
    from armillary.api.views.security import disclosure as views  # noqa: PLC0415 - memory: few services take reports

    return views.policy(service_of(request))


def set_disclosure(request: Request, body: DisclosureBody) -> dict[str, Any]:
    """Say where strangers report vulnerabilities: `/.well-known/security.txt`, the page, the published times."""
    changes = body.model_dump(exclude_unset=True)
    service_of(request).disclosure.policies.set(changes, actor=operator_of(request).name)
    return show_disclosure(request)


def clear_disclosure(request: Request) -> dict[str, Any]:
    """Publish nothing any more, and take no reports; those that came stay."""
    service_of(request).disclosure.policies.clear(actor=operator_of(request).name)
    return show_disclosure(request)


def report_vulnerability(request: Request, body: ReportBody) -> dict[str, Any]:
    """Report a vulnerability; no token is needed. The answer has the reference number, which is shown this once."""
    from armillary.api.views.security import disclosure as views  # noqa: PLC0415 - memory, as above
    from armillary.wire.disclosure.submission import read_fields  # noqa: PLC0415 - memory, as above

    service = service_of(request)
    address = "" if request.client is None else request.client.host
    row = service.disclosure.reports.receive(read_fields(body.model_dump()), address=address)
    return views.receipt(service, row)


def list_reports(
    request: Request,
    catalog: CatalogFilter = None,
    state: StateQuery = None,
    limit: Limit = 50,
    after: NumberAfter = None,
) -> dict[str, Any]:
    """Reports, newest first, without what they say."""
    from armillary.api.views.security import disclosure as views  # noqa: PLC0415 - memory, as above

    return views.reports(service_of(request).disclosure.reports.list(catalog, state=state, limit=limit, after=after))


def show_report(request: Request, reference: ReferencePath, catalog: CatalogFilter = None) -> dict[str, Any]:
    """A report with what it says and what was done about it; that it was read is in the audit log."""
    from armillary.api.views.security import disclosure as views  # noqa: PLC0415 - memory, as above

    reports, actor = service_of(request).disclosure.reports, operator_of(request).name
    return views.read_report(reports.read(reference, catalog, actor=actor))


def act_on_report(
    request: Request, reference: ReferencePath, body: ActionBody, catalog: CatalogFilter = None
) -> dict[str, Any]:
    """Acknowledge a report, work on it, fix, tell its writer how it stands, close or reopen it."""
    from armillary.api.views.security import disclosure as views  # noqa: PLC0415 - memory, as above

    reports, actor = service_of(request).disclosure.reports, operator_of(request).name
    return views.report(reports.act(reference, body.action, note=body.note, catalog=catalog, actor=actor))


def assign_report(request: Request, reference: ReferencePath, body: AssignBody) -> dict[str, Any]:
    """Give a report to the catalog, and to the product, that it concerns."""
    from armillary.api.views.security import disclosure as views  # noqa: PLC0415 - memory, as above

    reports, actor = service_of(request).disclosure.reports, operator_of(request).name
    return views.report(reports.assign(reference, body.catalog, body.product, actor=actor))


_row = partial(Route, tag="disclosure")
_REPORTS = V1 + "/vulnerability-reports"
_REPORT = _REPORTS + "/{reference}"
ROUTES = (
    _row("GET", V1 + "/disclosure", show_disclosure, READER),
    _row("PATCH", V1 + "/disclosure", set_disclosure, ADMINISTRATOR),
    _row("DELETE", V1 + "/disclosure", clear_disclosure, ADMINISTRATOR),
    _row("POST", V1 + "/public/vulnerability-reports", report_vulnerability, PUBLIC, status=201, body_limit=96 << 10),
    _row("GET", _REPORTS, list_reports, READER, narrowed=True),
    _row("GET", _REPORT, show_report, READER, narrowed=True),
    _row("POST", _REPORT + "/actions", act_on_report, CONTRIBUTOR, narrowed=True),
    _row("POST", _REPORT + "/assign", assign_report, CONTRIBUTOR),
)

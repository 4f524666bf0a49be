# SPDX-License-Identifier: Apache-2.0
"""Answers about evidence: traces, products, cases, dossiers, vulnerability reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from armillary.api.http.documents import row_document
from armillary.api.views.security import products as views_products, traces as views_traces
from armillary.console.sources.request_context import RequestContext, uuid_of
from armillary.console.sources.signed_in import Document
from armillary.wire.transparency.entry import AUDIT

# Traces ------------------------------------------------------------------------------------------------------------


def trace_device(by: RequestContext, device_id: str) -> Document:
    """A device's life; an owner sees nothing from before owning it, audit lines come for who sees all catalogs."""
    since = -(-by.since_ms(device_id) // 1000)
    return views_traces.of_device(by.service, device_id, since=since, with_audit=by.catalog is None)


def trace_key(by: RequestContext, key_serial: str) -> Document:
    """A certificate of the service and all that its key signed."""
    return views_traces.of_key(by.service, key_serial)


def trace_product(by: RequestContext, catalog: str, product: str) -> Document:
    """A product with its keys, releases, images, advisories and groups."""
    return views_traces.of_product(by.service, catalog, product, with_audit=by.catalog is None)


def prove_audit(by: RequestContext, numbers: Sequence[int]) -> Document:
    """A proof ``bundle`` (bytes) of audit lines by their numbers."""
    from armillary.wire.transparency.bundle import encode  # noqa: PLC0415 - few pages are asked for it

    return {"bundle": encode(by.service.transparency.logs.prove(AUDIT, tuple(sorted(set(numbers)))))}


# Products ----------------------------------------------------------------------------------------------------------


def list_products(by: RequestContext, support: str | None) -> Document:
    """Products with where their support stands."""
    return views_products.listed(by.service, by.catalog, support)


def declare_product(by: RequestContext, catalog: str, product: str, facts: Mapping[str, object]) -> Document:
    """Declare facts of a product."""
    return row_document(by.service.registry.products.declare(catalog, product, facts, actor=by.operator.name))


# Cases -------------------------------------------------------------------------------------------------------------


def list_cases(
    by: RequestContext,
    is_open: bool | None,  # noqa: FBT001 - named by every caller
    limit: int,
    after: str | None,
    order: str = "",
) -> Document:
    """A page of cases, newest first or in an order, each with its clocks."""
    from armillary.api.views.security import cases as views_cases  # noqa: PLC0415 - memory: few services have cases

    page = by.service.casework.cases.list(by.catalog, is_open=is_open, limit=limit, after=after, order=order)
    return views_cases.cases(page, by.service.context.now())


def show_case(by: RequestContext, case_id: str) -> Document:
    """One case with its entries and clocks, and ``fields`` of drafts, which notes may fill."""
    from armillary.api.views.security import cases as views_cases  # noqa: PLC0415 - memory, as above
    from armillary.service.cases.drafts import fields  # noqa: PLC0415 - memory, as above

    found = by.service.casework.cases.get(uuid_of("case", case_id), by.catalog)
    return {**views_cases.case(found, by.service.context.now()), "fields": list(fields())}


def draft_case(by: RequestContext, case_id: str, stage: str) -> Document:
    """The draft of a stage's report."""
    from armillary.regulation.draft import as_document  # noqa: PLC0415 - memory, as above

    return as_document(by.service.casework.drafts.make(uuid_of("case", case_id), stage, by.catalog))


def begin_case(
    by: RequestContext, kind: str, catalog: str | None, product: str | None, said: Mapping[str, Any]
) -> Document:
    """Begin a case: ``said`` has ``title``, ``at``, ``text``, ``subject`` and ``reference``."""
    from armillary.api.views.security import cases as views_cases  # noqa: PLC0415 - memory, as above
    from armillary.service.cases.cases import Said  # noqa: PLC0415 - memory, as above
    from armillary.service.cases.subjects import Subject  # noqa: PLC0415 - memory, as above

    about = Subject(said["subject"], said["reference"]) if said["subject"] else None
    entry = Said(kind="aware", at=said["at"], text=said["text"], subject=about)
    owner, actor = by.catalog or catalog, by.operator.name
    made = by.service.casework.cases.aware(
        kind, entry, title=said["title"], catalog=owner, product=product, actor=actor
    )
    return views_cases.case(made, by.service.context.now())


def add_to_case(by: RequestContext, case_id: str, said: Mapping[str, Any]) -> Document:
    """Add an entry to a case: ``said`` has its ``kind`` and what that kind says; with ``field`` a note for drafts."""
    from armillary.api.views.security import cases as views_cases  # noqa: PLC0415 - memory, as above
    from armillary.service.cases.cases import Said  # noqa: PLC0415 - memory, as above
    from armillary.service.cases.subjects import Subject  # noqa: PLC0415 - memory, as above

    work, number = by.service.casework, uuid_of("case", case_id)
    catalog, actor = by.catalog, by.operator.name
    if said["kind"] == "note":
        made = work.note(number, said["text"], field=said["field"], catalog=catalog, actor=actor)
    else:
        about = Subject(said["subject"], said["reference"]) if said["subject"] else None
        stage = {"stage": said["stage"], "reference": said["reference"]} if said["kind"] == "submitted" else {}
        entry = Said(kind=said["kind"], at=said["at"], text=said["text"], subject=about, **stage)
        made = work.cases.add(number, entry, catalog=catalog, actor=actor)
    return views_cases.case(made, by.service.context.now())


# Dossiers ----------------------------------------------------------------------------------------------------------


def list_dossiers(by: RequestContext, limit: int, after: str | None) -> Document:
    """A page of dossiers, newest first."""
    from armillary.api.views.security import dossiers as views_dossiers  # noqa: PLC0415 - memory: few make dossiers

    return views_dossiers.dossiers(by.service, by.service.dossiers.list(by.catalog, limit=limit, after=after))


def show_dossier(by: RequestContext, dossier_id: str) -> Document:
    """One dossier with its statements and gaps."""
    from armillary.api.views.security import dossiers as views_dossiers  # noqa: PLC0415 - memory, as above

    found = by.service.dossiers.get(uuid_of("dossier", dossier_id), by.catalog)
    return views_dossiers.content(by.service, found)


def dossier_file(by: RequestContext, dossier_id: str) -> Document:
    """The ``file`` of a dossier (bytes)."""
    return {"file": by.service.dossiers.file(uuid_of("dossier", dossier_id), by.catalog)}


def dossier_key(by: RequestContext) -> Document:
    """The key that verifies dossiers."""
    return {"verifier_key": by.service.dossiers.key.text}


def make_dossier(by: RequestContext, catalog: str | None, product: str | None) -> Document:
    """Gather what is held now, and sign it."""
    from armillary.api.views.security import dossiers as views_dossiers  # noqa: PLC0415 - memory, as above

    made = by.service.dossiers.create(by.catalog or catalog, product, actor=by.operator.name)
    return views_dossiers.dossier(by.service, made)


def export_vex(by: RequestContext, form: str) -> Document:
    """What is known of vulnerabilities in images and releases, for customers."""
    from armillary.service.dossier.vex_export import export  # noqa: PLC0415 - memory, as above

    return export(by.service.context, by.service.advisories, form, by.catalog, None)


# Vulnerability reports ---------------------------------------------------------------------------------------------


def list_reports(by: RequestContext, state: str | None, limit: int, after: str | None) -> Document:
    """A page of vulnerability reports, newest first, without what they say."""
    from armillary.api.views.security import disclosure as views_disclosure  # noqa: PLC0415 - memory: few take reports

    found = by.service.disclosure.reports.list(by.catalog, state=state, limit=limit, after=after)
    return views_disclosure.reports(found)


def read_report(by: RequestContext, reference: str) -> Document:
    """A report with what it says; the reading is audited."""
    from armillary.api.views.security import disclosure as views_disclosure  # noqa: PLC0415 - memory, as above

    found = by.service.disclosure.reports.read(reference, by.catalog, actor=by.operator.name)
    return views_disclosure.read_report(found)


def act_on_report(by: RequestContext, reference: str, action: str, note: str) -> Document:
    """Acknowledge a report, work on it, tell its writer, fix, close or reopen it."""
    from armillary.api.views.security import disclosure as views_disclosure  # noqa: PLC0415 - memory, as above

    reports, actor = by.service.disclosure.reports, by.operator.name
    return views_disclosure.report(reports.act(reference, action, note=note, catalog=by.catalog, actor=actor))


def assign_report(by: RequestContext, reference: str, owner: str, product: str | None) -> Document:
    """Give a report to the catalog (``owner``) and product that it concerns."""
    from armillary.api.views.security import disclosure as views_disclosure  # noqa: PLC0415 - memory, as above

    reports, actor = by.service.disclosure.reports, by.operator.name
    return views_disclosure.report(reports.assign(reference, owner, product, actor=actor))


def show_disclosure(by: RequestContext) -> Document:
    """What is published about where strangers report vulnerabilities."""
    from armillary.api.views.security import disclosure as views_disclosure  # noqa: PLC0415 - memory, as above

    return views_disclosure.policy(by.service)

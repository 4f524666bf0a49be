# SPDX-License-Identifier: Apache-2.0
"""Cases, begun and added to: as the API does it, under the operator's name."""

from __future__ import annotations

from starlette.responses import Response

from armillary.console.evidence import pages_case, pages_cases, read_cases
from armillary.console.frame.action_checks import Form, verb_of
from armillary.console.frame.asking import ask, sent_catalog
from armillary.console.frame.console import Visit
from armillary.console.frame.flash import done
from armillary.console.frame.form import wrong_of
from armillary.console.frame.times import typed_time
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError


def begin(visit: Visit, form: Form) -> Response:
    """Say that one is aware: the clocks run from then on."""
    catalog = sent_catalog(visit, form)
    try:
        said = {
            "title": " ".join(form.get("title", "").split()),
            "at": typed_time("aware since", form.get("at", "")),
            "text": form.get("text", "").strip(),
            "subject": form.get("subject", ""),
            "reference": form.get("reference", "").strip(),
        }
        product = form.get("product", "").strip() or None
        made = ask(visit, "begin_case", kind=form.get("kind", ""), catalog=catalog, product=product, said=said)
    except (ConflictError, InvalidArgumentError, NotFoundError) as error:
        return read_cases.new_page(visit, form, wrong_of(error))
    return done(pages_cases.place(made["case_id"]), "aware")


def add(visit: Visit, form: Form) -> Response:
    """Add an entry to a case: a submission, a fix, a note, a reference, a correction, or that it is closed."""
    verb = verb_of(visit, pages_case.ADDS, "cases", "case's page")
    case_id = visit.params["case_id"]
    try:
        said = {
            "kind": pages_case.ADDS[verb],
            "at": typed_time("when", form.get("at", "")),
            "text": form.get("text", "").strip(),
            "stage": form.get("stage", ""),
            "reference": form.get("reference", "").strip(),
            "subject": form.get("subject", ""),
            "field": form.get("field", ""),
        }
        ask(visit, "add_to_case", case_id=case_id, said=said)
    except (ConflictError, InvalidArgumentError, NotFoundError) as error:
        return read_cases.case_page(visit, (verb, form, wrong_of(error)))
    return done(pages_cases.place(case_id), "case-entry")

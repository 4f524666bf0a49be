# SPDX-License-Identifier: Apache-2.0
"""Addresses of the pages of evidence; ``console/application.py`` puts them into its tables."""

from __future__ import annotations

from typing import Final

from armillary.console.evidence import change_cases, dossiers, read_cases, read_products, read_traces, reports
from armillary.console.frame.rows import Change, Changer, Reader

_DEVICE, _KEY = "/traces/device/{device_id}", "/traces/key/{key_serial}"
_PRODUCT, _CASE = "/traces/product/{catalog}/{product}", "/cases/{case_id}"
_REPORT: Final = "/vulnerability-reports/{reference}"
_DOSSIER: Final = "/dossiers/{dossier_id}"

READ: Final[tuple[tuple[str, Reader], ...]] = (
    ("/traces", read_traces.traces),
    (_DEVICE, read_traces.device_trace),
    (f"{_DEVICE}/trace.json", read_traces.device_document),
    (f"{_DEVICE}/proof.json", read_traces.device_proof),
    (_KEY, read_traces.key_trace),
    (f"{_KEY}/trace.json", read_traces.key_document),
    (f"{_KEY}/proof.json", read_traces.key_proof),
    ("/products", read_products.products),
    (_PRODUCT, read_products.product),
    (f"{_PRODUCT}/trace.json", read_products.product_document),
    (f"{_PRODUCT}/proof.json", read_products.product_proof),
    ("/cases", read_cases.cases),
    (_CASE, read_cases.case),
    (f"{_CASE}/draft", read_cases.draft),
    (f"{_CASE}/draft.txt", read_cases.draft_text),
    (f"{_CASE}/draft.json", read_cases.draft_document),
    ("/dossiers", dossiers.dossiers),
    (_DOSSIER, dossiers.dossier),
    (f"{_DOSSIER}/file.zip", dossiers.dossier_file),
    ("/vex", dossiers.vex),
    ("/vulnerability-reports", reports.reports),
    (_REPORT, reports.report),
)
EDIT: Final[tuple[tuple[str, Reader, Change], ...]] = (("/new-case", read_cases.new_case, "begin_case"),)
CHANGE: Final[tuple[tuple[str, Changer, Change], ...]] = (
    (_PRODUCT, read_products.declare, "declare_product"),
    ("/new-case", change_cases.begin, "begin_case"),
    ("/dossiers", dossiers.make, "make_dossier"),
    (f"{_REPORT}/actions", reports.act, "act_on_report"),
    (f"{_REPORT}/assign", reports.assign, "assign_report"),
    (f"{_CASE}/{{verb}}", change_cases.add, "add_to_case"),
)

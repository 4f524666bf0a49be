# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ARG002 - a rehearsal takes every argument of the real sources
"""Findings for page tests: the console's source of the watch over a list."""

from __future__ import annotations

from armillary.console.sources.signed_in import Document
from armillary.errors import NotFoundError
from armillary.identity.operator import Operator
from armillary.wire.device.finding import KINDS


class RehearsedWatch:
    """Findings that really change; whoever has it writes the audit lines."""

    seen: list[Document]

    def _audit(self, actor: str, operation: str, target: str, detail: Document) -> None:
        raise NotImplementedError

    def findings(
        self,
        status: str,
        *,
        severity: str | None = None,
        kind: str | None = None,
        catalog: str | None = None,
        naming: str | None = None,
        after: str | None,
        limit: int,
    ) -> Document:
        chosen = {"status": status, "severity": severity, "kind": kind}
        items = [
            item
            for item in self.seen
            if all(item[name] == word for name, word in chosen.items() if word)
            and naming in (None, *item["device_ids"])
        ]
        return {"items": items, "next": None}

    def finding(self, finding_id: str) -> Document:
        for item in self.seen:
            if item["finding_id"] == finding_id:
                return item
        raise NotFoundError("no such finding", remedy="Reload.")

    def kinds(self, status: str, *, severity: str | None = None, catalog: str | None = None) -> Document:
        items = [
            {
                "kind": item["kind"],
                "means": KINDS[item["kind"]],
                "severities": {item["severity"]: 1},
                "findings": 1,
                "observations": item["count"],
                "first_seen": item["first_seen"],
                "last_seen": item["last_seen"],
                "newest": number,
            }
            for number, item in enumerate(self.seen, 1)
            if item["status"] == status and severity in (None, item["severity"])
        ]
        return {"items": items, "next": None}

    def acknowledge_kind(
        self, operator: Operator, kind: str, *, up_to: int, severity: str | None = None, catalog: str | None = None
    ) -> Document:
        found = [each for each in self.seen[:up_to] if (each["kind"], each["status"]) == (kind, "open")]
        for item in found:
            self.move(operator, item["finding_id"], "acknowledged")
        return {"kind": kind, "acknowledged": len(found)}

    def move(self, operator: Operator, finding_id: str, status: str) -> None:
        for item in self.seen:
            if item["finding_id"] == finding_id:
                item["status"] = status
                self._audit(operator.name, f"finding.{status}", finding_id, {})
                return
        raise NotFoundError("no such finding", remedy="Reload.")

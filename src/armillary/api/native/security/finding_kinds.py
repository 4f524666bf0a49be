# SPDX-License-Identifier: Apache-2.0
"""Native routes of findings by kind: how many wait, and acknowledging those of a kind together."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Final, Literal

from fastapi import Path, Query
from pydantic import Field
from starlette.requests import Request

from armillary.api.http.route import CONTRIBUTOR, READER, Route
from armillary.api.http.routes import operator_of, service_of
from armillary.api.native.parameters import V1, CatalogFilter, StrictBody
from armillary.wire.device.finding import KINDS, SEVERITIES, STATUSES

# Numbers that a JSON number is exact for (RFC 8259 §6).
MAX_NUMBER: Final = (1 << 53) - 1

KindPath = Annotated[str, Path(max_length=64, json_schema_extra={"enum": list(KINDS)})]
StatusFilter = Annotated[str, Query(max_length=64, json_schema_extra={"enum": [*STATUSES, "living"]})]
SeverityFilter = Annotated[str | None, Query(max_length=64, json_schema_extra={"enum": list(SEVERITIES)})]


class AcknowledgeBody(StrictBody):
    """Which open findings of a kind are acknowledged.

    Attributes:
        up_to: `newest` of the kind as it was listed: what came since stays open.
        severity: Only those of one severity.
    """

    up_to: Annotated[int, Field(ge=0, le=MAX_NUMBER)]
    severity: Literal["info", "low", "medium", "high", "critical"] | None = None


def list_finding_kinds(
    request: Request, status: StatusFilter = "open", severity: SeverityFilter = None, catalog: CatalogFilter = None
) -> dict[str, Any]:
    """Kinds of findings with how many of each severity, most severe first; the status `living` means not closed."""
    from armillary.api.views import findings as views  # noqa: PLC0415 - memory: a service at rest does without

    return views.kinds(service_of(request), status=status, severity=severity, catalog=catalog)


def acknowledge_finding_kind(
    request: Request, finding_kind: KindPath, body: AcknowledgeBody, catalog: CatalogFilter = None
) -> dict[str, Any]:
    """Say of all open findings of a kind that somebody is on them; each has its own audit line."""
    from armillary.api.views import findings as views  # noqa: PLC0415 - as above

    actor = operator_of(request).name
    return views.acknowledge(
        service_of(request), finding_kind, up_to=body.up_to, severity=body.severity, catalog=catalog, actor=actor
    )


_row = partial(Route, tag="findings", narrowed=True)
ROUTES = (
    _row("GET", V1 + "/finding-kinds", list_finding_kinds, READER),
    _row("POST", V1 + "/finding-kinds/{finding_kind}/acknowledge", acknowledge_finding_kind, CONTRIBUTOR),
)

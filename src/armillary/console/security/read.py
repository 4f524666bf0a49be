# SPDX-License-Identifier: Apache-2.0
"""The seven properties, read: asked of the sources, laid out as sheets."""

from __future__ import annotations

from starlette.responses import Response

from armillary.console.frame.asking import ask, catalogs, show
from armillary.console.frame.console import Visit
from armillary.console.security import pages_assessment


def assessment(visit: Visit) -> Response:
    """All devices that the operator speaks for, or those of one catalog."""
    names, asked = catalogs(visit), visit.query.get("catalog", "")
    only = names[0] if visit.operator.catalog is not None and names else ""
    catalog = asked if asked in names else only
    found = ask(visit, "assess_fleet", catalog=catalog or None)
    return show(visit, pages_assessment.fleet_sheet(found, catalog, names))


def device(visit: Visit) -> Response:
    """One device."""
    found = visit.sources.fleet.device(visit.params["device_id"])
    answers = ask(visit, "assess_device", device_id=found["device_id"])
    return show(visit, pages_assessment.device_sheet(answers, found["name"]))

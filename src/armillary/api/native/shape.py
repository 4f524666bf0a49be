# SPDX-License-Identifier: Apache-2.0
"""The shape of Armillary's own API: all its routes. Their queries may name nothing that is not read."""

from __future__ import annotations

from typing import Final

from armillary.api.http.route import ANY, PUBLIC, SCRAPE, Route
from armillary.api.http.routes import unknown
from armillary.api.http.shape import Shape
from armillary.api.native import search
from armillary.api.native.hub import (
    files,
    guardians,
    hub_devices,
    hub_enrolments,
    hub_service_keys,
    messages,
    series,
    telemetry,
)
from armillary.api.native.parameters import DEVICE
from armillary.api.native.platform import (
    alerts,
    application_files,
    applications,
    dashboards,
    exports,
    groups,
    jobs,
    organisations,
    pictures,
    rules,
    templates,
)
from armillary.api.native.security import (
    actions,
    advisories,
    advisory_statements,
    assessment,
    cases,
    crash_dumps,
    crashes,
    disclosure,
    dossiers,
    finding_kinds,
    notifications,
    playbooks,
    traces,
    transparency,
)
from armillary.api.native.service import (
    authorities,
    bridge,
    device_logs,
    devices,
    enrolment,
    firmware,
    life,
    operations,
    os_feeds,
    people,
    policy,
    products,
    release_life,
    repository,
    rollouts,
    schedules,
    signing_keys,
    status,
    tpm,
)

DESCRIPTION: Final = """\
What Azure Sphere's management API lacks: attestation results, roll-outs, findings, releases, telemetry, twins, audit.
Catalogs, products, device groups, devices, images, deployments and certificates are served in the shape of the public
Azure Sphere management API, api-version 2024-04-01, below `/subscriptions/`; its own public description applies. So it
does for `/api/devices` and what else is served in the shape of IoT Central's public REST API, api-version 2022-07-31.

Errors are problem details (RFC 9457) with a stable `code` and a `remedy`. Lists are `{"items": [...], "next": cursor}`;
pass `next` as `after` for the next page. Times are Unix seconds UTC unless a name ends in `_ms`.
"""
ROUTES: Final = tuple(
    route
    for module in (
        *(search, status, applications, authorities, devices, device_logs, enrolment, life, operations, people, policy),
        *(products, release_life, os_feeds, rollouts, schedules, signing_keys),
        *(firmware, telemetry, series, templates, messages, application_files, files, groups, jobs, exports),
        *(
            organisations,
            pictures,
            dashboards,
            rules,
            alerts,
            guardians,
            hub_devices,
            hub_enrolments,
            hub_service_keys,
            tpm,
            bridge,
            repository,
        ),
        *(advisories, advisory_statements, assessment, cases, crash_dumps, crashes, disclosure, dossiers),
        *(finding_kinds, notifications, actions, playbooks, traces, transparency),
    )
    for route in module.ROUTES
)


def query_names(row: Route) -> frozenset[str] | None:
    """A route about a device may mean a module of it (``device_ids.known_identity``); public routes take any name."""
    if row.role in (PUBLIC, SCRAPE) or row.method == ANY:
        return None
    return frozenset({"module"}) if row.path.startswith(DEVICE + "/") else frozenset()


SHAPE: Final = Shape(
    routes=ROUTES,
    has=lambda path: path.startswith(("/api/", "/metrics")),
    unknown=(unknown("/api/"),),
    query_names=query_names,
)

# SPDX-License-Identifier: Apache-2.0
"""Native routes of operations: findings, releases, audit, tokens."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from armillary.api.http.documents import as_document, row_document
from armillary.api.http.route import ADMINISTRATOR, CONTRIBUTOR, READER, Route
from armillary.api.http.routes import operator_of, platform_of, service_of
from armillary.api.http.scope import check_organisation
from armillary.api.native.device_labels import names_of
from armillary.api.native.parameters import V1, CatalogFilter, Limit, NumberAfter, Text
from armillary.api.native.service.requests import FloorBody, ReleaseBody, TokenBody
from armillary.api.views import service as views
from armillary.engines.records.queries.audit import AuditFilter
from armillary.wire.device import finding as wire_finding
from armillary.wire.device.finding import KINDS, SEVERITIES, STATUSES
from armillary.wire.hub.credentials import DEVICE_ID_PATTERN, canonical_device_id


def list_findings(
    request: Request,
    status: Annotated[str | None, Query(max_length=64, json_schema_extra={"enum": [*STATUSES, "living"]})] = None,
    severity: Annotated[str | None, Query(max_length=64, json_schema_extra={"enum": list(SEVERITIES)})] = None,
    kind: Annotated[str | None, Query(max_length=64, json_schema_extra={"enum": list(KINDS)})] = None,
    catalog: CatalogFilter = None,
    device: Annotated[str | None, Query(max_length=128, json_schema_extra={"pattern": DEVICE_ID_PATTERN})] = None,
    limit: Limit = views.PAGE_ROWS,
    after: NumberAfter = None,
) -> dict[str, Any]:
    """Findings, newest first; the status `living` means not closed."""
    device_id = canonical_device_id(device) if device is not None else None
    page = views.findings(
        service_of(request),
        status=status,
        severity=severity,
        kind=kind,
        catalog=catalog,
        device_id=device_id,
        limit=limit,
        after=after,
    )
    known = names_of(request, {each for item in page["items"] for each in item["device_ids"]})
    return {**page, "items": [_named(item, known) for item in page["items"]]}


def show_finding(request: Request, finding_id: UUID, catalog: CatalogFilter = None) -> dict[str, Any]:
    """A finding: cause, extent and what to do."""
    found = views.finding(service_of(request), finding_id, catalog=catalog)
    return _named(found, names_of(request, found["device_ids"]))


def acknowledge_finding(request: Request, finding_id: UUID, catalog: CatalogFilter = None) -> dict[str, Any]:
    """Say that somebody is on it."""
    views.finding(service_of(request), finding_id, catalog=catalog)
    watch, actor = service_of(request).watch, operator_of(request).name
    return wire_finding.to_json(watch.acknowledge(finding_id, actor=actor))


def close_finding(request: Request, finding_id: UUID, catalog: CatalogFilter = None) -> dict[str, Any]:
    """Say that it is dealt with; seen again, it is a new finding."""
    views.finding(service_of(request), finding_id, catalog=catalog)
    watch, actor = service_of(request).watch, operator_of(request).name
    return wire_finding.to_json(watch.close(finding_id, actor=actor))


def list_releases(request: Request, chip: Text = None) -> dict[str, Any]:
    """OS releases, newest first."""
    return views.releases(service_of(request), chip=chip)


def publish_release(request: Request, body: ReleaseBody) -> dict[str, Any]:
    """Build, sign and publish an OS release; its components become reference values."""
    releases = service_of(request).releases
    security_version = body.security_version
    if security_version is None:
        security_version = releases.highest_security_version(body.chip)
    row = releases.publish(
        body.chip,
        body.version,
        actor=operator_of(request).name,
        security_version=security_version,
        feed=body.feed,
        allow_older=body.allow_older,
    )
    return views.release(service_of(request), row.release_id)


def show_release(request: Request, release_id: UUID) -> dict[str, Any]:
    """An OS release with the digest of each boot component."""
    return views.release(service_of(request), release_id)


def list_floors(request: Request, chip: Text = None) -> dict[str, Any]:
    """Security floors: lower versions are refused."""
    rows = service_of(request).attestation.floors.list(chip=chip)
    return {"items": [as_document(row) for row in rows], "next": None}


def raise_floor(request: Request, body: FloorBody) -> dict[str, Any]:
    """Refuse every lower security version of an image type on a chip, from the next check-in on."""
    row = service_of(request).attestation.floors.raise_to(
        body.chip, body.image_type, body.minimum, actor=operator_of(request).name
    )
    return row_document(row)


def list_audit(
    request: Request,
    limit: Limit = views.PAGE_ROWS,
    after: NumberAfter = None,
    target: Annotated[str | None, Query(max_length=256, description="Only what was done to this")] = None,
    actor: Annotated[str | None, Query(max_length=320, description="Only what this one did")] = None,
    operation: Annotated[
        str | None, Query(max_length=64, description="`device.revoke`, or `device` for all that begin with `device.`")
    ] = None,
    since: Annotated[int | None, Query(ge=0, le=10**11, description="At or after, Unix seconds")] = None,
    until: Annotated[int | None, Query(ge=0, le=10**11, description="Before, Unix seconds")] = None,
    order: Annotated[Literal["newest", "oldest"], Query(description="Which line comes first")] = "newest",
) -> dict[str, Any]:
    """Audit lines: who did what, to what, when. Every filter that is given has to fit."""
    wanted = AuditFilter(target=target, actor=actor, operation=operation, since=since, until=until)
    return views.audit(service_of(request), limit=limit, after=after, wanted=wanted, rising=order == "oldest")


def verify_audit(request: Request) -> dict[str, Any]:
    """Walk the whole audit chain, and compare it with its tree and with every checkpoint that was signed."""
    return views.audit_verification(service_of(request))


def list_tokens(request: Request) -> dict[str, Any]:
    """Operator tokens, without their secrets."""
    return views.tokens(service_of(request))


def make_token(request: Request, body: TokenBody) -> dict[str, Any]:
    """Make a token; its secret is in this answer and nowhere else."""
    expires_at = None if body.lifetime_s is None else int(time.time()) + body.lifetime_s
    if body.organisation is not None:
        check_organisation(platform_of(request), body.organisation, body.catalog)
    made = service_of(request).tokens.create(
        body.name,
        body.role,
        actor=operator_of(request).name,
        expires_at=expires_at,
        catalog=body.catalog,
        organisation=body.organisation,
    )
    return {**as_document(made.token), "secret": made.secret}


def revoke_token(request: Request, token_id: UUID) -> Response:
    """Make a token useless at once."""
    service_of(request).tokens.revoke(token_id, actor=operator_of(request).name)
    return Response(status_code=204)


def _named(finding: dict[str, Any], known: Mapping[str, str]) -> dict[str, Any]:
    """A finding with what its devices are called."""
    return {**finding, "device_names": {each: known[each] for each in finding["device_ids"] if each in known}}


_finding, _release = partial(Route, tag="findings", narrowed=True), partial(Route, tag="releases")
_token, _log = partial(Route, tag="tokens"), partial(Route, tag="audit")
_FINDING = V1 + "/findings/{finding_id}"
ROUTES = (
    _finding("GET", V1 + "/findings", list_findings, READER),
    _finding("GET", _FINDING, show_finding, READER),
    _finding("POST", _FINDING + "/acknowledge", acknowledge_finding, CONTRIBUTOR),
    _finding("POST", _FINDING + "/close", close_finding, CONTRIBUTOR),
    _release("GET", V1 + "/releases", list_releases, READER),
    _release("POST", V1 + "/releases", publish_release, ADMINISTRATOR, status=201),
    _release("GET", V1 + "/releases/{release_id}", show_release, READER),
    _release("GET", V1 + "/security-floors", list_floors, READER),
    _release("POST", V1 + "/security-floors", raise_floor, ADMINISTRATOR),
    _log("GET", V1 + "/audit", list_audit, READER),
    _log("GET", V1 + "/audit/verification", verify_audit, READER),
    _token("GET", V1 + "/tokens", list_tokens, ADMINISTRATOR),
    _token("POST", V1 + "/tokens", make_token, ADMINISTRATOR, status=201),
    _token("DELETE", V1 + "/tokens/{token_id}", revoke_token, ADMINISTRATOR, status=204),
)

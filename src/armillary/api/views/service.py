# SPDX-License-Identifier: Apache-2.0
"""The security service's data as JSON-able dicts. The native routes and the console call the same functions.

Each function takes the service (and what chooses the rows) and returns a dict, or ``{"items": [...], "next": ...}``
for lists. It reads; it changes nothing. Errors are the service's own.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from armillary.api.http.documents import as_document, as_page, row_document
from armillary.engines.records.queries.audit import EVERY_LINE, AuditFilter
from armillary.engines.records.schema.rollout_rows import Rollout
from armillary.engines.records.schema.rows import Deployment, Device, DeviceFilter, ErrorReportRow, OsRelease
from armillary.rollout import policy as rollout_policy
from armillary.rollout.state import LIVING
from armillary.service.context.paging import MAX_LIMIT
from armillary.service.updates.os_feeds import is_above, is_passed_over, real_chips
from armillary.service.updates.rollouts import no_such_rollout
from armillary.service.watch.watch import no_such_finding
from armillary.wire.device import finding as wire_finding
from armillary.wire.device.crash_record import parse_crash

if TYPE_CHECKING:
    from armillary.service.assemble import SecurityService

Document = dict[str, Any]

# Rows of a page when the caller does not say.
PAGE_ROWS = 100
# Of a roll-out, what means something to the planner alone: places in an order.
PLACES = ("reach", "by_place")


def fleet(service: SecurityService, *, catalog: str | None = None) -> Document:
    """The fleet in numbers (:class:`FleetSummary`), of one catalog or of all."""
    return row_document(service.registry.devices.summary(catalog))


def devices(
    service: SecurityService,
    chosen: DeviceFilter,
    *,
    limit: int = PAGE_ROWS,
    after: str | None = None,
    order: str = "",
) -> Document:
    """Devices by id or in an order: the fields of :class:`Device`.

    Of a search also ``is_cut``: more names match than were read.
    """
    page = service.registry.devices.list(chosen, limit=limit, after=after, order=order)
    shown = as_page(page)
    return shown if chosen.search is None else {**shown, "is_cut": page.is_cut}


def device(service: SecurityService, device_id: str) -> Document:
    """A device with its last check-in (verdict and appraisal steps), or None there before the first.

    Its ``transfer`` is the offer it stands under, else the one that brought it to its catalog, else None.
    """
    found = service.registry.devices.get(device_id)
    document: Document = as_document(found)
    document["transfer"] = as_document(service.registry.transfers.of_device(found))
    newest = service.registry.history.check_ins(device_id, limit=1)
    document["last_check_in"] = as_document(newest.items[0]) if newest.items else None
    return document


def transfers(
    service: SecurityService, catalog: str, *, pending: bool = False, limit: int = PAGE_ROWS, after: str | None = None
) -> Document:
    """Offers from and to a catalog, newest first; ``pending`` leaves those that can still be accepted."""
    return as_page(service.registry.transfers.list(catalog, limit=limit, after=after, pending=pending))


def enrolment_tokens(service: SecurityService, catalog: str) -> Document:
    """A catalog's enrolment tokens, oldest first, without their secrets; spent and expired ones too."""
    return {"items": [as_document(token) for token in service.enrolments.list(catalog)], "next": None}


def device_deployment(service: SecurityService, device_id: str) -> Document:
    """What a device should run and what it says it runs.

    ``status`` (``up-to-date``, ``waiting``, ``failed``, ``none`` or ``unknown``), ``reason`` in words,
    ``deployment_id`` and ``images``: name, version ("" for none), image_id, wanted, installed, state.
    """
    found = service.registry.devices.get(device_id)
    if found.group_id is None:
        return {"status": "none", "reason": "The device is not claimed.", "deployment_id": None, "images": []}
    group = service.registry.groups.get_by_id(found.group_id)
    deployment_id = group.deployment_id
    living = [(row, part) for row in _living_rollouts(service, group.catalog) for part in row.parts]
    rollout, part = next((one for one in living if one[1].group_id == group.group_id), (None, None))
    if rollout is not None and part is not None and found.offered_deployment_id == part.deployment_id:
        back = rollout.state == "rolling-back"
        deployment_id = part.previous_deployment_id if back else part.deployment_id
    else:
        deployment_id = service.updates.deployments.kept_by(device_id, group.group_id) or deployment_id
    wanted = service.updates.deployments.get(group.catalog, deployment_id) if deployment_id is not None else None
    other = {each.image_id for each in found.installed}
    versions = {image_id: row.version for image_id, row in service.updates.images.some(group.catalog, other).items()}
    return _deployment_state(found, wanted, versions, group.update_policy, failure=_failure(service, device_id, wanted))


def _failure(service: SecurityService, device_id: str, wanted: Deployment | None) -> str:
    """Why the device has given up this deployment, in its own words; "" when it has not."""
    if wanted is None:
        return ""
    reported = service.registry.history.outcomes(device_id=device_id, deployment_id=wanted.deployment_id, limit=1).items
    if not reported or reported[0].outcome == "confirmed":
        return ""
    return reported[0].reason or reported[0].outcome


def _living_rollouts(service: SecurityService, catalog: str) -> list[Rollout]:
    return [
        row
        for state in LIVING
        for row in service.updates.rollouts.list(catalog=catalog, state=state, limit=MAX_LIMIT).items
    ]


# Why a device has what it has: status, and the reason in words; of ``failed-before`` the device's own follows.
DEPLOYMENT_WORDS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "nothing-deployed": ("none", "The device group has no deployment."),
        "never-seen": ("unknown", "The device has not checked in yet."),
        "up-to-date": ("up-to-date", "The device runs exactly the deployment's images."),
        "revoked": ("waiting", "The device is revoked."),
        "os-only": ("waiting", "The device group's update policy is No3rdPartyAppUpdates."),
        "held": ("waiting", "The device is held: a copy was found. Release it first."),
        "update-only": ("waiting", "The device's boot is not trusted: it gets OS updates only."),
        "silent": ("waiting", "The device is silent: it has missed its check-ins."),
        "failed-before": ("failed", "The device tried and took them back; it does not try them again"),
        "offered": ("waiting", "The device was offered the images; it reports them when their trial has ended."),
        "check-in-due": ("waiting", "The device gets the images at its next check-in."),
    }
)


def _deployment_state(
    found: Device, wanted: Deployment | None, versions: Mapping[UUID, str], update_policy: str, *, failure: str
) -> Document:
    images: dict[UUID, Document] = {}
    for image in wanted.images if wanted is not None else ():
        images[image.image_id] = _image_row(image.image_id, image.name, image.version, wanted=True)
    for installed in found.installed:
        other = _image_row(installed.image_id, installed.name, versions.get(installed.image_id, ""), wanted=False)
        row = images.setdefault(installed.image_id, other)
        row["state"] = installed.state
    rows = [{"state": None, **row, "installed": "state" in row} for row in images.values()]
    deployment_id = str(wanted.deployment_id) if wanted is not None else None
    same = all(row["wanted"] == row["installed"] for row in rows)
    status, reason = _deployment_words(found, wanted, update_policy, same=same, failure=failure)
    return {"status": status, "reason": reason, "deployment_id": deployment_id, "images": rows}


def _image_row(image_id: UUID, name: str, version: str, *, wanted: bool) -> Document:
    return {"name": name, "version": version, "image_id": str(image_id), "wanted": wanted}


def _deployment_words(
    found: Device, wanted: Deployment | None, update_policy: str, *, same: bool, failure: str
) -> tuple[str, str]:
    """The first row whose condition holds; the order is the order in which causes hide each other."""
    rows = (
        (wanted is None, "nothing-deployed"),
        (found.last_check_in_at is None, "never-seen"),
        (same, "up-to-date"),
        (found.revoked_at is not None, "revoked"),
        (update_policy == "No3rdPartyAppUpdates", "os-only"),
        (found.health == "held", "held"),
        (found.verdict != "attested", "update-only"),
        (found.health == "silent", "silent"),
        (bool(failure), "failed-before"),
        (wanted is not None and found.offered_deployment_id == wanted.deployment_id, "offered"),
        (True, "check-in-due"),
    )
    status, reason = DEPLOYMENT_WORDS[next(cause for holds, cause in rows if holds)]
    return status, reason if status != "failed" else f"{reason}: {failure}"


def check_ins(
    service: SecurityService, device_id: str, *, limit: int = PAGE_ROWS, after: str | None = None
) -> Document:
    """A device's accepted check-ins, newest first."""
    service.registry.devices.get(device_id)
    return as_page(service.registry.history.check_ins(device_id, limit=limit, after=after))


def refusals(
    service: SecurityService, device_id: str | None, *, limit: int = PAGE_ROWS, after: str | None = None
) -> Document:
    """Refused requests, newest first."""
    return as_page(service.registry.history.refusals(device_id=device_id, limit=limit, after=after))


def outcomes(service: SecurityService, device_id: str, *, limit: int = PAGE_ROWS, after: str | None = None) -> Document:
    """What became of the images that a device was offered, newest first."""
    return as_page(service.registry.history.outcomes(device_id=device_id, limit=limit, after=after))


def named_outcomes(service: SecurityService, device_id: str, *, limit: int, sees_images: bool) -> Document:
    """The newest of them with the ``name`` of each image: ``gateway 2.1``, ``OS 26.12``, "" where it is not known."""
    catalog = service.registry.devices.get(device_id).catalog if sees_images else None
    page = service.registry.history.outcomes(device_id=device_id, limit=limit)
    called = service.registry.history.names_of(page.items, catalog=catalog)
    shown = as_page(page)
    return {**shown, "items": [{**item, "name": name} for item, name in zip(shown["items"], called, strict=True)]}


def error_reports(
    service: SecurityService,
    *,
    device_id: str | None = None,
    catalog: str | None = None,
    limit: int = PAGE_ROWS,
    after: str | None = None,
) -> Document:
    """Error reports, newest first."""
    page = service.registry.history.error_reports(device_id=device_id, catalog=catalog, limit=limit, after=after)
    return as_page(page, error_report_document)


def error_report_document(row: ErrorReportRow) -> Document:
    """An error report; ``crash`` is what the device captured of one, or null."""
    crash = None if row.crash is None else as_document(parse_crash(row.crash))
    return {**row_document(row), "crash": crash}


def rollout_document(row: Rollout) -> Document:
    """A roll-out; its policy in the form that creates one."""
    document = {**as_document(row), "policy": rollout_policy.to_json(row.policy), "target": row.target}
    return {name: value for name, value in document.items() if name not in PLACES}


def rollouts(
    service: SecurityService,
    *,
    catalog: str | None = None,
    state: str | None = None,
    limit: int = PAGE_ROWS,
    after: str | None = None,
    rising: bool = False,
) -> Document:
    """Roll-outs, newest first, or with ``rising`` oldest first."""
    page = service.updates.rollouts.list(catalog=catalog, state=state, limit=limit, after=after, rising=rising)
    return as_page(page, rollout_document)


def rollout(service: SecurityService, rollout_id: UUID, *, catalog: str | None = None) -> Document:
    """A roll-out with its counts per state; with ``catalog`` another one's is as good as none. Raises NotFoundError."""
    found = service.updates.rollouts.get(rollout_id)
    if catalog is not None and found.catalog.lower() != catalog.lower():
        raise no_such_rollout(rollout_id)
    return rollout_document(found)


def rollout_devices(
    service: SecurityService,
    rollout_id: UUID,
    *,
    failed: bool = False,
    limit: int = PAGE_ROWS,
    after: str | None = None,
) -> Document:
    """Where each started device of a roll-out stands, or only those that failed."""
    return as_page(service.updates.rollouts.list_devices(rollout_id, failed=failed, limit=limit, after=after))


def findings(service: SecurityService, *, limit: int = PAGE_ROWS, after: str | None = None, **chosen: Any) -> Document:
    """Findings, newest first."""
    return as_page(service.watch.list(limit=limit, after=after, **chosen), wire_finding.to_json)


def finding(service: SecurityService, finding_id: UUID, *, catalog: str | None = None) -> Document:
    """A finding; with ``catalog`` one that is not of it is as good as none. Raises NotFoundError."""
    found = service.watch.get(finding_id)
    if catalog is not None and found.catalog_id != service.registry.catalogs.get(catalog).catalog_id:
        raise no_such_finding(finding_id)
    return wire_finding.to_json(found)


def releases(service: SecurityService, *, chip: str | None = None) -> Document:
    """OS releases, newest first; their components are the verifier's reference values."""
    found = service.releases.list(chip=chip, drafts=True)
    real = real_chips(one for one in found if one.published_at is not None)
    lowest = _lowest(service, chip)
    items = [{**as_document(one), **_standing(one, real, lowest)} for one in reversed(found)]
    return {"items": items, "next": None}


def release(service: SecurityService, release_id: UUID) -> Document:
    """A release, and what the others and the security floors of its chip make of it.

    ``is_passed_over``: it is a stand-in that is given to nobody any more. ``is_below_floor``: devices that boot it get
    updates only, as it has a component below a security floor.
    """
    found = service.releases.get(release_id)
    real = real_chips(service.releases.list(chip=found.chip))
    return {**row_document(found), **_standing(found, real, _lowest(service, found.chip))}


def _standing(found: OsRelease, real: Collection[str], lowest: Mapping[tuple[str, int], int]) -> Document:
    return {"is_passed_over": is_passed_over(found, real), "is_below_floor": not is_above(found, lowest)}


def _lowest(service: SecurityService, chip: str | None) -> Mapping[tuple[str, int], int]:
    """The security floors of a chip or of all, by chip and image type."""
    return {(one.chip, one.image_type): one.minimum for one in service.attestation.floors.list(chip=chip)}


def audit(
    service: SecurityService,
    *,
    limit: int = PAGE_ROWS,
    after: str | None = None,
    wanted: AuditFilter = EVERY_LINE,
    rising: bool = False,
) -> Document:
    """Audit lines, newest first, or with ``rising`` oldest first."""
    return as_page(service.audit.list(limit=limit, after=after, wanted=wanted, rising=rising))


def audit_verification(service: SecurityService) -> Document:
    """The walk over chain and tree: ``lines``, ``head``, ``root``, and ``broken_at``, ``forked_at`` or None."""
    return row_document(service.audit.verify())


def tokens(service: SecurityService) -> Document:
    """Operator tokens without their secrets, oldest first."""
    return {"items": [as_document(row) for row in service.tokens.list()], "next": None}

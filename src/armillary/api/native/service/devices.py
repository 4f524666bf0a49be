# SPDX-License-Identifier: Apache-2.0
"""Native routes of devices: manufacture, lists, trust, history, revocation, and the names people give both kinds."""

from __future__ import annotations

import base64
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any
from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from fastapi import Query
from pydantic import Field
from starlette.requests import Request

from armillary.api.http.callers import LARGE_BYTES, caller_of
from armillary.api.http.documents import as_document, row_document
from armillary.api.http.route import CONTRIBUTOR, FACTORY, READER, Route
from armillary.api.http.routes import enrolment_of, operator_of, service_of
from armillary.api.http.tenure import own_page, since_ms
from armillary.api.native.device_ids import DevicePath, attesting_device, known_device
from armillary.api.native.parameters import (
    DEVICE,
    V1,
    After,
    CatalogFilter,
    CatalogQuery,
    Limit,
    NewestPage,
    NumberPage,
    StrictBody,
    Text,
)
from armillary.api.native.service.products import SupportQuery
from armillary.api.native.service.requests import FactoryBody, Reason, ReasonBody
from armillary.api.views import service as views
from armillary.engines.records.device_order import MAX_SORTED, ORDERS
from armillary.engines.records.schema.rows import HEALTHS, DeviceFilter
from armillary.errors import InvalidArgumentError
from armillary.identity.manufacturing import ManufacturingState
from armillary.service.factory.flashed_systems import PackageEnd
from armillary.service.factory.reply import FactoryReply
from armillary.service.registry.quarantine import MAX_LIFETIME_S, MIN_LIFETIME_S
from armillary.wire.text.device_name import MAX_TEXT_CHARACTERS


class NameBody(StrictBody):
    """What a device is called from now on.

    Attributes:
        name: At most 128 printable characters; empty takes the name away.
    """

    name: Annotated[str, Field(max_length=MAX_TEXT_CHARACTERS)]


class QuarantineBody(StrictBody):
    """A quarantine.

    Attributes:
        reason: Why, for people.
        lifetime_s: Seconds until it ends by itself; null: when somebody releases the device.
    """

    reason: Reason
    lifetime_s: Annotated[int, Field(ge=MIN_LIFETIME_S, le=MAX_LIFETIME_S)] | None = None


def make_device(request: Request, body: FactoryBody) -> dict[str, Any]:
    """Manufacture: enrol a device by its identity key; the answer is all it will ever trust.

    With an enrolment token the device is claimed into the token's group as well, its tier is software and its
    manufacturing state DeviceComplete.
    """
    hold_large(request, body.chip, body.os_version, is_flashed=body.is_flashed)
    service, token = service_of(request), enrolment_of(request)
    if token is not None:
        if body.manufacturing_state != ManufacturingState.DEVICE_COMPLETE.value:
            raise InvalidArgumentError(
                f"manufacturing state: expected DeviceComplete with an enrolment token, got {body.manufacturing_state}",
                remedy="Leave it out, or use an operator's token.",
            )
        return factory_document(
            service.enrolments.enrol(token, body.csr, body.chip, os_version=body.os_version, is_flashed=body.is_flashed)
        )
    made = service.factory.enrol(
        body.csr,
        body.chip,
        operator_of(request).name,
        trust_tier=body.trust_tier,
        manufacturing_state=body.manufacturing_state,
        os_version=body.os_version,
        is_flashed=body.is_flashed,
    )
    return factory_document(made)


def list_flashed_systems(
    request: Request, chip: Annotated[str, Query(min_length=1, max_length=128, description="Chip profile name")]
) -> dict[str, Any]:
    """What a machine with a flashed disk may be: releases in force without their payloads, newest first.

    It verifies them over what it has, and names the one that fits when it is made a device.
    """
    flashed = service_of(request).flashed
    return {
        "releases": [
            {
                "os_version": each.version,
                "boot_components": [_component_end(name, end) for name, end in each.components.items()],
            }
            for each in flashed.of(chip)
        ],
        "trusted_os_certificates": [_pem(der) for der in flashed.signers()],
    }


def hold_large(request: Request, chip: str, os_version: str | None, *, is_flashed: bool) -> None:
    """Count an answer with the payloads of a large OS as a large body: it is in memory until its caller has taken it.

    Raises:
        QuotaExceededError: the caller has reached the limit of large ones.
        NotFoundError: no release in force of this chip and version.
    """
    if is_flashed:
        return
    release = service_of(request).releases.newest(chip, version=os_version)
    if sum(each.size for each in release.components) > LARGE_BYTES:
        caller = caller_of(request)
        caller.hold(caller.budgets.large_bodies)


def factory_document(made: FactoryReply) -> dict[str, Any]:
    """What a device gets at manufacture, as JSON."""
    packages = [_component(name, package) for name, package in made.boot_packages.items()]
    ends = [_component_end(name, end) for name, end in made.boot_ends.items()]
    return {
        "device_id": made.device_id,
        "identity_certificate": [_pem(der) for der in made.certificate_chain],
        "service_root": "".join(map(_pem, (made.service_root, *made.further_roots))),
        "trusted_os_certificates": [_pem(der) for der in made.trusted_os_certificates],
        "trusted_image_certificates": [_pem(der) for der in made.trusted_image_certificates],
        "os_version": made.os_version,
        "boot_components": packages + ends,
        "device_endpoint": made.endpoint,
        "service_name": made.service_name,
        "repository_root": made.repository_root.decode(),
        "time": made.time,
    }


def _component(name: str, package: bytes) -> dict[str, Any]:
    return {"name": name, "package": base64.b64encode(package).decode()}


def _component_end(name: str, end: PackageEnd) -> dict[str, Any]:
    return {**_component(name, end.tail), "payload_bytes": end.payload_bytes}


def list_devices(
    request: Request,
    *,
    catalog: CatalogFilter = None,
    product: Text = None,
    group: Text = None,
    health: Annotated[str | None, Query(max_length=64, json_schema_extra={"enum": list(HEALTHS)})] = None,
    chip: Text = None,
    tier: Text = None,
    verdict: Text = None,
    os_version: Text = None,
    text: Annotated[
        str | None,
        Query(
            max_length=128, description="First digits of the device id", json_schema_extra={"pattern": "^[0-9A-Fa-f]+$"}
        ),
    ] = None,
    search: Annotated[
        str | None, Query(max_length=128, description="Beginning of a word of the name, or of the device id")
    ] = None,
    image: UUID | None = None,
    claimed: bool | None = None,
    support: SupportQuery = None,
    sort: Annotated[
        str | None,
        Query(
            max_length=32,
            description=f"An order over all pages, where at most {MAX_SORTED:,} devices match; - before it: falling",
            json_schema_extra={"enum": [sign + each for each in ORDERS for sign in ("", "-")]},
        ),
    ] = None,
    limit: Limit = views.PAGE_ROWS,
    after: After = None,
) -> dict[str, Any]:
    """Devices by id, or sorted; by id every page costs the same.

    A search looks through 1,000 names: `is_cut` where more match.
    """
    chosen = DeviceFilter(
        catalog=catalog,
        product=product,
        group=group,
        health=health,
        chip=chip,
        trust_tier=tier,
        verdict=verdict,
        os_version=os_version,
        device_id_prefix=text or None,
        image_id=image,
        claimed=claimed,
        search=search or None,
        support=support,
    )
    return views.devices(service_of(request), chosen, limit=limit, after=after, order=sort or "")


def show_device(request: Request, device_id: DevicePath) -> dict[str, Any]:
    """A device, with its last check-in: verdict, and each appraisal step with what it prevents."""
    return views.device(service_of(request), attesting_device(request, device_id))


def device_deployment(request: Request, device_id: DevicePath) -> dict[str, Any]:
    """What the device should run, what it says it runs, and why they differ."""
    return views.device_deployment(service_of(request), attesting_device(request, device_id))


def device_check_ins(request: Request, device_id: DevicePath, page: NewestPage) -> dict[str, Any]:
    """Accepted check-ins, newest first."""
    return _history(request, device_id, page, views.check_ins, "at")


def device_refusals(request: Request, device_id: DevicePath, page: NewestPage) -> dict[str, Any]:
    """Refused requests under this device's identity, newest first."""
    return _history(request, device_id, page, views.refusals, "at")


def device_outcomes(request: Request, device_id: DevicePath, page: NewestPage) -> dict[str, Any]:
    """What became of the images that the device was offered, newest first."""
    return _history(request, device_id, page, views.outcomes, "received_at")


def device_error_reports(request: Request, device_id: DevicePath, page: NewestPage) -> dict[str, Any]:
    """Error reports, newest first."""
    return _history(request, device_id, page, views.error_reports, "received_at")


def _history(
    request: Request, device_id: str, page: NumberPage, listed: Callable[..., dict[str, Any]], at: str
) -> dict[str, Any]:
    """A page of a device's records, of the caller's tenure; ``at`` names their time."""
    known = attesting_device(request, device_id)
    found = listed(service_of(request), device_id=known, limit=page.limit, after=page.after)
    return own_page(found, since_ms(request, known) / 1000, at)


def show_cellular_status(request: Request, device_id: DevicePath) -> dict[str, Any]:
    """What a device has said of its cellular modem after its last check-ins, and when; null where it has none."""
    from armillary.api.views.security import cellular  # noqa: PLC0415 - memory: few devices have a modem

    return cellular.newest(service_of(request), attesting_device(request, device_id))


def revoke_device(request: Request, device_id: DevicePath, body: ReasonBody) -> dict[str, Any]:
    """Withdraw a device's identity: it is refused and disconnected at once."""
    known = attesting_device(request, device_id)
    row = service_of(request).registry.lifecycle.revoke(known, reason=body.reason, actor=operator_of(request).name)
    return row_document(row)


def restore_device(request: Request, device_id: DevicePath) -> dict[str, Any]:
    """Let a revoked device in again, when it proves itself."""
    known = attesting_device(request, device_id)
    row = service_of(request).registry.lifecycle.restore(known, actor=operator_of(request).name)
    return row_document(row)


def quarantine_device(request: Request, device_id: DevicePath, body: QuarantineBody) -> dict[str, Any]:
    """Put a device into quarantine: it may check in and update, and nothing else; the hub refuses it at once."""
    known = attesting_device(request, device_id)
    quarantine, actor = service_of(request).registry.quarantine, operator_of(request).name
    return row_document(quarantine.put(known, reason=body.reason, actor=actor, lifetime_s=body.lifetime_s))


def release_device(request: Request, device_id: DevicePath) -> dict[str, Any]:
    """Take a device out of quarantine; one that is held, as two machines seemed to have its identity, begins anew."""
    known = attesting_device(request, device_id)
    row = service_of(request).registry.lifecycle.release(known, actor=operator_of(request).name)
    return row_document(row)


def name_device(request: Request, device_id: DevicePath, body: NameBody) -> dict[str, Any]:
    """Call a device of either kind by a name. It need not be unique; a new owner of the device does not see it."""
    known = known_device(request, device_id)
    made = service_of(request).registry.names.rename(known, body.name, actor=operator_of(request).name)
    return row_document(made)


def find_device(
    request: Request,
    text: Annotated[
        str, Query(min_length=1, max_length=MAX_TEXT_CHARACTERS, description="A name, an id, or four digits of one")
    ],
    catalog: CatalogQuery = None,
) -> dict[str, Any]:
    """The devices that a name, an id, or the first digits of one mean: several where they are not told apart.

    An id means its device. Else those called so, without regard to case; else those whose ids begin so.
    """
    found = service_of(request).registry.names.meant(text, catalog=catalog)
    return {"items": [as_document(each) for each in found], "next": None}


def _pem(der: bytes) -> str:
    return x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM).decode()


_row = partial(Route, tag="devices")
ROUTES = (
    Route("POST", V1 + "/factory/devices", make_device, FACTORY, tag="factory", status=201),
    Route("GET", V1 + "/factory/releases", list_flashed_systems, FACTORY, tag="factory"),
    _row("GET", V1 + "/devices", list_devices, READER, narrowed=True),
    _row("GET", DEVICE, show_device, READER),
    _row("GET", DEVICE + "/deployment", device_deployment, READER),
    _row("GET", DEVICE + "/check-ins", device_check_ins, READER),
    _row("GET", DEVICE + "/refusals", device_refusals, READER),
    _row("GET", DEVICE + "/outcomes", device_outcomes, READER),
    _row("GET", DEVICE + "/error-reports", device_error_reports, READER),
    _row("GET", DEVICE + "/cellular", show_cellular_status, READER),
    _row("POST", DEVICE + "/revoke", revoke_device, CONTRIBUTOR),
    _row("POST", DEVICE + "/restore", restore_device, CONTRIBUTOR),
    _row("POST", DEVICE + "/quarantine", quarantine_device, CONTRIBUTOR),
    _row("POST", DEVICE + "/release", release_device, CONTRIBUTOR),
    _row("PUT", DEVICE + "/name", name_device, CONTRIBUTOR),
    _row("GET", V1 + "/device-names", find_device, READER, narrowed=True),
)

# SPDX-License-Identifier: Apache-2.0
"""What a product is made of: its devices by kinds, what they run, what its groups are given, what that contains.

Every answer is a sum over device groups and sets of software, or is cut at a limit, so that a product of a million
devices costs one walk over their index and no list of them.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, Select, and_, case, func, or_, select

from armillary.engines.records.queries.devices import health_word
from armillary.engines.records.queries.pages import portions
from armillary.engines.records.schema import advisory_tables, schema

_device, _status, _group = schema.device, schema.device_status, schema.device_group
_set, _part, _count = schema.software_set, schema.software_part, schema.software_count
_image, _deployed = schema.image, schema.deployment_image
_case, _report = schema.reported_case, schema.vulnerability_report
_bill_part, _component = advisory_tables.bill_component, advisory_tables.component


class ProductDevices(NamedTuple):
    """Devices of one group that are alike, and what of them has a client certificate in force.

    Attributes:
        certified: How many have one.
        next_end: When the first of these ends, Unix seconds; None where there is none, as of ``last_end``.
    """

    group_id: UUID
    chip: str
    health: str
    tier: str
    devices: int
    certified: int
    next_end: int | None
    last_end: int | None


class RunningOs(NamedTuple):
    """How many devices said in their last check-in that they run an OS; ``attested`` is whether that was proved."""

    chip: str
    version: str
    attested: bool
    devices: int


class ListedComponent(NamedTuple):
    """A component that a bill of materials lists."""

    ecosystem: str
    package: str
    version: str
    purl: str


def devices(connection: Connection, product_id: UUID, *, now: int, silent_after_s: int) -> tuple[ProductDevices, ...]:
    """The devices of a product by group, chip, health and trust tier."""
    health = health_word(now, silent_after_s).label("health")
    kinds = (_device.c.group_id, _device.c.chip, health, _device.c.trust_tier)
    ends = case(
        (and_(_status.c.certificate_not_after > now, _device.c.revoked_at.is_(None)), _status.c.certificate_not_after)
    )
    query = (
        select(*kinds, func.count(), func.count(ends), func.min(ends), func.max(ends))
        .join(_status, _status.c.device_number == _device.c.number)
        .where(_device.c.group_id.in_(_groups_of(product_id)))
        .group_by(*kinds)
    )
    return tuple(ProductDevices(*row) for row in connection.execute(query))


def running_os(connection: Connection, product_id: UUID) -> tuple[RunningOs, ...]:
    """What operating systems the devices of a product run, the most frequent first."""
    total = func.sum(_count.c.devices)
    kinds = (_set.c.chip, _set.c.os_version, _set.c.attested)
    query = (
        select(*kinds, total)
        .join(_count, _count.c.set_id == _set.c.set_id)
        .where(_count.c.group_id.in_(_groups_of(product_id)), _count.c.devices > 0)
        .group_by(*kinds)
        .order_by(total.desc(), *kinds)
    )
    return tuple(
        RunningOs(chip, version, bool(ok), int(number)) for chip, version, ok, number in connection.execute(query)
    )


def running_images(connection: Connection, product_id: UUID) -> dict[UUID, int]:
    """Image -> how many devices of a product said in their last check-in that they run it."""
    query = (
        select(_part.c.image_id, func.sum(_count.c.devices))
        .join(_count, _count.c.set_id == _part.c.set_id)
        .where(_count.c.group_id.in_(_groups_of(product_id)), _count.c.devices > 0)
        .group_by(_part.c.image_id)
    )
    return {image_id: int(number) for image_id, number in connection.execute(query)}


def deployed_images(connection: Connection, product_id: UUID) -> dict[UUID, list[str]]:
    """Image -> the groups of a product, by name, whose deployment in force has it."""
    query = (
        select(_deployed.c.image_id, _group.c.name)
        .join(_group, _group.c.deployment_id == _deployed.c.deployment_id)
        .where(_group.c.product_id == product_id)
        .order_by(_group.c.name)
    )
    found: dict[UUID, list[str]] = {}
    for image_id, name in connection.execute(query):
        found.setdefault(image_id, []).append(name)
    return found


def images(connection: Connection, catalog_id: UUID, image_ids: Collection[UUID]) -> list[dict[str, Any]]:
    """What is recorded of some images of a catalog; one that it does not have is left out."""
    columns = (
        "image_id", "component_id", "name", "version", "architecture", "sha256", "signer", "uploaded_at", "uploaded_by",
    )  # fmt: skip
    query = select(*(_image.c[name] for name in columns)).where(_image.c.catalog_id == catalog_id)
    found: list[dict[str, Any]] = []
    for some in portions(sorted(image_ids)):
        found += [
            {**dict(zip(columns, row, strict=True)), "sha256": bytes(row.sha256).hex()}
            for row in connection.execute(query.where(_image.c.image_id.in_(some)))
        ]
    return found


def components(connection: Connection, content_ids: Collection[int], *, limit: int) -> dict[ListedComponent, list[int]]:
    """What some bills of materials list, by package and version, each with the documents that list it.

    The first ``limit`` of each 500 documents at most, which have the first ``limit`` of all among them.
    """
    columns = (_component.c.ecosystem, _component.c.package, _component.c.version, _component.c.purl)
    found: dict[ListedComponent, list[int]] = {}
    for some in portions(sorted(content_ids)):
        here = _bill_part.c.content_id.in_(some)
        listed = select(_bill_part.c.component_id).where(here)
        query = select(_component.c.component_id, *columns).where(_component.c.component_id.in_(listed))
        rows = connection.execute(query.order_by(*columns).limit(limit)).all()
        having: dict[int, list[int]] = {row.component_id: [] for row in rows}
        for component_id, content_id in connection.execute(
            select(_bill_part.c.component_id, _bill_part.c.content_id).where(here)
        ):
            if component_id in having:
                having[component_id].append(content_id)
        for component_id, *named in rows:
            found.setdefault(ListedComponent(*named), []).extend(having[component_id])
    return {each: sorted(found[each]) for each in sorted(found)}


def cases(connection: Connection, catalog_id: UUID, product_id: UUID, *, limit: int) -> list[dict[str, Any]]:
    """The newest cases of a product, and those of all products of its catalog; ``closed_at`` is None of open ones."""
    columns = ("case_id", "kind", "title", "closed_at")
    query = (
        select(*(_case.c[name] for name in columns))
        .where(_case.c.catalog_id == catalog_id, or_(_case.c.product_id == product_id, _case.c.product_id.is_(None)))
        .order_by(_case.c.number.desc())
        .limit(limit)
    )
    return [{**dict(zip(columns, row, strict=True)), "case_id": str(row.case_id)} for row in connection.execute(query)]


def reports(connection: Connection, product_id: UUID, *, limit: int) -> list[dict[str, Any]]:
    """The newest reports of vulnerabilities that were given to a product, without what they say."""
    columns = ("reference", "state", "received_at")
    query = (
        select(*(_report.c[name] for name in columns))
        .where(_report.c.product_id == product_id)
        .order_by(_report.c.number.desc())
        .limit(limit)
    )
    return [dict(zip(columns, row, strict=True)) for row in connection.execute(query)]


def _groups_of(product_id: UUID) -> Select[Any]:
    return select(_group.c.group_id).where(_group.c.product_id == product_id)

# SPDX-License-Identifier: Apache-2.0
"""Answers about what devices install and when: releases, images, bills of materials, the keys, device groups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from uuid import UUID

from armillary.api.http.documents import as_document, row_document
from armillary.api.views import repository as views_repository, service as views, signing_keys as views_signing_keys
from armillary.console.sources.request_context import RequestContext, uuid_of
from armillary.console.sources.signed_in import Document
from armillary.engines.records.schema.update_rows import BillRow
from armillary.wire.image import naming
from armillary.wire.image.bill_of_materials import components_of

# Releases ----------------------------------------------------------------------------------------------------------


def list_releases(by: RequestContext) -> Document:
    """OS releases and drafts, newest first, each with its ``bill``; what one without is worth is ``bill_policy``."""
    bills = by.service.updates.bills
    kept = bills.of_releases()
    items = [
        {**each, "bill": _bill(kept.get(UUID(each["release_id"])))} for each in views.releases(by.service)["items"]
    ]
    return {"items": items, "bill_policy": bills.policy}


def show_release(by: RequestContext, release_id: str) -> Document:
    """One release or draft with its ``bill``, what that lists, and whom the release concerns."""
    found, bills = by.service.releases.get(uuid_of("release", release_id)), by.service.updates.bills
    has_bill = found.release_id in bills.of_releases()
    return {
        **views.release(by.service, found.release_id),
        **_listed(bills.of_release(found.release_id) if has_bill else None),
        "bill_policy": bills.policy,
        "reach": asdict(by.service.attestation.drafts.reach(found.release_id)),
    }


def draft_choices(by: RequestContext, chip: str) -> Document:
    """What the form of a draft offers: ``chips``, ``feeds``, and of a chip its boot components."""
    chips = by.service.chips
    profile = chips.get(chip) if chip else None
    return {
        "chips": list(chips.names),
        "feeds": [each.name for each in by.service.registry.os_feeds.list()],
        "security_version": by.service.releases.highest_security_version(chip) if chip else 0,
        "components": [asdict(each) for each in profile.boot_components] if profile else [],
    }


def make_draft(
    by: RequestContext,
    chip: str,
    version: str,
    feed: str,
    os_abi: int,
    security_version: int,
    packages: Mapping[str, bytes] | None,
) -> Document:
    """Make a draft of component packages by name; None builds stand-ins for a virtual chip."""
    made = by.service.attestation.drafts.create(
        chip,
        version,
        actor=by.operator.name,
        packages=packages,
        security_version=security_version,
        feed=feed,
        os_abi=os_abi,
    )
    return row_document(made)


def sign_release(by: RequestContext, release_id: str) -> Document:
    """Sign every component of a draft."""
    drafts, number = by.service.attestation.drafts, uuid_of("release", release_id)
    return row_document(drafts.sign(number, actor=by.operator.name))


def publish_release(by: RequestContext, release_id: str) -> Document:
    """Publish a signed draft."""
    drafts, number = by.service.attestation.drafts, uuid_of("release", release_id)
    return row_document(drafts.publish(number, actor=by.operator.name))


def promote_release(by: RequestContext, release_id: str) -> Document:
    """Give a release to everybody."""
    drafts, number = by.service.attestation.drafts, uuid_of("release", release_id)
    return row_document(drafts.promote(number, actor=by.operator.name))


def revoke_release(by: RequestContext, release_id: str, reason: str) -> Document:
    """Take a release back for good."""
    releases, number = by.service.releases, uuid_of("release", release_id)
    return row_document(releases.withdraw(number, reason, actor=by.operator.name))


# OS feeds ----------------------------------------------------------------------------------------------------------


def list_feeds(by: RequestContext) -> Document:
    """OS feeds, those that are always there first."""
    return {"items": [as_document(each) for each in by.service.registry.os_feeds.list()]}


def make_feed(by: RequestContext, name: str, follows: str) -> Document:
    """Make a feed that follows another."""
    return row_document(by.service.registry.os_feeds.create(name, follows, actor=by.operator.name))


def drop_feed(by: RequestContext, name: str) -> Document:
    """Delete a feed that nothing uses."""
    by.service.registry.os_feeds.delete(name, actor=by.operator.name)
    return {"deleted": name}


# Images ------------------------------------------------------------------------------------------------------------


def list_images(by: RequestContext, catalog: str, limit: int, after: str | None, order: str = "") -> Document:
    """A page of a catalog's images, newest first or in an order, each with its ``bill``."""
    updates = by.service.updates
    page = updates.images.list(catalog, limit=limit, after=after, order=order)
    kept = updates.bills.of_images(catalog, [each.image_id for each in page.items])
    items = [{**as_document(each), "bill": _bill(kept.get(each.image_id))} for each in page.items]
    return {"items": items, "next": page.next_cursor, "bill_policy": updates.bills.policy}


def show_image(by: RequestContext, catalog: str, image_id: str) -> Document:
    """One image of a catalog with its ``bill``, and what that lists."""
    updates, number = by.service.updates, uuid_of("image", image_id)
    found = updates.images.get(catalog, number)
    has_bill = number in updates.bills.of_images(catalog, (number,))
    listed = _listed(updates.bills.of_image(catalog, number) if has_bill else None)
    return {**row_document(found), **listed, "catalog": catalog, "bill_policy": updates.bills.policy}


def image_label(by: RequestContext, image_id: str) -> Document:
    """What an image is called (``label``); the first digits of its id where the asker's catalogs have none."""
    found = by.service.updates.images.of_id(uuid_of("image", image_id), by.catalog)
    return {"label": naming.image_label(found.name, found.version) if found is not None else image_id[:8]}


# Bills of materials ------------------------------------------------------------------------------------------------


def release_bill(by: RequestContext, release_id: str) -> Document:
    """The bill of a release as it was given (``document``, bytes), and its format."""
    return _kept(by.service.updates.bills.of_release(uuid_of("release", release_id)))


def image_bill(by: RequestContext, catalog: str, image_id: str) -> Document:
    """The bill of an image as it was given (``document``, bytes), and its format."""
    return _kept(by.service.updates.bills.of_image(catalog, uuid_of("image", image_id)))


def put_release_bill(by: RequestContext, release_id: str, document: bytes) -> Document:
    """Keep the bill of a release."""
    bills, number = by.service.updates.bills, uuid_of("release", release_id)
    return row_document(bills.put_of_release(number, document, actor=by.operator.name))


def put_image_bill(by: RequestContext, catalog: str, image_id: str, document: bytes) -> Document:
    """Keep the bill of an image."""
    bills, number = by.service.updates.bills, uuid_of("image", image_id)
    return row_document(bills.put_of_image(catalog, number, document, actor=by.operator.name))


# The repository ----------------------------------------------------------------------------------------------------


def show_repository(by: RequestContext) -> Document:
    """The roles of the repository with their keys, what waits for signatures, and what went wrong."""
    return views_repository.repository(by.service)


def show_signing_keys(by: RequestContext) -> Document:
    """The keys that sign what devices install, and how many devices have which trust store."""
    return views_signing_keys.signing_keys(by.service)


# Device groups -----------------------------------------------------------------------------------------------------


def list_device_groups(by: RequestContext) -> Document:
    """The device groups of all catalogs that the operator speaks for."""
    catalogs, only = by.service.registry.catalogs, by.operator.catalog
    named = catalogs.list() if only is None else (catalogs.get_by_id(only),)
    found = [each for one in named for each in by.service.registry.groups.list(one.name)]
    return {"items": [as_document(each) for each in found]}


def show_device_group(by: RequestContext, catalog: str, product: str, device_group: str) -> Document:
    """One device group: how many ``devices`` it has, and its ``schedule``."""
    groups, schedules = by.service.registry.groups, by.service.updates.schedules
    found = groups.get(catalog, product, device_group)
    return {
        **row_document(found),
        "devices": groups.devices(catalog, product, device_group),
        "schedule": row_document(schedules.of(found.group_id)),
    }


def check_group_now(by: RequestContext, catalog: str, product: str, device_group: str) -> Document:
    """Have all devices of a group check in now: how many were ``asked``."""
    check_now, named = by.service.updates.check_now, (catalog, product, device_group)
    return {"asked": check_now.ask_group(*named, actor=by.operator.name)}


def _bill(row: BillRow | None) -> Document | None:
    return None if row is None else row_document(row)


def _kept(found: tuple[BillRow, bytes]) -> Document:
    return {"document": found[1], "spec_version": found[0].spec_version}


def _listed(found: tuple[BillRow, bytes] | None) -> Document:
    """A bill with the components that it lists."""
    if found is None:
        return {"bill": None, "bill_components": []}
    return {"bill": _bill(found[0]), "bill_components": [asdict(each) for each in components_of(found[1])]}

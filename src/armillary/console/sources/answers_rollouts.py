# SPDX-License-Identifier: Apache-2.0
"""Answers about roll-outs that somebody prepares: images that are looked at, what a roll-out would do, its start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from armillary.api.azure import names
from armillary.api.http.documents import as_document, row_document
from armillary.api.views import service as views
from armillary.console.sources.request_context import RequestContext, uuid_of
from armillary.console.sources.signed_in import Document
from armillary.rollout.policy import RolloutPolicy
from armillary.service.uploads.port import LookedAt
from armillary.wire.image.app_manifest import Capabilities
from armillary.wire.image.section import SIGNATURE_ALGORITHMS

# Images ------------------------------------------------------------------------------------------------------------


def upload_limits(by: RequestContext, catalog: str) -> Document:
    """How large one image of a catalog may be (``bytes``)."""
    by.service.registry.catalogs.get(catalog)
    return {"bytes": by.service.chips.largest_application_flash}


def hold_packages(by: RequestContext, catalog: str, packages: Sequence[bytes]) -> Document:
    """Read image packages, and hold them until somebody has looked at them: ``held_id``."""
    owner = by.service.registry.catalogs.get(catalog).name
    held = by.service.updates.held_packages.hold(owner, packages, actor=by.operator.name)
    return {"held_id": held.held_id}


def show_held(by: RequestContext, catalog: str, held_id: str) -> Document:
    """The packages that are held, each with who signed it and what its manifest asks for."""
    found = by.service.updates.held_packages.look(held_id, catalog, actor=by.operator.name)
    return {"items": [_looked_at(each) for each in found]}


def keep_held(by: RequestContext, catalog: str, held_id: str, versions: Mapping[str, str]) -> Document:
    """Make images of the packages that are held; ``versions`` are by image id."""
    given = {uuid_of("image", image_id): version for image_id, version in versions.items()}
    kept = by.service.updates.held_packages.keep(held_id, catalog, actor=by.operator.name, versions=given)
    return {"items": [as_document(each) for each in kept]}


def drop_held(by: RequestContext, catalog: str, held_id: str) -> Document:
    """Hold the packages no longer."""
    by.service.updates.held_packages.drop(held_id, catalog, actor=by.operator.name)
    return {}


def group_images(by: RequestContext, catalog: str, product: str, device_group: str) -> Document:
    """The images that a device group has in force."""
    found = by.service.updates.deployments.current(catalog, product, device_group)
    return {"items": [] if found is None else [as_document(each) for each in found.images]}


# Roll-outs ---------------------------------------------------------------------------------------------------------


def preview_rollout(
    by: RequestContext, catalog: str, product: str, device_group: str, images: Sequence[str], policy: RolloutPolicy
) -> Document:
    """What a roll-out would do."""
    rollouts = by.service.updates.rollouts
    return row_document(rollouts.previews.of(catalog, product, device_group, _ids(images), policy=policy))


def start_rollout(
    by: RequestContext, catalog: str, product: str, device_group: str, images: Sequence[str], policy: RolloutPolicy
) -> Document:
    """Begin a roll-out, or propose it where a second person is needed."""
    rollouts, actor = by.service.updates.rollouts, by.operator.name
    made = rollouts.start(catalog, product, device_group, _ids(images), actor=actor, policy=policy)
    return views.rollout_document(made)


def preview_os_rollout(
    by: RequestContext, release_id: str, feed: str, only: str | None, policy: RolloutPolicy
) -> Document:
    """What a roll-out of an OS release would do; ``only`` is the one catalog that it is for."""
    number = uuid_of("release", release_id)
    return row_document(by.service.updates.os_rollouts.preview(number, feed=feed, catalog=only, policy=policy))


def start_os_rollout(
    by: RequestContext, release_id: str, feed: str, only: str | None, policy: RolloutPolicy
) -> Document:
    """Begin a roll-out of an OS release, or propose it."""
    number, actor = uuid_of("release", release_id), by.operator.name
    made = by.service.updates.os_rollouts.start(number, actor=actor, feed=feed, catalog=only, policy=policy)
    return views.rollout_document(made)


def _ids(images: Sequence[str]) -> list[UUID]:
    return [names.checked_uuid("image", each) for each in images]


def _looked_at(found: LookedAt) -> Document:
    package, manifest = found.package, found.manifest
    return {
        "name": package.name,
        "image_id": str(package.image_id),
        "component_id": str(package.component_id),
        "size": len(package.data),
        "built_at": package.built,
        "architecture": found.architecture,
        "sha256": package.digest.hex(),
        "signer": package.signing_key.thumbprint.hex(),
        "algorithm": SIGNATURE_ALGORITHMS[package.signing_key.algorithm],
        "entry_point": "" if manifest is None else " ".join((manifest.entry_point, *manifest.cmd_args)),
        "capabilities": None if manifest is None else _asked(manifest.capabilities),
    }


def _asked(capabilities: Capabilities) -> Document:
    """What an application asks for; what it leaves alone is left out."""
    found: Document = as_document(capabilities)
    return {name: value for name, value in found.items() if value not in (None, False, 0, [])}

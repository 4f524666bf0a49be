# SPDX-License-Identifier: Apache-2.0
"""Which images repair what an advisory affects, for each device group whose devices run it.

The repair of an image is the newest image of the same component in the catalog that the advisory is known not to affect
(``fixed`` or ``not-affected``: never ``unknown``), and that came after it; or one that a person names. A group whose
devices get something else in the same deployment keeps that. A roll-out that brings what is affected is cancelled,
halted or not; any other that decides for a group goes first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from armillary.advisory.assessment import State
from armillary.engines.records.queries import images as image_rows, rollouts as rollout_rows
from armillary.engines.records.response import kept as kept_rows, targets as target_rows
from armillary.engines.records.schema.rows import DeviceGroup, Image
from armillary.service.advisories.judging import Judged
from armillary.service.updates.images import image_or_raise

# Newest images of a catalog that are looked through for a repair.
LOOKED_THROUGH: Final = 1_000
_REPAIRED: Final = frozenset({State.FIXED, State.NOT_AFFECTED})


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupFix:
    """What the affected devices of a group get; ``image_ids`` are empty where there is no repair, ``words`` say why."""

    group_id: UUID
    product: str
    group: str
    image_ids: tuple[UUID, ...] = ()
    words: str = ""
    cancels: UUID | None = None  # The roll-out that brings what is affected, and makes place for this one


def fixes_of(
    connection: Connection,
    catalog_id: UUID,
    judged: Sequence[Judged],
    groups: Sequence[DeviceGroup],
    given: Sequence[UUID],
) -> tuple[GroupFix, ...]:
    """What the affected devices of each group get; NotFoundError for a given image that the catalog does not have."""
    states = {each.artifact.artifact_id: each.state for each in judged if each.artifact.catalog_id == catalog_id}
    named = [image_or_raise(connection, catalog_id, image_id) for image_id in given]
    held = image_rows.page(connection, catalog_id, limit=LOOKED_THROUGH, after=None).items
    return tuple(_fix(connection, group, states, held, named) for group in groups)


def _fix(
    connection: Connection,
    group: DeviceGroup,
    states: dict[UUID, State],
    held: Sequence[Image],
    named: Sequence[Image],
) -> GroupFix:
    path = f"{group.product}/{group.name}"
    now, cancels = kept_rows.newest_deployment(connection, group), None
    living = rollout_rows.living_of_group(connection, group.group_id)
    if living is not None:
        if not any(states.get(each) is State.AFFECTED for each in target_rows.images_of(connection, living)):
            return _none(group, f"{path}: nothing; roll-out {living.rollout_id} ({living.state}) decides for it")
        now, cancels = living.deployment_id, living.rollout_id
    deployment = None if now is None else image_rows.deployment(connection, now)
    if deployment is None or not any(states.get(each.image_id) is State.AFFECTED for each in deployment.images):
        said = "what the group should have is not affected: its devices have only not installed it yet"
        return _none(group, f"{path}: nothing; {said}")
    chosen, swapped = list[UUID](), list[str]()
    for image in deployment.images:
        if states.get(image.image_id) is not State.AFFECTED:
            chosen.append(image.image_id)
            continue
        repair = _repair(image, states, held, named)
        if repair is None:
            said = f"there is no image of {image.name} after {_told(image)} that is known to be repaired"
            return _none(group, f"{path}: nothing; {said}")
        chosen.append(repair.image_id)
        doubt = "" if states.get(repair.image_id) in _REPAIRED else ", which by its bill of materials is no repair"
        swapped.append(f"{image.name} {_told(image)} becomes {_told(repair)}{doubt}")
    return GroupFix(
        group_id=group.group_id,
        product=group.product,
        group=group.name,
        image_ids=tuple(chosen),
        words=f"{path}: {', '.join(swapped)}, on its affected devices alone"
        + (f"; roll-out {cancels}, which brings what is affected, is cancelled" if cancels else ""),
        cancels=cancels,
    )


def _none(group: DeviceGroup, words: str) -> GroupFix:
    return GroupFix(group_id=group.group_id, product=group.product, group=group.name, words=words)


def _told(image: Image) -> str:
    """What tells an image from other builds of its name: its id's beginning, with its version where it has one."""
    short = str(image.image_id)[:8]
    return f"{image.version} ({short})" if image.version else short


def _repair(image: Image, states: dict[UUID, State], held: Sequence[Image], named: Sequence[Image]) -> Image | None:
    mine = [each for each in named if each.component_id == image.component_id]
    if mine:
        return mine[0]
    found = [
        each
        for each in held
        if each.component_id == image.component_id
        and each.uploaded_at >= image.uploaded_at
        and each.image_id != image.image_id
        and states.get(each.image_id) in _REPAIRED
    ]
    return max(found, key=lambda each: (each.uploaded_at, each.built_at), default=None)

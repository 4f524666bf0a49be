# SPDX-License-Identifier: Apache-2.0
"""What an action is aimed at, found in the records: devices of one catalog, or its roll-outs.

Nothing of another catalog is ever found: an id of another one is as one that nobody has. Of an advisory only what is
known to be affected is acted on; what is unknown is left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, Select

from armillary.engines.records.queries import (
    catalogs as catalog_rows,
    findings as finding_rows,
    rollouts as rollout_rows,
)
from armillary.engines.records.response import targets as target_rows
from armillary.engines.records.schema.rollout_rows import Rollout
from armillary.errors import InvalidArgumentError
from armillary.response.action import (
    ADVISORY,
    DEVICES,
    FINDING,
    FLOOR,
    GROUP,
    IMAGE,
    ROLLOUT,
    TARGETS,
    check_target,
)
from armillary.service.advisories.advisories import Advisories
from armillary.service.registry.names import catalog_or_raise, group_or_raise, no_such_device
from armillary.service.response.fixes import GroupFix, fixes_of
from armillary.service.updates.images import image_or_raise
from armillary.service.updates.rollouts import no_such_rollout
from armillary.service.watch.watch import no_such_finding
from armillary.wire.device.finding import Finding
from armillary.wire.image.naming import image_label

# Devices that are named one by one: those of a form or a command line.
MAX_NAMED: Final = 500
# Kinds that act on roll-outs rather than on devices, and in which states of these.
ROLLOUT_STATES: Final[Mapping[str, frozenset[str]]] = {
    "halt": frozenset({"running"}),
    "roll-back": frozenset({"running", "held"}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionRequest:
    """What somebody asks for.

    Attributes:
        catalog: Name of whose devices and roll-outs; None for the whole service, which has floors and OS releases.
        target: One of ``response/action.py`` TARGETS, and its value.
        options: ``ends_after_s`` of a quarantine, ``channel`` and ``message`` of a notice, ``images`` of a fix.
    """

    kind: str
    catalog: str | None
    target: Mapping[str, Any]
    reason: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def aimed_at(self) -> tuple[str, Any]:
        """What it is aimed at, and its value; InvalidArgumentError unless that is one thing, which its kind takes."""
        given = [(name, value) for name, value in self.target.items() if value is not None]
        if len(given) != 1:
            raise InvalidArgumentError(
                f"target: expected one of {', '.join(TARGETS)}, got {', '.join(name for name, _ in given) or 'none'}",
                remedy="Aim an action at one thing.",
            )
        check_target(self.kind, given[0][0])
        return given[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """What a request comes to.

    Attributes:
        catalog_id: Whose it is; None of the whole service.
        devices: Queries of the row numbers of devices, which together find each once.
        rollouts: The roll-outs that it changes.
        fixes: Of a fix: what each device group gets.
        finding: That it is about.
        words: What it touches, for people.
    """

    catalog_id: UUID | None
    devices: tuple[Select[Any], ...] = ()
    rollouts: tuple[Rollout, ...] = ()
    fixes: tuple[GroupFix, ...] = ()
    finding: Finding | None = None
    words: tuple[str, ...] = ()

    def count(self, connection: Connection) -> int:
        """How many devices it touches."""
        if self.rollouts:
            return target_rows.started(connection, [each.rollout_id for each in self.rollouts])
        return sum(target_rows.count(connection, each) for each in self.devices)

    def first_ids(self, connection: Connection, limit: int) -> tuple[str, ...]:
        """Ids of some of them."""
        found: list[str] = []
        for each in self.devices:
            if len(found) < limit:
                found += target_rows.first_ids(connection, each, limit - len(found))
        return tuple(found)


class Aims:
    """Finds what requests are aimed at."""

    def __init__(self, advisories: Advisories) -> None:
        self._advisories = advisories

    def of(self, connection: Connection, request: ActionRequest) -> Aim:
        """What a request comes to now.

        Raises:
            InvalidArgumentError: a kind, a target or a combination that there is not.
            NotFoundError: the catalog, or what it is aimed at, is not there or not the catalog's.
        """
        target, value = request.aimed_at
        catalog_id = None if request.catalog is None else catalog_or_raise(connection, request.catalog).catalog_id
        if catalog_id is None and target not in (FLOOR, ROLLOUT):
            raise InvalidArgumentError(
                "catalog: expected one: what an action is aimed at is of one catalog", remedy="Name it: --catalog NAME."
            )
        if catalog_id is not None and target == FLOOR:
            raise InvalidArgumentError(
                "catalog: expected none: a floor holds for all devices of a chip",
                remedy="For one catalog: armillary attestation-policy set --minimum-security-version TYPE=N.",
            )
        finders: Mapping[str, Callable[[Connection, ActionRequest, Any, Any], Aim]] = {
            FLOOR: self._of_floor,
            ROLLOUT: self._of_rollout,
            DEVICES: self._of_devices,
            GROUP: self._of_group,
            IMAGE: self._of_image,
            FINDING: self._of_finding,
            ADVISORY: self._of_advisory,
        }
        return finders[target](connection, request, catalog_id, value)

    def _of_floor(self, _connection: Connection, _: ActionRequest, __: None, value: Mapping[str, Any]) -> Aim:
        chip, image_type, minimum = (value[name] for name in ("chip", "image_type", "minimum"))
        below = target_rows.below_floor(chip, image_type, minimum)
        words = f"image type {image_type} of {chip} below security version {minimum} is refused"
        return Aim(catalog_id=None, devices=(below,), words=(words, "devices that run such a release may only update"))

    def _of_rollout(self, connection: Connection, request: ActionRequest, catalog_id: UUID | None, value: Any) -> Aim:
        rollout_id = _uuid(value, "rollout")
        found = rollout_rows.uncounted(connection, rollout_id)
        if found is None or (catalog_id is not None and found.catalog_id != catalog_id):
            raise no_such_rollout(rollout_id)
        if catalog_id is not None and found.is_promoted:
            raise no_such_rollout(rollout_id)  # of all catalogs
        return self._rollouts(request, catalog_id, [found])

    def _of_devices(self, connection: Connection, _: ActionRequest, catalog_id: UUID, value: Any) -> Aim:
        wanted = sorted({str(each).lower() for each in value})
        if not 1 <= len(wanted) <= MAX_NAMED:
            raise InvalidArgumentError(
                f"devices: expected 1 to {MAX_NAMED} ids, got {len(wanted)}", remedy="For more, aim at their group."
            )
        found = target_rows.by_ids(catalog_id, wanted)
        known = set(target_rows.first_ids(connection, found, MAX_NAMED))
        for device_id in wanted:
            if device_id not in known:
                raise no_such_device(device_id)
        return Aim(catalog_id=catalog_id, devices=(found,), words=("the devices that are named",))

    def _of_group(self, connection: Connection, request: ActionRequest, catalog_id: UUID, value: Any) -> Aim:
        product, slash, name = str(value).partition("/")
        if not slash:
            raise InvalidArgumentError(
                f"device_group: expected PRODUCT/GROUP, got {value!a:.80}", remedy="List them: device-group list."
            )
        group = group_or_raise(connection, str(request.catalog), product, name)
        if request.kind in ROLLOUT_STATES:
            mine = [
                each
                for each in target_rows.rollouts_of(connection, catalog_id)
                if any(part.group_id == group.group_id for part in each.parts)
            ]
            return self._rollouts(request, catalog_id, mine)
        words = (f"all devices of {group.product}/{group.name}",)
        return Aim(catalog_id=catalog_id, devices=(target_rows.by_group(catalog_id, group.group_id),), words=words)

    def _of_image(self, connection: Connection, request: ActionRequest, catalog_id: UUID, value: Any) -> Aim:
        image = image_or_raise(connection, catalog_id, _uuid(value, "image"))
        if request.kind in ROLLOUT_STATES:
            return self._rollouts(request, catalog_id, _bringing(connection, catalog_id, {image.image_id}))
        words = (f"all devices that report image {image_label(image.name, image.version)}",)
        return Aim(catalog_id=catalog_id, devices=(target_rows.by_image(catalog_id, image.image_id),), words=words)

    def _of_finding(self, connection: Connection, request: ActionRequest, catalog_id: UUID, value: Any) -> Aim:
        finding_id = _uuid(value, "finding")
        found = finding_rows.one(connection, finding_id)
        if found is None or found.catalog_id != catalog_id:
            raise no_such_finding(finding_id)
        aim = self._about_finding(connection, request, catalog_id, found)
        return Aim(
            catalog_id=catalog_id,
            devices=aim.devices,
            rollouts=aim.rollouts,
            fixes=aim.fixes,
            finding=found,
            words=aim.words,
        )

    def _about_finding(self, connection: Connection, request: ActionRequest, catalog_id: UUID, found: Finding) -> Aim:
        if request.kind == "notify":
            return Aim(catalog_id=catalog_id, words=("everybody whose channel wants to hear of actions",))
        if found.advisory_id is not None:
            return self._of_advisory(connection, request, catalog_id, found.advisory_id)
        if request.kind == "deploy-fix":
            raise InvalidArgumentError(
                "finding: expected one about an advisory, got another", remedy="Name the advisory: --advisory ID."
            )
        if request.kind not in ROLLOUT_STATES:
            words = ("the devices that the finding names",)
            return Aim(
                catalog_id=catalog_id, devices=(target_rows.by_finding(catalog_id, found.finding_id),), words=words
            )
        living = target_rows.rollouts_of(connection, catalog_id)
        if found.rollout_id is not None:
            living = [each for each in living if each.rollout_id == found.rollout_id]
        elif found.image_id is not None:
            living = _bringing(connection, catalog_id, {found.image_id})
        else:
            living = []
        return self._rollouts(request, catalog_id, living)

    def _of_advisory(self, connection: Connection, request: ActionRequest, catalog_id: UUID, value: Any) -> Aim:
        advisory_id = str(value)
        if request.kind == "notify":
            return Aim(catalog_id=catalog_id, words=("everybody whose channel wants to hear of actions",))
        judged, groups = self._advisories.answers.standing(connection, advisory_id, catalog_id)
        if request.kind in ROLLOUT_STATES:
            affected = {each.artifact.artifact_id for each in judged if each.state.value == "affected"}
            return self._rollouts(request, catalog_id, _bringing(connection, catalog_id, affected))
        known = {each.group_id: each for each in catalog_rows.every_group(connection)}
        chosen = [(known[group_id], sets) for group_id, sets in groups if group_id in known]
        if request.kind != "deploy-fix":
            devices = tuple(target_rows.by_sets(catalog_id, group.group_id, sets) for group, sets in chosen)
            return Aim(catalog_id=catalog_id, devices=devices, words=(f"all devices that {advisory_id} affects",))
        given = [_uuid(each, "images") for each in request.options.get("images", ())]
        fixes = fixes_of(connection, catalog_id, judged, [group for group, _ in chosen], given)
        can = {each.group_id for each in fixes if each.image_ids}
        devices = tuple(
            target_rows.by_sets(catalog_id, group.group_id, sets) for group, sets in chosen if group.group_id in can
        )
        words = tuple(each.words for each in fixes)
        return Aim(catalog_id=catalog_id, devices=devices, fixes=fixes, words=words)

    def _rollouts(self, request: ActionRequest, catalog_id: UUID | None, found: list[Rollout]) -> Aim:
        possible = tuple(each for each in found if each.state in ROLLOUT_STATES[request.kind])
        words = [f"the roll-out to {each.target} ({each.rollout_id}), which is {each.state}" for each in possible]
        return Aim(catalog_id=catalog_id, rollouts=possible, words=tuple(words) or ("no roll-out",))


def _bringing(connection: Connection, catalog_id: UUID, image_ids: set[UUID]) -> list[Rollout]:
    """The living roll-outs of a catalog that bring one of these images."""
    living = target_rows.rollouts_of(connection, catalog_id)
    return [each for each in living if image_ids & target_rows.images_of(connection, each)]


def _uuid(value: Any, name: str) -> UUID:
    try:
        return UUID(str(value))
    except ValueError as error:
        raise InvalidArgumentError(f"{name}: expected a UUID, got {value!a:.60}", remedy="List them.") from error

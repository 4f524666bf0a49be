# SPDX-License-Identifier: Apache-2.0
"""Security floors: the lowest security version of each boot component that is accepted.

They only rise: lowering one would let an attacker bring back a release with known holes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from sqlalchemy import Connection

from armillary.engines.records.queries import (
    catalogs as catalog_rows,
    releases as release_rows,
    rollouts as rollout_rows,
)
from armillary.engines.records.schema.rows import OsRelease, SecurityFloor
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError
from armillary.service.context.chips import Chips
from armillary.service.context.context import Context
from armillary.service.updates.os_feeds import Systems, is_above, systems_of
from armillary.service.verifier.reachable import (
    emptied,
    given_to_chip,
    imported_alone,
    remedy_beside,
    stranded,
    ungiven,
)
from armillary.service.verifier.releases import Releases
from armillary.wire.image.section import SECURITY_VERSION_LIMIT


class SecurityFloors:
    """Operations on security floors."""

    def __init__(self, context: Context, chips: Chips, releases: Releases) -> None:
        self._context = context
        self._chips = chips
        self._releases = releases

    def list(self, *, chip: str | None = None) -> tuple[SecurityFloor, ...]:
        """Security floors of all chips or of one."""
        found = self._context.records.read(release_rows.floors)
        return tuple(floor for floor in found if chip is None or floor.chip == chip)

    def raise_to(self, chip: str, image_type: int, minimum: int, *, actor: str) -> SecurityFloor:
        """Refuse every security version below ``minimum`` from the next check-in on.

        Raises:
            NotFoundError: no such chip, or no such component on it.
            InvalidArgumentError: a feed that gives the chip an operating system, to everybody or to a catalog apart,
                would have nothing above it and the chip's other floors, or nothing that devices take which it shuts
                out; no feed gives the chip one, or one whose groups have devices of it does not. Where these run
                imported releases alone, none of them would be above.
            ConflictError: lower than what holds already, or a roll-out brings a release that is below it.
        """
        floor = self._context.records.write(lambda c: self.raise_in(c, chip, image_type, minimum, actor=actor))
        self.raised()
        return floor

    def raised(self) -> None:
        """A floor was raised: evidence is judged by it from now on."""
        self._releases.refresh()

    def raise_in(
        self, connection: Connection, chip: str, image_type: int, minimum: int, *, actor: str
    ) -> SecurityFloor:
        """Raise a floor in the caller's transaction, who calls :meth:`raised` after it; raises as :meth:`raise_to`."""
        profile = self._chips.get(chip)
        if image_type not in {component.image_type for component in profile.boot_components}:
            raise NotFoundError(f"{chip} boots no image of type {image_type}", remedy="See armillary release show.")
        wanted = SecurityFloor(chip=chip, image_type=image_type, minimum=minimum, changed_at=self._context.now())
        _check_reachable(connection, wanted)
        holds = release_rows.raise_floor(connection, wanted)
        if holds.minimum > minimum:
            raise ConflictError(
                f"the floor is {holds.minimum} already", remedy="Floors only rise; a lower one cannot be set."
            )
        detail = {"image_type": image_type, "minimum": minimum}
        self._context.audit(connection, actor, "release.raise-floor", chip, detail)
        return holds


def _check_reachable(connection: Connection, wanted: SecurityFloor) -> None:
    """Raise InvalidArgumentError where devices of the chip would be shut out and offered nothing that lets them in."""
    systems, floors, chip = systems_of(connection, now=wanted.changed_at), release_rows.floors(connection), wanted.chip
    held = next((one.minimum for one in floors if (one.chip, one.image_type) == (chip, wanted.image_type)), 0)
    if 0 <= wanted.minimum <= held:
        return  # nothing is raised
    names = {one.catalog_id: one.name for one in catalog_rows.catalogs(connection)}
    running = release_rows.running(connection, chip)
    imported = imported_alone(systems, chip, running)
    if imported:
        _check_imported(imported, floors, wanted)
        return
    _check_no_rollout(connection, systems, floors, wanted)
    also = remedy_beside(systems, chip, running)
    _check_all_given(systems, wanted, release_rows.places_of_devices(connection, chip), names, held=held, also=also)
    _check_left(systems, floors, wanted, names, also=also)
    _check_taken(systems, floors, wanted, names, also=also)


def _check_imported(imported: Sequence[OsRelease], floors: Sequence[SecurityFloor], wanted: SecurityFloor) -> None:
    """Refuse a floor that no imported release would be above: the chip's devices get these, and no others."""

    def shuts_out(minimum: int) -> bool:
        last = {(one.chip, one.image_type): one.minimum for one in [*floors, replace(wanted, minimum=minimum)]}
        return not any(is_above(one, last) for one in imported)

    if wanted.minimum < 0 or shuts_out(wanted.minimum):
        raise InvalidArgumentError(
            f"{_expected(wanted, shuts_out)}: {wanted.chip} has devices with imported releases alone, and none of "
            "these in force is above that floor and the chip's other floors",
            remedy="Import the reference values of one that is first: armillary release import-corim.",
        )


def _check_all_given(
    systems: Systems,
    wanted: SecurityFloor,
    places: frozenset[tuple[UUID, str]],
    names: Mapping[UUID, str],
    *,
    held: int,
    also: str,
) -> None:
    """Refuse any floor above what is ``held`` while devices of the chip, or all of them, are given nothing.

    ``also`` is a further sentence of the remedy, as for the checks below.
    """
    chip, missing = wanted.chip, ungiven(systems, wanted.chip, places)
    if missing is not None:
        catalog_id, feed = missing
        raise InvalidArgumentError(
            f"minimum: expected {held} while {feed} gives no operating system to {chip}, of which catalog "
            f"{names[catalog_id]} has devices there, got {wanted.minimum}",
            remedy=f"Promote a release with that security version to {feed} first (armillary release promote, or "
            f"publish it there), or revoke those devices: they would be shut out and offered nothing.{also}",
        )
    if not given_to_chip(systems, chip):
        raise InvalidArgumentError(
            f"minimum: expected {held} while no feed gives {chip} an operating system, got {wanted.minimum}",
            remedy="Publish a release with that security version first.",
        )


def _check_left(
    systems: Systems, floors: Sequence[SecurityFloor], wanted: SecurityFloor, names: Mapping[UUID, str], *, also: str
) -> None:
    """Refuse a floor under which a feed that gives the chip an operating system would give it none any more."""

    def lost(minimum: int) -> bool:
        return bool(emptied(systems, [*floors, replace(wanted, minimum=minimum)], wanted.chip))

    stuck = next(iter(emptied(systems, [*floors, wanted], wanted.chip)), None)
    if stuck is None and wanted.minimum >= 0:
        return
    said = _expected(wanted, lost)
    if stuck is None:
        raise InvalidArgumentError(said, remedy="Give such a number.")
    whom = "" if stuck.catalog_id is None else f" in catalog {names[stuck.catalog_id]}"
    raise InvalidArgumentError(
        f"{said}: {stuck.feed} gives {stuck.version} to {wanted.chip}{whom}, and has nothing above that floor and the "
        "chip's other floors",
        remedy=f"Promote a release with that security version to {stuck.feed} first (armillary release promote, or "
        f"publish it there); what is bad is withdrawn: armillary release withdraw.{also}",
    )


def _check_taken(
    systems: Systems, floors: Sequence[SecurityFloor], wanted: SecurityFloor, names: Mapping[UUID, str], *, also: str
) -> None:
    """Refuse a floor that shuts out a release whose devices do not take what they would be given instead."""
    is_shut_out = _newly_below(floors, wanted)
    under = systems.under([*floors, wanted], wanted.chip)
    for catalog_id, _ in under.each(None):
        found = stranded(systems, under, catalog_id, wanted.chip, is_shut_out)
        if found is not None:
            whom = "" if catalog_id is None else f" in catalog {names[catalog_id]}"
            raise InvalidArgumentError(
                f"minimum: expected one that {found.version} is not below, got {wanted.minimum}: devices{whom} that "
                f"run it refuse {found.given}, which {found.feed} would give them: another component has a lower "
                "security version there",
                remedy=f"Publish a release to {found.feed} first that has no lower one than either; where no "
                f"device runs {found.version} any more, withdrawing it does as well.{also}",
            )


def _check_no_rollout(
    connection: Connection, systems: Systems, floors: Sequence[SecurityFloor], wanted: SecurityFloor
) -> None:
    """Refuse a floor below which a release is that a roll-out brings: it goes to devices whatever a floor says."""
    is_shut_out = _newly_below(floors, wanted)
    for release in systems.releases:
        if release.chip != wanted.chip or not is_shut_out(release):
            continue
        rollout = rollout_rows.living_of_release(connection, release.release_id)
        if rollout is not None and rollout.state != "rolling-back":
            raise ConflictError(
                f"roll-out {rollout.rollout_id} ({rollout.state}) brings OS {release.version}, which is below "
                f"{wanted.minimum}: its devices would be shut out",
                remedy="Roll it back, or cancel it first: armillary rollout.",
            )


def _newly_below(floors: Sequence[SecurityFloor], wanted: SecurityFloor) -> Callable[[OsRelease], bool]:
    """Whether a release is below the floors with the wanted one, and was below none."""
    before = {(one.chip, one.image_type): one.minimum for one in floors}
    after = before | {(wanted.chip, wanted.image_type): wanted.minimum}
    return lambda release: is_above(release, before) and not is_above(release, after)


def _expected(wanted: SecurityFloor, shuts_out: Callable[[int], bool]) -> str:
    """What a floor may be: what it shuts out grows with it."""
    highest = max(bisect_left(range(SECURITY_VERSION_LIMIT + 1), x=True, key=shuts_out) - 1, 0)
    return f"minimum: expected 0 to {highest}, got {wanted.minimum}"

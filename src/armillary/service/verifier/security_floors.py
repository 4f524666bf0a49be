# SPDX-License-Identifier: Apache-2.0
"""Security floors: the lowest security version of each boot component that is accepted.

They only rise: lowering one would let an attacker bring back a release with known holes.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import replace

from sqlalchemy import Connection

from armillary.engines.records.queries import catalogs as catalog_rows, releases as release_rows
from armillary.engines.records.schema.rows import SecurityFloor
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError
from armillary.service.context.chips import Chips
from armillary.service.context.context import Context
from armillary.service.updates.os_feeds import systems_of
from armillary.service.verifier.reachable import GivenSystem, emptied, given_to_chip
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
                would have nothing above it and the chip's other floors; or no feed gives the chip one.
            ConflictError: lower than what holds already.
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
    """Raise InvalidArgumentError where a feed that gives the chip an operating system would give it none any more."""
    systems, floors, chip = systems_of(connection, now=wanted.changed_at), release_rows.floors(connection), wanted.chip

    def lost(minimum: int) -> tuple[GivenSystem, ...]:
        return emptied(systems, [*floors, replace(wanted, minimum=minimum)], chip)

    if not given_to_chip(systems, chip) and wanted.minimum != 0:
        raise InvalidArgumentError(
            f"minimum: expected 0 while no feed gives {chip} an operating system, got {wanted.minimum}",
            remedy="Publish a release with that security version first.",
        )
    stuck = next(iter(lost(wanted.minimum)), None)
    if stuck is None and wanted.minimum >= 0:
        return
    # What is lost grows with the floor, and a floor of 0 takes nothing.
    highest = bisect_left(range(SECURITY_VERSION_LIMIT + 1), x=True, key=lambda one: bool(lost(one))) - 1
    said = f"minimum: expected 0 to {highest}, got {wanted.minimum}"
    if stuck is None:
        raise InvalidArgumentError(said, remedy="Give such a number.")
    names = {one.catalog_id: one.name for one in catalog_rows.catalogs(connection)}
    whom = f" in catalog {names[stuck.catalog_id]}" if stuck.catalog_id in names else ""
    raise InvalidArgumentError(
        f"{said}: {stuck.feed} gives {stuck.version} to {chip}{whom}, and has nothing above that floor and the chip's "
        "other floors",
        remedy=f"Promote a release with that security version to {stuck.feed} first (armillary release promote, or "
        "publish it there); what is bad is withdrawn: armillary release withdraw.",
    )

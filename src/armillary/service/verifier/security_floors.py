# SPDX-License-Identifier: Apache-2.0
"""Security floors: the lowest security version of each boot component that is accepted.

They only rise: lowering one would let an attacker bring back a release with known holes.
"""

from __future__ import annotations

from sqlalchemy import Connection

from armillary.engines.records.queries import releases as release_rows
from armillary.engines.records.schema.rows import SecurityFloor
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError
from armillary.service.context.chips import Chips
from armillary.service.context.context import Context
from armillary.service.updates.os_feeds import is_above, living_of, lowest_version
from armillary.service.verifier.releases import Releases


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
            InvalidArgumentError: no release in force would be above it and the chip's other floors.
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
        _check_reachable(connection, chip, image_type, minimum, now=self._context.now())
        wanted = SecurityFloor(chip=chip, image_type=image_type, minimum=minimum, changed_at=self._context.now())
        holds = release_rows.raise_floor(connection, wanted)
        if holds.minimum > minimum:
            raise ConflictError(
                f"the floor is {holds.minimum} already", remedy="Floors only rise; a lower one cannot be set."
            )
        detail = {"image_type": image_type, "minimum": minimum}
        self._context.audit(connection, actor, "release.raise-floor", chip, detail)
        return holds


def _check_reachable(connection: Connection, chip: str, image_type: int, minimum: int, *, now: int) -> None:
    """Raise InvalidArgumentError where no release in force would be above this floor and the chip's other ones."""
    floors = {(one.chip, one.image_type): one.minimum for one in release_rows.floors(connection)}
    others = floors | {(chip, image_type): 0}
    usable = [
        release
        for release in living_of(release_rows.every(connection), now)
        if release.chip == chip and is_above(release, others)
    ]
    highest = max((lowest_version(release, image_type) for release in usable), default=0)
    if not 0 <= minimum <= highest:
        raise InvalidArgumentError(
            f"minimum: expected 0 to {highest}, the highest released that is in force and above the chip's other "
            f"floors, got {minimum}",
            remedy="Publish a release with that security version first; every device would be shut out otherwise.",
        )

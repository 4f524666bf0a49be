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
            InvalidArgumentError: out of range, or above what any release has.
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
        newest = max(
            (
                c.security_version
                for r in self._releases.list(chip=chip)
                for c in r.components
                if c.image_type == image_type
            ),
            default=0,
        )
        if not 0 <= minimum <= newest:
            raise InvalidArgumentError(
                f"minimum: expected 0 to {newest}, the highest released, got {minimum}",
                remedy="Publish a release with that security version first; every device would be shut out otherwise.",
            )

        wanted = SecurityFloor(chip=chip, image_type=image_type, minimum=minimum, changed_at=self._context.now())
        holds = release_rows.raise_floor(connection, wanted)
        if holds.minimum > minimum:
            raise ConflictError(
                f"the floor is {holds.minimum} already", remedy="Floors only rise; a lower one cannot be set."
            )
        detail = {"image_type": image_type, "minimum": minimum}
        self._context.audit(connection, actor, "release.raise-floor", chip, detail)
        return holds

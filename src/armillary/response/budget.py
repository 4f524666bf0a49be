# SPDX-License-Identifier: Apache-2.0
"""How many devices automatic actions may touch before a person has to say so: the blast radius.

Whoever can make the watch see things could make the service shut out a fleet. So automatic actions of a catalog
together touch at most a share of its devices in a day, and at most so many in a minute; what is beyond that waits for a
person.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

# A day's share of the fleet: 1 in 1,000, and one device of a fleet that is smaller.
FLEET_SHARE: Final = 1_000
PER_MINUTE: Final = 50
DAY_S: Final = 86_400
MINUTE_S: Final = 60


@dataclass(frozen=True, slots=True)
class Spent:
    """Devices that automatic actions of a catalog touched: in the last day, and in the last minute."""

    day: int
    minute: int


def allowed(fleet: int, spent: Spent) -> int:
    """How many further devices of a fleet automatic actions may touch now."""
    return max(0, min(max(1, fleet // FLEET_SHARE) - spent.day, PER_MINUTE - spent.minute))


def why(fleet: int, spent: Spent, wanted: int) -> str:
    """What to tell people of an action that pauses because it would touch ``wanted`` further devices."""
    share = max(1, fleet // FLEET_SHARE)
    return (
        f"{wanted} more devices would be touched; automatic actions touch at most {share} of {fleet} devices a day "
        f"({spent.day} so far) and {PER_MINUTE} a minute ({spent.minute} so far)"
    )

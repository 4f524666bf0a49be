# SPDX-License-Identifier: Apache-2.0
"""Time zones by their names, from the system's database of time zones (IANA)."""

from __future__ import annotations

import datetime as dt
import re
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from armillary.errors import HostError, InvalidArgumentError

UTC: Final = "UTC"
ZONE_PATTERN: Final = r"^[A-Z][A-Za-z_]*(/[A-Za-z0-9_+-]+){0,2}$"
MAX_ZONE_CHARACTERS: Final = 64
# A zone that every database has: where it is missing there is no database.
_KNOWN_EVERYWHERE: Final = "Europe/Berlin"


def zone_named(name: str) -> dt.tzinfo:
    """The time zone of a name such as ``Europe/Berlin``; ``UTC`` needs no database.

    Raises:
        InvalidArgumentError: there is no zone of this name.
        HostError: this host has no database of time zones.
    """
    if name == UTC:
        return dt.UTC
    try:
        if len(name) <= MAX_ZONE_CHARACTERS and re.fullmatch(ZONE_PATTERN, name, re.ASCII):
            return ZoneInfo(name)
    except (ZoneInfoNotFoundError, OSError, ValueError):
        try:
            ZoneInfo(_KNOWN_EVERYWHERE)
        except (ZoneInfoNotFoundError, OSError) as error:
            raise HostError(
                "this host has no database of time zones", remedy="Install the system's package tzdata, or use UTC."
            ) from error
    raise InvalidArgumentError(
        f"time zone: expected a name such as {_KNOWN_EVERYWHERE} or {UTC}, got {name!r:.80}",
        remedy="Names are those of the IANA time zone database; abbreviations such as CET are not unique.",
    )

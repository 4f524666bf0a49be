# SPDX-License-Identifier: Apache-2.0
"""A recipe, as its author signs it.

As canonical JSON::

    {"format": 1, "profile": "guard/coffee", "name": "winter", "version": 7, "slot": 0, "values": {"brewTemp": 93.0}}

``version`` rises with each recipe of a profile; ``values`` has each field of the profile's recipe area, in engineering
units.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Final

from armillary.wire.equipment.files.statement import (
    MAX_VERSION,
    PROFILE_NAME,
    fault,
    read_statement,
    statement,
    text,
    whole,
)

MAX_FIELDS: Final = 512
MAX_SLOT: Final = 65535
MAX_DIGITS: Final = 1e15  # As of numbers in profiles
_NAME: Final = re.compile(r"[\w .,'()+-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeFile:
    """A recipe."""

    profile: str
    name: str  # For people
    version: int
    slot: int
    values: Mapping[str, float | bool]  # By field

    @property
    def payload(self) -> bytes:
        """What is signed."""
        return statement(asdict(self))


def read_recipe(payload: bytes) -> RecipeFile:
    """Read the payload of a recipe's envelope. Raises ProfileError that names the member."""
    found = read_statement(payload, {"profile", "name", "version", "slot", "values"})
    values = found["values"]
    if not isinstance(values, dict) or len(values) > MAX_FIELDS:
        raise fault("values", f"an object of at most {MAX_FIELDS} fields", values)
    for name, value in values.items():
        if not isinstance(value, (bool, int, float)) or abs(value) > MAX_DIGITS:
            raise fault(f"values.{ascii(name)[1:-1][:40]}", "a number, true or false", value)
    return RecipeFile(
        profile=text(found, "profile", PROFILE_NAME),
        name=text(found, "name", _NAME),
        version=whole(found, "version", 1, MAX_VERSION),
        slot=whole(found, "slot", 0, MAX_SLOT),
        values=values,
    )

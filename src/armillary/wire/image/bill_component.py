# SPDX-License-Identifier: Apache-2.0
"""What is shown of a component of a bill of materials, whichever format it came in, and what both formats share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from armillary.errors import InvalidArgumentError

MAX_COMPONENTS: Final = 50_000
MAX_NAME_CHARACTERS: Final = 1024
SHOWN_PATH: Final = 80  # characters of each end of a place in an error
SPDX_VERSIONS: Final = ("SPDX-2.2", "SPDX-2.3")
REMEDY: Final = "Write it with a tool as JSON: CycloneDX 1.2 or newer, or SPDX 2.2 or 2.3."


@dataclass(frozen=True, slots=True, kw_only=True)
class BillComponent:
    """A component as it is shown: what its document says of it, "" for what it does not say or says in no text.

    Attributes:
        name: With its ``group`` before it, where it has one: ``org.apache/commons``.
        depth: In how many other components it is.
        licences: Identifiers, names or expressions.
    """

    name: str
    version: str
    kind: str
    purl: str
    licences: tuple[str, ...]
    depth: int


def text_of(value: object) -> str:
    """Text cut at :data:`MAX_NAME_CHARACTERS`; "" for anything else."""
    return value[:MAX_NAME_CHARACTERS] if isinstance(value, str) else ""


def kind(value: object) -> str:
    """What a decoded value is, for people."""
    return "nothing" if value is None else f"a {type(value).__name__}"


def shown(value: object) -> str:
    """A value, cut, for an error's message."""
    return "nothing" if value is None else f"{value!a:.60}"


def fault(path: str, expected: str, got: str) -> InvalidArgumentError:
    """The error for a place of a document; of a deep place its two ends."""
    if len(path) > 2 * SHOWN_PATH:
        path = f"{path[:SHOWN_PATH]} ... {path[-SHOWN_PATH:]}"
    return InvalidArgumentError(f"bill of materials: {path}: expected {expected}, got {got}", remedy=REMEDY)

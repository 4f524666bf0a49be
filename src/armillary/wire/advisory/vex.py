# SPDX-License-Identifier: Apache-2.0
"""VEX: what somebody says of a vulnerability in a product, the same value whichever format it came in.

The four states are OpenVEX's and CISA's ("Minimum requirements for VEX", 2023). A statement about a product without
components is about all of it. Nobody has checked who wrote it: whoever takes a document knows its signature.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from armillary.wire.advisory.fields import Fields

MAX_STATEMENTS: Final = 100_000
MAX_PRODUCTS: Final = 100_000
MAX_NAMES: Final = 1_000


class Status(StrEnum):
    """What a statement says."""

    NOT_AFFECTED = "not_affected"
    AFFECTED = "affected"
    FIXED = "fixed"
    UNDER_INVESTIGATION = "under_investigation"


@dataclass(frozen=True, slots=True)
class Product:
    """What a statement is about.

    Attributes:
        ids: Its names: package URLs, CPEs, hashes as ``sha256:HEX``, IRIs; any of them is enough.
        components: Names of the parts of it that the statement is about; () means the product itself.
    """

    ids: tuple[str, ...]
    components: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class UnverifiedStatement:
    """One statement; ``said`` in seconds since 1970.

    Attributes:
        names: The vulnerability: its id and other names of it.
        justification: Why it is not affected: a word of the format, "" if none is given.
        reason: For people: impact, detail or what to do.
    """

    names: tuple[str, ...]
    products: tuple[Product, ...]
    status: Status
    said: int
    author: str
    document: str
    justification: str = ""
    reason: str = ""


def hash_id(algorithm: str, value: str) -> str:
    """A hash in the spelling of :attr:`Product.ids`: ``sha256:HEX`` for ``SHA-256``, in lower case."""
    return f"{algorithm.lower().replace('-', '')}:{value.lower()}"


def check_count(fields: Fields, count: int) -> None:
    """Refuse a document with more than :data:`MAX_STATEMENTS` statements."""
    if count > MAX_STATEMENTS:
        raise fields.refused("", f"at most {MAX_STATEMENTS} statements", f"{count}")

# SPDX-License-Identifier: Apache-2.0
"""Who acts: the person or program behind an operator token, as every operation that changes something takes it."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Operator:
    """Who acts, and what the token allows.

    A limit has no default: whoever makes an operator says that it is one of all catalogs.

    Attributes:
        name: The token's name, written into the audit log.
        role: ``Reader``, ``Contributor`` or ``Administrator``.
        catalog: Id of the only catalog that the token speaks for; None for all.
        organisation: The only organisation of that catalog that it speaks for, with those below it; None for all.
        ends_at: When the token ends by itself (Unix seconds); None for a token that lasts, and for a person.

    Raises:
        ValueError: an organisation without the catalog that it is in.
    """

    name: str
    role: str
    catalog: UUID | None
    organisation: str | None
    ends_at: int | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if self.organisation is not None and self.catalog is None:
            raise ValueError("an operator of one organisation is of one catalog")

# SPDX-License-Identifier: Apache-2.0
"""What an answer to an operator is made of: the running service, hub and platform, and what the operator speaks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID

from armillary.api.http.tenure import since_ms_of, tenures_of
from armillary.errors import NotFoundError
from armillary.identity.operator import Operator

if TYPE_CHECKING:
    from armillary.hub.hub import Hub
    from armillary.platform.platform import Platform
    from armillary.service.assemble import SecurityService


class Applications(Protocol):
    """Application templates in use (``sim/templates/applications.py``)."""

    def catalog(self) -> list[dict[str, Any]]:
        """Every template that is shipped."""

    def use(self, name: str, *, actor: str, catalog: str | None, devices: int | None) -> dict[str, Any]:
        """Make an application of one."""


def nothing() -> None:
    """Where no applications are played."""


@dataclass(frozen=True, slots=True)
class RequestContext:
    """Somebody who asks a service or acts on it.

    Attributes:
        service, hub, platform: What is asked and acted on.
        operator: Who.
        catalog: Name of the only catalog that answers are about; None for all.
        applications: Gives application templates in use; None where none are played.
    """

    service: SecurityService
    hub: Hub
    platform: Platform
    operator: Operator
    catalog: str | None
    applications: Callable[[], Applications | None] = nothing

    def since_ms(self, device_id: str) -> int:
        """When the part of a device's records begins that the operator sees (Unix milliseconds); 0 for all."""
        return since_ms_of(self.service, self.operator.catalog, device_id)

    def tenures(self) -> Mapping[str, int]:
        """When devices that had an earlier owner came to the operator's catalog (Unix milliseconds)."""
        return tenures_of(self.service, self.operator.catalog)


def uuid_of(kind: str, text: str) -> UUID:
    """The id that an address names. Raises NotFoundError, which says of what ``kind``, for a text that is none."""
    try:
        return UUID(text)
    except ValueError:
        raise NotFoundError(f"no {kind} has the id {text[:40]!r}", remedy="Check the address.") from None

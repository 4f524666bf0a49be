# SPDX-License-Identifier: Apache-2.0
"""What an answer to a page is made of: the running service, hub and platform, and who asks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from armillary.identity.operator import Operator

if TYPE_CHECKING:
    from armillary.hub.hub import Hub
    from armillary.platform.platform import Platform
    from armillary.service.assemble import SecurityService


@dataclass(frozen=True, slots=True)
class Acting:
    """Somebody who acts on a service.

    Attributes:
        service, hub, platform: What is acted on.
        operator: Who acts. The console admits tokens of all catalogs only, so its answers are narrowed to none.
    """

    service: SecurityService
    hub: Hub
    platform: Platform
    operator: Operator

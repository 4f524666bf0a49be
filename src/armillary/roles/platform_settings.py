# SPDX-License-Identifier: Apache-2.0
"""What the platform gets from service and settings: mail, webhooks, quarantine, catalogs, tokens."""

from __future__ import annotations

from dataclasses import dataclass

from armillary.engines.outbound.configured import allowed_hosts, mail_server
from armillary.platform.rules.actions import ActionSettings
from armillary.service.assemble import SecurityService
from armillary.settings import Settings


def action_settings(service: SecurityService, settings: Settings) -> ActionSettings:
    """Settings of actions and exports; raises InvalidArgumentError for a setting that is not valid."""
    return ActionSettings(
        mail=mail_server(settings),
        hosts=allowed_hosts(settings),
        channels=service.notifications,
        quarantine=lambda device_id, _, said: service.watch.request_quarantine(device_id, said),
    )


@dataclass(eq=False)
class PlatformRegistry:
    """Catalogs and tokens, in the form that the platform needs."""

    _service: SecurityService

    def catalog_name(self, given: str) -> str:
        """The name of a catalog in its owner's spelling; raises NotFoundError."""
        return self._service.registry.catalogs.get(given).name

    def has_tokens_of(self, organisation: str) -> bool:
        """Whether an organisation has a valid token, or somebody is granted a role in it."""
        tokens = (each.organisation for each in self._service.tokens.list() if each.revoked_at is None)
        return organisation in (*tokens, *self._service.people.organisations())

# SPDX-License-Identifier: Apache-2.0
"""What the platform gets from service and settings: mail, webhooks, quarantine, catalogs, tokens."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from armillary.engines.outbound.email import MailServer
from armillary.engines.outbound.webhook import AllowedHosts
from armillary.errors import InvalidArgumentError
from armillary.platform.rules.actions import ActionSettings
from armillary.service.assemble import SecurityService
from armillary.settings import Settings


def action_settings(service: SecurityService, settings: Settings) -> ActionSettings:
    """Settings of actions and exports; raises InvalidArgumentError for a setting that is not valid."""
    return ActionSettings(
        mail=MailServer(
            host=settings.smtp_host,
            port=settings.smtp_port,
            security=settings.smtp_security,
            user=settings.smtp_user,
            password=_password(settings.smtp_password_file),
            sender=settings.smtp_from,
            ca_file=settings.smtp_ca_file,
        ),
        hosts=AllowedHosts.parse(settings.webhook_hosts),
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
        """Whether an organisation has a valid token."""
        return any(
            each.organisation == organisation and each.revoked_at is None for each in self._service.tokens.list()
        )


def _password(file: str) -> str:
    if not file:
        return ""
    try:
        return Path(file).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidArgumentError(
            f"smtp_password_file: {file} cannot be read", remedy="Check the path and who may read it."
        ) from error

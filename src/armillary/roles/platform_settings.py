# SPDX-License-Identifier: Apache-2.0
"""How rules and data exports reach the world, by this process's settings: mail, webhooks, quarantine, audit log."""

from __future__ import annotations

from pathlib import Path

from armillary.errors import InvalidArgumentError
from armillary.platform.outbound.email import MailServer
from armillary.platform.outbound.webhook import AllowedHosts
from armillary.platform.rules.actions import ActionSettings
from armillary.service.assemble import SecurityService
from armillary.service.watch.quarantine import QuarantineRequests
from armillary.settings import Settings


def action_settings(service: SecurityService, settings: Settings) -> ActionSettings:
    """What actions need.

    Raises:
        InvalidArgumentError: a setting makes no sense.
    """
    quarantine = QuarantineRequests(service.context, service.watch)
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
        quarantine=lambda device_id, _, said: quarantine.request(device_id, said),
        audit=service.audit.append,
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

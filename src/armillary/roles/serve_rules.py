# SPDX-License-Identifier: Apache-2.0
"""Joins the rules of the hub with the rest of the service: mail server, webhooks, quarantine, audit log, owners."""

from __future__ import annotations

from pathlib import Path

from armillary.errors import InvalidArgumentError
from armillary.hub.hub import Hub
from armillary.platform.outbound.email import MailServer
from armillary.platform.outbound.webhook import AllowedHosts
from armillary.platform.rules.actions import ActionSettings
from armillary.service.assemble import SecurityService
from armillary.service.watch.quarantine import QuarantineRequests
from armillary.settings import Settings


def join_rules(service: SecurityService, hub: Hub, settings: Settings) -> None:
    """Tell the hub's rules how they reach the world. Before the hub starts.

    Raises:
        InvalidArgumentError: a setting makes no sense.
    """
    quarantine = QuarantineRequests(service.context, service.watch)
    hub.rules.actions.settings = ActionSettings(
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
    service.notices.on_device.append(hub.rules.device_changed)


def _password(file: str) -> str:
    if not file:
        return ""
    try:
        return Path(file).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidArgumentError(
            f"smtp_password_file: {file} cannot be read", remedy="Check the path and who may read it."
        ) from error

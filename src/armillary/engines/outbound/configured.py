# SPDX-License-Identifier: Apache-2.0
"""What the settings of this process say of calls to the world: the mail server, and the hosts that may be called."""

from __future__ import annotations

from pathlib import Path

from armillary.engines.outbound.email import MailServer
from armillary.engines.outbound.webhook import AllowedHosts
from armillary.errors import InvalidArgumentError
from armillary.settings import Settings


def mail_server(settings: Settings) -> MailServer:
    """The mail server; raises InvalidArgumentError for a setting that is not valid."""
    return MailServer(
        host=settings.smtp_host,
        port=settings.smtp_port,
        security=settings.smtp_security,
        user=settings.smtp_user,
        password=_password(settings.smtp_password_file),
        sender=settings.smtp_from,
        ca_file=settings.smtp_ca_file,
    )


def allowed_hosts(settings: Settings) -> AllowedHosts:
    """The hosts that may be called."""
    return AllowedHosts.parse(settings.webhook_hosts)


def _password(file: str) -> str:
    if not file:
        return ""
    try:
        return Path(file).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidArgumentError(
            f"smtp_password_file: {file} cannot be read", remedy="Check the path and who may read it."
        ) from error

# SPDX-License-Identifier: Apache-2.0
"""Puts channels and sender together; imported when there is a first channel."""

from __future__ import annotations

from collections.abc import Callable

from armillary.engines.outbound.configured import allowed_hosts, mail_server
from armillary.engines.signer.sealed import Sealer
from armillary.service.context.context import Context
from armillary.service.notifications.channels import Channels
from armillary.service.notifications.sender import Sender
from armillary.service.notifications.targets import Targets


def open_channels(context: Context, secret: Callable[[], bytes]) -> Channels:
    """The channels of a service; InvalidArgumentError for a setting of its mail server that is not valid."""
    settings = context.settings
    targets = Targets(
        mail=mail_server(settings),
        hosts=allowed_hosts(settings),
        folder=context.folder.path / "notifications",
        host=settings.public_host,
        clock=context.clock,
    )
    return Channels(context, lambda: Sealer(secret()), targets)


def open_sender(context: Context, channels: Channels) -> Sender:
    """The sender of these channels."""
    return Sender(context.records, channels.targets, channels.hidden_of, context.clock)

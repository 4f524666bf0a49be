# SPDX-License-Identifier: Apache-2.0
"""Syslog messages handed to a receiver over UDP (RFC 5426), TCP (RFC 6587) or TLS (RFC 5425). Blocks: use a thread.

Syslog acknowledges nothing. Over a stream the end is waited for: a receiver that is gone, or that closes because it
cannot read on, shows then. Hosts are those that webhooks may go to; only TLS goes to public ones that nobody named.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Sequence
from typing import Final

from armillary.engines.outbound import webhook
from armillary.engines.outbound.deadline import cut_after
from armillary.engines.outbound.webhook import AllowedHosts
from armillary.wire.notification.syslog import frame

TIMEOUT_S: Final = 10.0
WHOLE_S: Final = 30.0
# How long the receiver may take to close after the last byte; one that keeps the connection is no fault.
END_S: Final = 2.0
TRANSPORTS: Final = ("tls", "tcp", "udp")


def address_of(host: str, port: int, transport: str) -> str:
    """The place as an address that :func:`~armillary.engines.outbound.webhook.check_url` decides about."""
    return f"{'https' if transport == 'tls' else 'http'}://{f'[{host}]' if ':' in host else host}:{port}/"


def send(
    messages: Sequence[bytes], host: str, port: int, transport: str, allowed: AllowedHosts, *, authority: str = ""
) -> None:
    """Hand over messages, in order. ``authority`` is PEM that a receiver's certificate is checked with ("": system's).

    Raises:
        PermissionDeniedError: the host is not allowed.
        OSError: it did not take them.
    """
    address = webhook.resolve(address_of(host, port, transport), allowed)
    if transport == "udp":
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as datagrams:
            datagrams.settimeout(TIMEOUT_S)
            datagrams.connect(address)
            for each in messages:
                datagrams.send(each)
        return
    data = b"".join(map(frame, messages))
    with socket.create_connection(address, timeout=TIMEOUT_S) as plain, contextlib.ExitStack() as ending:
        channel: socket.socket = plain
        if transport == "tls":
            context = ssl.create_default_context(cadata=authority or None)
            channel = context.wrap_socket(plain, server_hostname=host, do_handshake_on_connect=False)
            ending.callback(channel.close)
        with cut_after(WHOLE_S, lambda: channel):
            if isinstance(channel, ssl.SSLSocket):
                channel.do_handshake()
            channel.sendall(data)
            _end(channel)


def _end(channel: socket.socket) -> None:
    """Say that nothing follows, and see whether the receiver ends well; OSError where it resets the connection."""
    channel.settimeout(END_S)
    try:
        if isinstance(channel, ssl.SSLSocket):
            channel.unwrap()
        else:
            channel.shutdown(socket.SHUT_WR)
            channel.recv(1)
    except TimeoutError:
        return
    except ssl.SSLError:  # closed without a word, or a receiver that sends: both have taken what came
        return

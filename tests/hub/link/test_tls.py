# SPDX-License-Identifier: Apache-2.0
"""What a connection that is gone leaves behind."""

from __future__ import annotations

import asyncio
import gc
import ssl
import weakref
from typing import cast

from armillary.hub.link.tls import Receiver, TlsChannel


class Holder:
    """A receiver that knows its channel, as all do."""

    channel: object = None

    def attached(self, transport: object) -> None:
        self.channel = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """It keeps its channel."""


class Plain:
    def set_write_buffer_limits(self, high: int) -> None:
        """As a transport has it."""

    def is_closing(self) -> bool:
        return True

    def get_extra_info(self, _: str, default: object = None) -> object:
        return default


def test_a_lost_connection_frees_its_tls_before_any_collection() -> None:
    holder = Holder()
    channel = TlsChannel(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), cast("Receiver", holder), lambda: None)
    channel.connection_made(cast("asyncio.Transport", Plain()))
    tls = weakref.ref(channel._tls)
    gc.disable()
    try:
        assert tls() is not None
        channel.connection_lost(None)
        assert tls() is None
    finally:
        gc.enable()
    assert holder.channel is channel
    channel.write(b"late")
    channel.close()
    assert channel.get_extra_info("sslcontext") is None

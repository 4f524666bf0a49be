# SPDX-License-Identifier: Apache-2.0
"""The first bytes of a TLS connection: any are answered; what offers X25519 is a whole ClientHello that names it."""

from __future__ import annotations

import contextlib
import ssl

from armillary.hub.link.hello import has_x25519_share, is_whole


def seeds() -> list[bytes]:
    made = []
    for group in ("X25519", "prime256v1"):
        context, outgoing = ssl.create_default_context(), ssl.MemoryBIO()
        context.set_ecdh_curve(group)
        with contextlib.suppress(ssl.SSLWantReadError):
            context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost").do_handshake()
        made.append(outgoing.read())
    return made


def fuzz(data: bytes) -> None:
    whole = is_whole(data)
    if has_x25519_share(data):
        assert whole
        assert data.startswith(b"\x16")
        assert b"\x00\x1d" in data
        assert b"\x03\x04" in data
    assert not has_x25519_share(data[:-1]) or is_whole(data[:-1])

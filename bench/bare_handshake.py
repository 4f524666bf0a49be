# SPDX-License-Identifier: Apache-2.0
"""A server that does mutual TLS as the device endpoint does it, and nothing else: what a connection costs at the least.

``python -m bench.bare_handshake DATA``: the same library, TLS context and certificates as the service whose data folder
this is, on the same event loop. Prints its port; closes each connection when its handshake is done; serves until its
standard input ends.

What is compared is a whole connection, from accepting it to its end, and everything the endpoint adds counts against
the endpoint: here libuv accepts by itself, there code in Python keeps one address from taking all connections. The end
costs both the same: this server closes, the endpoint's devices go, and in either case the event loop ends TLS with a
close_notify. (Without that a bare connection costs a fifth less, and no server with it.)
"""

from __future__ import annotations

import asyncio
import pickle
import sys
from pathlib import Path

import uvloop

from armillary.service.endpoint.endpoint import server_context

# Written by bench/checkin_service.py: certificate, key, silicon authorities.
TLS_FILE = "endpoint-tls.bin"
BACKLOG = 4096


class _ClosesAtOnce(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.get_extra_info("ssl_object").getpeercert(binary_form=True)  # who it is, as any server has to ask
        transport.close()


async def serve(data: Path) -> None:
    """Serve until standard input ends."""
    certificate, key, silicon = pickle.loads((data / TLS_FILE).read_bytes())
    context = server_context(certificate, key, silicon)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_ClosesAtOnce, "localhost", 0, ssl=context, backlog=BACKLOG)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    uvloop.run(serve(Path(sys.argv[1])))

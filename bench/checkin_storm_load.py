# SPDX-License-Identifier: Apache-2.0
"""Many devices that all come at the same moment, in a process of their own.

``python -m bench.checkin_storm_load DEVICES.BIN PORT``: prints one JSON object: ``served``, ``later`` (answers "try
later"), ``broken`` (connections that ended without an answer, by ``kinds``), ``seconds`` until the last was served,
``half`` until half of them were.
"""

from __future__ import annotations

import asyncio
import json
import pickle
import resource
import ssl
import sys
import time
from collections import Counter
from pathlib import Path

import uvloop

from armillary.sim.device.prover import Prover
from armillary.sim.device.wire_device import WireDevice, components_of
from armillary.wire.device.challenge import parse_challenge
from armillary.wire.device.checkin import parse_reply

# A device that was not served by then is not served (seconds).
PATIENCE_S = 180.0
# A device whose connection broke comes again after this long.
AGAIN_S = 2.0
TOO_BUSY = (429, 503)


class Storm:
    """The devices and what became of them."""

    def __init__(self, file: Path, port: int) -> None:
        self.port = port
        self.later = self.broken = 0
        self.kinds: Counter[str] = Counter()  # of what broke
        self.served: list[float] = []
        self.devices: list[tuple[WireDevice, ssl.SSLContext]] = []
        shared = None
        for uds, reply in pickle.loads(file.read_bytes()):
            shared = shared or components_of(reply.boot_packages)
            prover = Prover(
                uds=uds,
                components=shared,
                service_name=reply.service_name,
                os_version=reply.os_version,
                boot_count=int(time.time()),
            )
            device = WireDevice(prover=prover, factory=reply, port=port)
            self.devices.append((device, device.tls_context()))

    async def run(self) -> dict[str, object]:
        """All at once."""
        start = time.monotonic()
        await asyncio.gather(*(self.serve(device, context) for device, context in self.devices))
        times = sorted(at - start for at in self.served)
        return {
            "served": len(times),
            "later": self.later,
            "broken": self.broken,
            "kinds": self.kinds,
            "seconds": times[-1],
            "half": times[len(times) // 2],
        }

    async def serve(self, device: WireDevice, context: ssl.SSLContext) -> None:
        """Come until served, or until patience ends."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            try:
                wait = await self.attempt(device, context)
            except (OSError, asyncio.IncompleteReadError) as error:
                self.broken += 1
                self.kinds[type(error).__name__] += 1
                wait = AGAIN_S
            if wait is None:
                self.served.append(time.monotonic())
                return
            await asyncio.sleep(wait)

    async def attempt(self, device: WireDevice, context: ssl.SSLContext) -> float | None:
        """One connection, challenge and check-in; seconds to wait when told "try later"."""
        reader, writer = await asyncio.open_connection(
            device.host,
            self.port,
            ssl=context,
            server_hostname=device.host,
            ssl_handshake_timeout=PATIENCE_S,
            ssl_shutdown_timeout=1.0,
        )
        try:
            status, retry, body = await ask(reader, writer, "GET /v1/challenge", b"")
            if status == 200:
                request = device.request_body(parse_challenge(body).challenge)
                status, retry, body = await ask(reader, writer, "POST /v1/check-in", request)
            if status in TOO_BUSY:
                self.later += 1
                return retry
            if status != 200 or parse_reply(body).verdict != "attested":
                raise SystemExit(f"status {status}: {body[:200]!r}")
            return None
        finally:
            writer.close()


async def ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, line: str, body: bytes
) -> tuple[int, float, bytes]:
    """(status, seconds of Retry-After, body)."""
    writer.write(f"{line} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower().split("\r\n")
    headers = dict(line.split(": ", 1) for line in head[1:] if ": " in line)
    content = await reader.readexactly(int(headers.get("content-length", "0")))
    return int(head[0].split()[1]), float(headers.get("retry-after", AGAIN_S)), content


if __name__ == "__main__":
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    print(json.dumps(uvloop.run(Storm(Path(sys.argv[1]), int(sys.argv[2])).run())))

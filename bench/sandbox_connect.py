# SPDX-License-Identifier: Apache-2.0
"""``bench sandbox-connect``: what a connect of a contained application costs over one of a plain process.

The application connects to a server of this host, which is a process of its own, again and again, each time with a
socket of its own, first without a sandbox and then in ``linux``; the same program, the same server, the same run.
Printed is the median of a connect in milliseconds more than the plain one's, by a declared address and by a declared
name, blocking and not (until it is writable), and how fast bytes go on such a connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

from armillary.capability.grant import Grant
from armillary.capability.network import allowed_hosts
from armillary.engines.sandbox.port import AppEvent, Launch, OutputLine, Sandbox
from armillary.engines.sandbox.selection import open_sandbox
from armillary.engines.sandbox.within.image_root import extract_image
from armillary.wire.image.app_manifest import AppManifest
from bench.result import result

CONNECTS, WARM_UP = 400, 20
STREAM_BYTES = 256 << 20
COMPONENT = UUID(int=0xBE7C)
# Milliseconds over a plain connect.
LIMIT_MS = 0.3
PROGRAM = f"""#!/usr/bin/env python3
import json, os, select, socket, statistics, sys, time
port = int(os.environ["BENCH_PORT"])
def plain(host):
    peer = socket.socket()
    start = time.perf_counter(); peer.connect((host, port)); taken = time.perf_counter() - start
    peer.close(); return taken
def event_loop(host):
    peer = socket.socket(); peer.setblocking(False)
    start = time.perf_counter()
    try: peer.connect((host, port))
    except BlockingIOError: select.select([], [peer], [])
    taken = time.perf_counter() - start
    assert not peer.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    peer.close(); return taken
def median(way, host):
    return statistics.median([way(host) for _ in range({CONNECTS} + {WARM_UP})][{WARM_UP}:])
def stream():
    peer = socket.create_connection(("127.0.0.1", port)); peer.sendall(b"s")
    left, start = {STREAM_BYTES}, time.perf_counter()
    buffer = bytearray(1 << 18)
    while left > 0: left -= peer.recv_into(buffer)
    return {STREAM_BYTES} / (time.perf_counter() - start) / 1e6
name = socket.gethostbyname("localhost")
print(json.dumps({{"address": median(plain, "127.0.0.1"), "name": median(plain, name),
                   "event loop": median(event_loop, "127.0.0.1"), "stream": stream()}}))
"""


def serve() -> None:
    """The server: of each connection it takes one byte, and sends a stream for an "s"."""
    part = bytes(1 << 18)
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as server:
        print(server.getsockname()[1], flush=True)
        while True:
            peer, _ = server.accept()
            with peer, contextlib.suppress(OSError):
                if peer.recv(1) == b"s":
                    for _ in range(STREAM_BYTES // len(part)):
                        peer.sendall(part)


@contextlib.contextmanager
def _serving() -> Iterator[int]:
    """The port of a server in a process of its own, as servers are: what it does is not the supervisor's time."""
    command = [sys.executable, "-c", "from bench.sandbox_connect import serve; serve()"]
    root = Path(__file__).resolve().parents[1]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield int(server.stdout.readline())
        finally:
            server.kill()


async def _play(sandbox: Sandbox, folder: Path, port: int) -> dict[str, float]:
    root = extract_image({"bin/app": PROGRAM.encode()}, {"bin/app"}, folder / sandbox.name)
    launch = Launch(
        image_root=root,
        manifest=AppManifest(name="connects", component_id=COMPONENT, entry_point="/bin/app"),
        grant=Grant(component_id=COMPONENT, hosts=allowed_hosts(["127.0.0.1", "localhost"])),
        temporary=folder,
        environment={"BENCH_PORT": str(port)},
    )
    events: list[AppEvent] = []
    running = await sandbox.start(launch, events.append)
    try:
        await running.wait()
    finally:
        await running.stop(0)
    texts = [event.text for event in events if isinstance(event, OutputLine)]
    try:
        found: dict[str, float] = json.loads(texts[-1])
    except (ValueError, IndexError) as error:
        raise RuntimeError(f"the application said {texts}") from error
    return found


def run() -> list[dict[str, object]]:
    """The results, for ``armillary bench sandbox-connect``."""
    process, linux = open_sandbox("process"), open_sandbox("linux")
    linux.self_test()

    async def play() -> tuple[dict[str, float], dict[str, float]]:
        with tempfile.TemporaryDirectory(prefix="armillary-bench-") as folder, _serving() as port:
            Path(folder).chmod(0o755)
            return await _play(process, Path(folder), port), await _play(linux, Path(folder), port)

    plain, contained = asyncio.run(play())
    conditions = f"median of {CONNECTS} connects of one application, server and supervisor on the same processors"
    results = [
        result(
            f"sandbox-connect-{way.replace(' ', '-')}",
            (contained[way] - plain[way]) * 1000,
            "ms more",
            ("limit", LIMIT_MS),
            f"{conditions}; plain {plain[way] * 1000:.3f} ms",
        )
        for way in ("address", "name", "event loop")
    ]
    streams = (contained["stream"], ("without a sandbox", plain["stream"]))
    return [*results, result("sandbox-connect-stream", streams[0], "MB/s", streams[1], f"{STREAM_BYTES >> 20} MiB")]


if __name__ == "__main__":
    print(json.dumps(run(), indent=1))

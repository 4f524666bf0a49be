# SPDX-License-Identifier: Apache-2.0
"""A hub with an export under way, to be killed: ``python export_runner.py FOLDER MESSAGES [SERVERS]``.

It goes to files, or to a Kafka cluster on this host.

Publishes numbered messages of one device into the log in the first life only, then exports; prints ``over`` at the end.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from armillary.engines.outbound.webhook import AllowedHosts
from armillary.engines.series.log.blocks import PacketRun
from armillary.hub.hub import Hub
from armillary.platform.exports import exports
from armillary.platform.rules.actions import ActionSettings
from armillary.roles.platform import platform_of
from armillary.wire.mqtt.codec import encode_packet
from armillary.wire.mqtt.packet import Publish

DEVICE = "d0001"


async def serve(folder: Path, messages: int, servers: list[str]) -> None:
    exports.READ = 7  # type: ignore[misc]  # many portions
    hub = Hub(folder, authenticate=lambda _: "nobody")
    settings = ActionSettings(hosts=AllowedHosts.parse("127.0.0.1"))
    platform = platform_of(hub, folder, settings=settings)
    numbers = hub.series.commits.submit(hub.series.restoring.devices([DEVICE])).result()
    if hub.series.read(lambda c: c.execute("SELECT count(*) FROM block").fetchone()[0]) == 0:
        for first in range(0, messages, 10):
            packets = b"".join(
                encode_packet(
                    Publish(topic=f"devices/{DEVICE}/messages/events/", payload=b'{"n":%d}' % n, qos=1, packet_id=1)
                )
                for n in range(first, first + 10)
            )
            hub.series.commits.submit(PacketRun(4, numbers[DEVICE], 1000, packets, 10)).result()
        kafka = {"kind": "kafka", "servers": servers, "topic": "out", "tls": False}
        place = kafka if servers else {"kind": "file"}
        body = {"name": "Files", "source": "telemetry", "from": "beginning", "destination": place}
        platform.documents.put("export", "files", body, by="t")
    print("began", flush=True)
    await platform.exports.start()
    while True:
        cursor = platform.exports.store.cursor("files")
        if cursor is not None and cursor.exported >= messages:
            break
        await asyncio.sleep(0.005)
    print("over", flush=True)
    await platform.close()
    await hub.close()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), int(sys.argv[2]), [part for each in sys.argv[3:] for part in each.split(",")]))

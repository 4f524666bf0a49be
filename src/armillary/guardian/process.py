# SPDX-License-Identifier: Apache-2.0
"""The guardian's process: reads what it was made for, starts every part, ends all of them at SIGTERM."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from armillary.engines.equipment.queue import MessageQueue
from armillary.engines.equipment.trusted_key import trusted_key
from armillary.errors import ArmillaryError
from armillary.guard.retention import QueueLimits
from armillary.guardian.clocks import GuardianClock
from armillary.guardian.configuration import GuardianConfiguration, read_configuration
from armillary.guardian.consent import FOLDER as CONSENT_FOLDER
from armillary.guardian.equipment import Equipment, Means
from armillary.guardian.hub.certificate import DeviceCertificate
from armillary.guardian.hub.uplink import Uplink
from armillary.guardian.log import log
from armillary.guardian.loop import GuardianLoop
from armillary.guardian.profiles import ProfileStore
from armillary.guardian.surroundings import Surroundings, surroundings

CONFIGURATION_FILE = "guardian.json"
QUEUE_FOLDER = "queue"


def main(image: Path) -> None:
    """Be a guardian until SIGTERM; exits with 1 where what it was made for cannot be read."""
    try:
        around = surroundings(os.environ, image)
        configuration = read_configuration((image / CONFIGURATION_FILE).read_bytes())
        run(configuration, around)
    except (ArmillaryError, OSError) as error:
        remedy = error.remedy if isinstance(error, ArmillaryError) else ""
        log(f"the guardian cannot run: {error} {remedy}".rstrip())
        sys.exit(1)


def run(configuration: GuardianConfiguration, around: Surroundings) -> None:
    """Be a guardian until SIGTERM or SIGINT. Raises as :func:`serve`."""
    with asyncio.Runner(loop_factory=GuardianLoop) as runner:
        runner.run(serve(configuration, around))


async def serve(configuration: GuardianConfiguration, around: Surroundings) -> None:
    """Serve all equipment until SIGTERM or SIGINT, or until a part has failed: whoever started it starts it anew.

    Raises:
        SignatureError: a profile key is none.
        QueueError: the queue cannot be opened.
    """
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    clock = GuardianClock()
    folder = around.data / QUEUE_FOLDER
    for each in (folder, around.data / CONSENT_FOLDER):
        each.mkdir(mode=0o700, parents=True, exist_ok=True)
    queue = MessageQueue(
        folder,
        QueueLimits(bytes=configuration.queue_bytes, age_s=configuration.queue_age_s),
        backfill_bytes_per_s=configuration.backfill_bytes_per_s,
        clock=lambda: clock.now().wall,
        monotonic=clock.monotonic,
    )
    keys = [trusted_key(pem) for pem in configuration.profile_keys]
    profiles = ProfileStore(around.image, around.data, keys)
    means = Means(around=around, clock=clock, queue=queue, profiles=profiles)
    equipment = [Equipment(entry, means) for entry in configuration.equipment]
    uplink = Uplink(around, DeviceCertificate(around.authentication, around.catalog), clock, queue, equipment)
    log(f"guardian {queue.boot}: {len(equipment)} pieces of equipment, {queue.counters.messages} messages kept")
    parts = [asyncio.create_task(run) for run in (ended.wait(), *(each.run() for each in equipment), uplink.run())]
    try:
        done, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
        for part in done:
            part.result()
    finally:
        for part in parts:
            part.cancel()
        await asyncio.gather(*parts, return_exceptions=True)
        await queue.close()
        log("the guardian has ended")

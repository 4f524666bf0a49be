# SPDX-License-Identifier: Apache-2.0
"""The process of ``armillary up``: its log, memory, open files and signals around the whole service (``whole.py``)."""

from __future__ import annotations

import asyncio
import gc
import json
import resource
import signal
import sys

import uvloop

from armillary.cli.terminal.output import note, print_record
from armillary.roles.log import log_to_stderr
from armillary.roles.memory import give_back_memory, keep_one_heap
from armillary.roles.whole import Parts, Whole, running_whole
from armillary.settings import Settings

# Open files: every connection of the device endpoint, the hub and the API, and then some.
MAX_DESCRIPTORS = 65_536


def serve(settings: Settings, *, as_json: bool) -> None:
    """Run until SIGINT or SIGTERM.

    Args:
        settings: This process's settings.
        as_json: Say "ready" as one line of JSON instead of text.

    Raises:
        ArmillaryError: it cannot start.
    """
    log_to_stderr(settings.log_level)
    keep_one_heap()
    _allow_descriptors()
    uvloop.run(_serve(settings, as_json=as_json))


def _allow_descriptors() -> None:
    """Let this process open as many files as the system lets it: every connection is one, and 1,024 is usual."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MAX_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def _serve(settings: Settings, *, as_json: bool) -> None:
    """Start everything, say so, wait for the end."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with running_whole(settings, Parts(announces_token=True)) as whole:
        _say_ready(whole, settings, as_json=as_json)
        whole.service.token_announced()
        gc.collect()
        trimming = asyncio.create_task(give_back_memory(), name="give-back-memory")
        await stop.wait()
        trimming.cancel()
        note("stopping ...")


def _say_ready(whole: Whole, settings: Settings, *, as_json: bool) -> None:
    """Say where everything is."""
    service = whole.service
    address = f"https://{settings.public_host}:{whole.api_port}"
    record: dict[str, object] = {
        "ready": True,
        "api": address,
        "console": f"{address}/",
        "device_endpoint": service.device_endpoint_url,
        "hub_host": settings.public_host,
        **whole.ports,
        "root_ca": str(whole.root_ca.resolve()),
        "data": str(settings.data.resolve()),
    }
    if service.first_token is not None:
        record["token"] = service.first_token
    if as_json:  # one line: whoever started this process reads it and knows that it is ready
        sys.stdout.write(json.dumps(record) + "\n")
    else:
        print_record(record, as_json=False)
    sys.stdout.flush()
    if service.first_token is not None and not as_json:
        note("\nThe token is shown this once. Remember it with:")
        note(f"  armillary login --service {address} --ca {record['root_ca']} --token {service.first_token}")

# SPDX-License-Identifier: Apache-2.0
"""A hub with a rule in its own process, to be killed: ``python rule_kill_runner.py FOLDER CERTIFICATE TRUSTED``.

The rule fires at each message whose ``n`` is a multiple of ten (the device says so in ``fires``), and asks for a
quarantine, which is written as a line to FOLDER/../told.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path

import structlog
import uvloop
from tests.hub.kill_runner import authenticate

from armillary.hub.hub import Hub
from armillary.hub.link.tls import hub_context
from armillary.platform.rules import plans as rule_plans
from armillary.platform.rules.actions import ActionSettings
from armillary.roles.platform import platform_of

RULE = {
    "name": "Every tenth",
    "conditions": [{"telemetry": "fires", "op": "==", "value": True}],
    "repeat": True,
    "actions": [{"kind": "quarantine"}],
}


async def serve(folder: Path, certificate: Path, trusted: Path) -> None:
    rule_plans.MAX_ALERTS_OF_RULE = 10**9  # every firing has its alert here
    told = (folder.parent / "told").open("a", encoding="utf-8")

    def tell(_device: str, _catalog: str, said: Mapping[str, str]) -> None:
        told.write(said["why"] + "\n")
        told.flush()

    hub = Hub(folder, authenticate=authenticate)
    platform = platform_of(hub, folder, settings=ActionSettings(quarantine=tell))
    if platform.documents.find("rule", "tenth") is None:
        platform.documents.put("rule", "tenth", RULE, by="test")
    context = hub_context(certificate, certificate, trusted.read_text())
    await platform.start()
    print(await hub.start(context, "127.0.0.1", 0), flush=True)
    while hub.series.decoder.backlog or platform.rules.count()["rule_firings_uncommitted_now"]:
        await asyncio.sleep(0.01)
    print("caught up", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))  # stdout is for the port alone
    uvloop.run(serve(*(Path(each) for each in sys.argv[1:4])))

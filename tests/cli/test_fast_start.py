# SPDX-License-Identifier: Apache-2.0
"""Verbs that only ask the service load nothing of a device, a guardian, the engines or an event loop."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys

import pytest
from typer.main import get_command

from armillary.cli.main import COMMANDS, IN_SERVICE, command_of

# Nouns that work on this host, with no verb that only asks the service.
ON_THIS_HOST = frozenset({"demo", "up", "sim", "bench", "factory", "image-package", "hardware-definition"})
HEAVY = (
    "armillary.device",
    "armillary.engines.isolation",
    "armillary.engines.records",
    "armillary.engines.sandbox",
    "sqlalchemy",
    "pydantic",
    "asyncio",
    "aiohttp",
    "structlog",
    "rich",
)
LOADED = """
import json, sys
from armillary.cli.main import needed
verbs, heavy = map(json.loads, sys.argv[1:])
seen, loaded = set(), {}
for verb in verbs:
    needed(verb[0], verb[1:])
    found = {name for name in sys.modules if name.startswith(tuple(heavy))}
    loaded[" ".join(verb)] = sorted(found - seen)
    seen |= found
print(json.dumps(loaded))
"""


def loaded(*verbs: tuple[str, ...]) -> dict[str, list[str]]:
    """The heavy modules that finding the command of each verb loads: one after the other, in a process of their own."""
    command = [sys.executable, "-c", LOADED, json.dumps(verbs), json.dumps(HEAVY)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def test_a_verb_that_asks_the_service_loads_nothing_heavy() -> None:
    asked = [(noun, "list") for noun in sorted(set(COMMANDS) - ON_THIS_HOST)]
    found = loaded(*asked)
    assert len(found) == len(asked)
    assert {verb: heavy for verb, heavy in found.items() if heavy} == {}


def test_a_verb_on_this_host_loads_what_it_needs() -> None:
    assert "armillary.device.process" in loaded(("device", "boot"))["device boot"]


@pytest.mark.parametrize("noun", sorted(IN_SERVICE))
def test_the_whole_noun_has_every_fast_verb(noun: str) -> None:
    fast = importlib.import_module(f"armillary.cli.{IN_SERVICE[noun]}").app
    assert set(get_command(fast).commands) < set(command_of(noun).commands)

# SPDX-License-Identifier: Apache-2.0
"""Verbs that only ask the service load nothing of a device, a guardian, the engines or an event loop."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from typing import Any

import pytest
from typer.main import get_command

from armillary.cli.main import COMMANDS, IN_SERVICE, ON_THEIR_OWN, command_of

# Nouns that work on this host, with no verb that only asks the service.
ON_THIS_HOST = frozenset(
    {"demo", "up", "sim", "bench", "factory", "image-package", "hardware-definition", "chip", "capability"}
)
HEAVY = (
    "armillary.attest.tpm_enrolment",
    "armillary.boot",
    "armillary.device",
    "armillary.engines.isolation",
    "armillary.engines.peripherals",
    "armillary.engines.records",
    "armillary.engines.root_of_trust",
    "armillary.engines.sandbox",
    "sqlalchemy",
    "pydantic",
    "asyncio",
    "aiohttp",
    "structlog",
    "rich",
)
# A TPM, an application that is a program of the machine and a sandbox for development are rare; no log is coloured.
NOT_ON_MOST_DEVICES = {
    "armillary.attest.tpm_enrolment",
    "armillary.engines.root_of_trust.tpm2",
    "armillary.engines.peripherals.selection",
    "armillary.engines.sandbox.crash.tracer",
    "armillary.engines.sandbox.process",
    "armillary.engines.sandbox.reduced",
    "rich",
}
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


def test_the_process_of_a_device_loads_nothing_that_most_devices_never_use() -> None:
    found = loaded(("device", "boot"))["device boot"]
    assert "armillary.device.process" in found
    assert set(found) & NOT_ON_MOST_DEVICES == set()


def test_to_make_a_device_nothing_is_loaded_that_a_device_runs_with() -> None:
    found = loaded(("device", "create"))["device create"]
    assert "armillary.device.boot.provision" in found
    assert set(found) & {"armillary.device.process", "armillary.boot.chain", "aiohttp", "rich"} == set()


def modules(command: Any) -> str | dict[str, object]:
    """The module of a command, or of each command below a noun."""
    if hasattr(command, "commands"):
        return {name: modules(each) for name, each in command.commands.items()}
    return command.callback.__module__


@pytest.mark.parametrize(("noun", "verb"), sorted(ON_THEIR_OWN))
def test_a_verb_with_a_module_of_its_own_is_the_one_of_its_noun(noun: str, verb: str) -> None:
    own = get_command(importlib.import_module(f"armillary.cli.{ON_THEIR_OWN[noun, verb]}").app)
    whole = command_of(noun)
    assert list(own.commands) == [verb]
    assert own.help == whole.help
    assert modules(own.commands[verb]) == modules(whole.commands[verb])


def test_what_was_loaded_is_not_searched_for_garbage() -> None:
    after = "atexit.register(lambda: print(gc.isenabled(), gc.get_freeze_count() > 1000))"
    program = f"import atexit, gc; {after}; from armillary.cli.main import run; run()"
    done = subprocess.run(
        [sys.executable, "-c", program, "status", "--help"], check=True, capture_output=True, text=True
    )
    assert done.stdout.endswith("True True\n")


@pytest.mark.parametrize("noun", sorted(IN_SERVICE))
def test_the_whole_noun_has_every_fast_verb(noun: str) -> None:
    fast = importlib.import_module(f"armillary.cli.{IN_SERVICE[noun]}").app
    assert set(get_command(fast).commands) < set(command_of(noun).commands)

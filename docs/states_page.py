# SPDX-License-Identifier: Apache-2.0
"""The page of state machines: each drawn from the table that the code runs by."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from typing import Any

from armillary.hub.broker import session as broker_session
from armillary.identity import manufacturing, transfer
from armillary.response import state as response
from armillary.rollout import state as rollout
from armillary.twin.author import job
from armillary.twin.rule import table as rule_table
from armillary.update.install import starting, transaction
from armillary.wire.hawkbit import action as bridge_action
from armillary.wire.mqtt import session as mqtt_session

# What the machine is of, where its table is, the table.
MACHINES: tuple[tuple[str, str, Mapping[Any, Any]], ...] = (
    ("A start of a device", "update/install/starting.py", starting.TABLE),
    ("An installation", "update/install/transaction.py", transaction.TRANSITIONS),
    ("A device's manufacturing state", "identity/manufacturing.py", manufacturing.TRANSITIONS),
    ("A transfer of a device", "identity/transfer.py", transfer.TRANSITIONS),
    ("A roll-out", "rollout/state.py", rollout.TRANSITIONS),
    ("An action", "response/state.py", response.TRANSITIONS),
    ("An action of a bridged device", "wire/hawkbit/action.py", bridge_action.TRANSITIONS),
    ("An MQTT connection of the hub's front", "wire/mqtt/session.py", mqtt_session.TRANSITIONS),
    ("A delivery of the general broker", "hub/broker/session.py", broker_session.DELIVERIES),
    ("A rule for one device", "twin/rule/table.py", rule_table.TRANSITIONS),
    ("A job's run", "twin/author/job.py", job.RUN_STATES),
    ("A device in a job's run", "twin/author/job.py", job.DEVICE_STATES),
)


def states_page(notice: str) -> str:
    """The page."""
    lines = [
        notice,
        "# State machines",
        "",
        "Each is drawn from the table that the code runs by; what is not in a table is refused.",
        "",
    ]
    for title, place, table in MACHINES:
        lines += [f"## {title}", "", f"`src/armillary/{place}`", "", "```mermaid", "stateDiagram-v2"]
        arrows: dict[tuple[str, str], list[str]] = {}
        for before, event, after in transitions(table):
            arrows.setdefault((before, after), []).append(event)
        lines += [f"    {a} --> {b}: {', '.join(events)}" for (a, b), events in arrows.items()]
        lines += ["```", ""]
    return "\n".join(lines).rstrip() + "\n"


def transitions(table: Mapping[Any, Any]) -> Iterator[tuple[str, str, str]]:
    """State, event and next state of a table, whichever form it has: by pairs, or by state and then event."""
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from ((word(key), word(event), word(after)) for event, after in value.items())
        elif isinstance(value, bool):  # whether one state may follow the other
            if value:
                yield word(key[0]), "set", word(key[1])
        else:
            after = value
            if isinstance(value, tuple):
                after = next(each for each in value if type(each) is type(key[0]))
            yield word(key[0]), word(key[1]), word(after)


def word(part: Any) -> str:
    """A state or event as one word of the diagram."""
    if isinstance(part, tuple):
        return "_".join(map(word, part))
    if isinstance(part, enum.Enum):
        part = part.value if isinstance(part.value, str) else part.name.lower()
    return str(part).replace("-", "_").replace(" ", "_")

# SPDX-License-Identifier: Apache-2.0
"""Actions as they come out of the records; times are Unix seconds UTC."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One thing that the service does about a finding, an advisory, or by an operator's word."""

    action_id: UUID
    catalog_id: UUID | None  # whose it is; None: of the whole service
    kind: str  # a key of response/action.py KINDS
    state: str  # of response/state.py
    target: Mapping[str, Any]  # what it is aimed at: one of response/action.py TARGETS and its value
    options: Mapping[str, Any]  # what else was asked for: when a quarantine ends, a channel, a message, images
    reason: str
    playbook: str  # that asked for it; "" for a person
    finding_id: UUID | None
    asked_by: str
    asked_at: int
    approved_by: str  # "" before anybody has
    changed_at: int
    expires_at: int
    devices: int  # that it is to touch
    done: int = 0
    skipped: int = 0
    undone: int = 0
    is_capped: bool = False  # it pauses where automatic actions touch too many devices
    effects: Mapping[str, Any] = field(default_factory=dict)
    said: str = ""  # why it stands where it stands


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionDevice:
    """Where a device stands in an action."""

    device_id: str
    state: str  # pending, done, skipped or undone
    done_at: int | None
    said: str  # why it was skipped


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionApproval:
    """What a catalog asks of actions."""

    second_person_above: int  # devices that one person alone may touch
    expires_after_s: int  # what nobody approves in this time expires
    changed_at: int = 0  # 0: nobody has said anything else
    changed_by: str = ""

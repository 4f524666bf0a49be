# SPDX-License-Identifier: Apache-2.0
"""Facts of measures: roll-outs since the case began, devices that were kept apart, what users have to do themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from armillary.engines.records.schema.rollout_rows import Rollout
from armillary.engines.records.schema.security.response_rows import Action
from armillary.regulation.case import CaseStanding
from armillary.regulation.statement import Fact, absent, present
from armillary.service.cases.product_facts import day
from armillary.service.cases.scope import Scope, devices

MAX_NAMED: Final = 20


def of_measures(
    scope: Scope,
    standing: CaseStanding,
    rollouts: Sequence[Rollout],
    actions: Sequence[Action],
    fixed_images: Sequence[Mapping[str, Any]],
) -> list[Fact]:
    """What was done since the case began; ``fixed_images`` are those that are known to be repaired."""
    return [
        _taken(rollouts, actions),
        _fix(standing, fixed_images),
        _of_users(scope, standing),
    ]


def _taken(rollouts: Sequence[Rollout], actions: Sequence[Action]) -> Fact:
    if not rollouts and not actions:
        todo = "Say in a note what was done: armillary case note --field measures-taken."
        return absent("measures-taken", f"No roll-out and no action since the case began. {todo}")
    lines = [_rollout(each) for each in rollouts[:MAX_NAMED]]
    lines += [_action(each) for each in actions[:MAX_NAMED]]
    value = {
        "rollouts": [
            {
                "rollout_id": str(each.rollout_id),
                "product": each.product,
                "group": each.group,
                "state": each.state,
                "created_at": each.created_at,
                "devices": dict(each.counts),
            }
            for each in rollouts
        ],
        "actions": [
            {
                "action_id": str(each.action_id),
                "kind": each.kind,
                "state": each.state,
                "asked_at": each.asked_at,
                "asked_by": each.asked_by,
                "approved_by": each.approved_by,
                "devices": each.devices,
                "done": each.done,
                "undone": each.undone,
                "reason": each.reason,
            }
            for each in actions
        ],
    }
    sources = [f"roll-out {each.rollout_id}" for each in rollouts[:MAX_NAMED]]
    sources += [f"action {each.action_id}" for each in actions[:MAX_NAMED]]
    return present("measures-taken", "\n".join(lines), value, *sources)


def _action(found: Action) -> str:
    done = f"{found.done} of {devices(found.devices)}" if found.devices else "no device by itself"
    why = f": {found.reason}" if found.reason else ""
    return f"{day(found.asked_at)}: {found.kind}, {found.state} ({done}){why}"


def _rollout(found: Rollout) -> str:
    what = f"OS {found.version} for {found.chip}" if found.release_id is not None else f"images for {found.product}"
    counts = ", ".join(f"{number} {state}" for state, number in found.counts.items() if number)
    return f"{day(found.created_at)}: roll-out of {what}, {found.state}" + (f" ({counts})" if counts else "")


def _fix(standing: CaseStanding, fixed_images: Sequence[Mapping[str, Any]]) -> Fact:
    if standing.fix_at is None:
        hint = ""
        if fixed_images:
            named = ", ".join(each["name"] for each in fixed_images[:MAX_NAMED])
            hint = f" Images that are known to be repaired: {named}."
        todo = "When there is one: armillary case fix-available CASE."
        return absent("fix", f"No fix is recorded in the case.{hint} {todo}", {"images": list(fixed_images)})
    says = f"Available since {day(standing.fix_at)}."
    if fixed_images:
        says += " " + ", ".join(f"{each['kind']} {each['name']} ({each['id']})" for each in fixed_images[:MAX_NAMED])
    value = {"available_at": standing.fix_at, "images": list(fixed_images)}
    return present("fix", says, value, "entry fix-available of the case", "bills of materials of the images")


def _of_users(scope: Scope, standing: CaseStanding) -> Fact:
    by_hand = sum(scope.devices[each.group_id] for each in scope.groups if each.update_policy != "UpdateAll")
    if standing.fix_at is None:
        return absent(
            "measures-of-users", "There is no fix yet. Say what users can do until then: armillary case note."
        )
    if by_hand:
        return absent(
            "measures-of-users",
            f"{devices(by_hand)} in groups whose policy takes no update of applications: their owners have to allow "
            "it. Say how in a note: armillary case note.",
            {"devices": by_hand},
        )
    says = f"Nothing: {devices(scope.device_count)} install updates by themselves when they are offered."
    return present("measures-of-users", says, {"devices": scope.device_count}, "update policies of device groups")

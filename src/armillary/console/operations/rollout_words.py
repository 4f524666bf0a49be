# SPDX-License-Identifier: Apache-2.0
"""A roll-out in words: what is rolled out, where, and how far it is. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from armillary.console.frame.words import counted, grouped, joined, percent, short_id
from armillary.console.language.say import say
from armillary.rollout.tally import LEFT
from armillary.wire.image.naming import label_of


def rollout_sentence(rollout: Mapping[str, Any]) -> str:
    """First line of its page: how far it is, and what failed."""
    counts, failed = rollout["counts"], rollout["failed"]
    whole = whole_of(counts)
    told = {
        "name": name_of(rollout),
        "devices": counted(whole, "device"),
        "share": percent(counts.get("confirmed", 0), whole),
        "back": say(
            "{restored} of {whole} restored",
            restored=grouped(counts.get("restored", 0)),
            whole=grouped(whole - counts.get("waiting", 0)),
        ),
        "trouble": say("{failed} failed", failed=grouped(failed)) if failed else say("none failed"),
        "state": repr(rollout["state"]),
    }
    return {
        "proposed": say("{name} waits for a second person before it goes to {devices}.", **told),
        "running": say("Rolling {name} out to {devices}: {share} updated, {trouble}.", **told),
        "held": say("Halted at {share}: {name} on {devices}, {trouble}.", **told),
        "rolling-back": say("Rolling {name} back: {back}, {trouble}.", **told),
        "rolled-back": say("{name} was rolled back: {back}, {trouble}.", **told),
        "completed": say("{name} is on {share} of {devices}, {trouble}.", **told),
        "cancelled": say("{name} was cancelled at {share} of {devices}, {trouble}.", **told),
    }.get(rollout["state"], say("{name}: state {state} is not known to this console.", **told))


def whole_of(counts: Mapping[str, int]) -> int:
    """Devices of the roll-out: what has left its group is none."""
    return sum(count for state, count in counts.items() if state != LEFT)


def name_of(rollout: Mapping[str, Any]) -> str:
    """What is rolled out."""
    if rollout.get("release_id"):
        return say("OS {version} for {chip}", version=rollout["version"], chip=rollout["chip"])
    names = [label_of(image) for image in rollout.get("images", ())]
    return (
        joined(names)
        if names
        else say("deployment {deployment_id}", deployment_id=short_id(rollout["deployment_id"]).short)
    )


def groups_of(rollout: Mapping[str, Any]) -> str:
    """Where it is rolled out."""
    if rollout.get("release_id"):
        return say(
            "{feed} groups of {catalog}", feed=rollout["feed"], catalog=rollout["catalog"] or say("all catalogs")
        )
    first = f"{rollout['product']} / {rollout['group']}"
    if rollout["further"]:
        return say("{first} and {groups} more", first=first, groups=counted(len(rollout["further"]), "group"))
    return first

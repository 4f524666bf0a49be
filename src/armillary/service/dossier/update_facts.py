# SPDX-License-Identifier: Apache-2.0
"""Facts of updates: whether devices take them by themselves, what was rolled out, what became of it, who signs it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from armillary.engines.records.queries import releases as release_rows
from armillary.engines.records.queries.security import evidence as rows
from armillary.errors import ArmillaryError
from armillary.regulation.statement import Fact, absent, present
from armillary.service.cases.scope import devices
from armillary.service.dossier.held import Held, Sources, Subject
from armillary.service.repository.loading import load_tuf
from armillary.service.repository.roles import CATALOG_PREFIX

MAX_ROLLOUTS: Final = 1000


def gather(sources: Sources, subject: Subject) -> Iterator[Held]:
    """All of them."""
    yield Held(_automatic(subject))
    yield Held(_rollouts(sources, subject))
    yield Held(_outcomes(sources, subject))
    yield Held(_signing(sources))
    yield Held(_floors(sources, subject))


def _automatic(subject: Subject) -> Fact:
    by_policy: Counter[str] = Counter()
    for each in subject.scope.groups:
        by_policy[each.update_policy] += subject.scope.devices[each.group_id]
    held_back = sum(number for policy, number in by_policy.items() if policy != "UpdateAll")
    value = {"policies": {policy: number for policy, number in sorted(by_policy.items()) if number}}
    if not subject.scope.device_count:
        return absent("automatic-updates", "There is no device.", value)
    if held_back:
        says = f"{devices(held_back)} in groups whose policy takes OS updates only: armillary device-group update."
        return absent("automatic-updates", says, value)
    says = f"All {devices(subject.scope.device_count)} install what they are offered, OS and applications."
    return present("automatic-updates", says, value, "update policies of device groups")


def _rollouts(sources: Sources, subject: Subject) -> Fact:
    page = sources.rollouts.list(catalog=subject.catalog, limit=MAX_ROLLOUTS)
    names = {each.name for each in subject.scope.products}
    mine = [each for each in page.items if subject.scope.product_id is None or each.product in names]
    states = Counter(each.state for each in mine)
    value = {
        "states": dict(sorted(states.items())),
        "rollouts": [
            {
                "rollout_id": str(each.rollout_id),
                "product": each.product,
                "group": each.group,
                "state": each.state,
                "created_at": each.created_at,
                "reason": each.reason,
                "devices": dict(each.counts),
            }
            for each in mine
        ],
    }
    if not mine:
        return absent("update-rollouts", "No update was rolled out in steps: armillary rollout create.", value)
    counts = ", ".join(f"{number} {state}" for state, number in sorted(states.items()))
    return present("update-rollouts", f"{len(mine)} staged roll-outs: {counts}.", value, "roll-outs")


def _outcomes(sources: Sources, subject: Subject) -> Fact:
    ids = [each.group_id for each in subject.scope.groups]
    found = sources.context.records.read(lambda c: rows.outcomes(c, ids))
    if not found.get("confirmed"):
        return absent("update-outcomes", "No device has confirmed an update yet.", {"outcomes": found})
    counts = ", ".join(f"{number} {word}" for word, number in found.items())
    says = f"Devices reported of images that they installed: {counts}."
    return present("update-outcomes", says, {"outcomes": found}, "outcomes of the last 90 days")


def _signing(sources: Sources) -> Fact:
    """Roles of the repository but for those of single catalogs: they are of whoever owns the catalog."""
    repository = sources.repository
    try:
        load_tuf()
        from armillary.service.repository.status import role_statuses  # noqa: PLC0415 - 3 MB that few services need

        statuses = role_statuses(repository.edition(), repository.keys())
    except (ArmillaryError, ImportError):
        return absent("update-signing", "The repository was not published yet: see armillary status.")
    value = [
        {
            "role": each.role,
            "version": each.version,
            "expires_at": each.expires_at,
            "threshold": each.threshold,
            "keys": len(each.keys),
            "custody": each.custody,
        }
        for each in statuses
        if not each.role.startswith(CATALOG_PREFIX)
    ]
    says = "Updates are named by signed TUF metadata: " + ", ".join(
        f"{each['role']} {each['threshold']} of {each['keys']} keys, {each['custody']}" for each in value
    )
    return present("update-signing", says + ".", {"roles": value}, "metadata of the repository")


def _floors(sources: Sources, subject: Subject) -> Fact:
    chips = {each.chip for each in subject.field.artifacts if each.chip}
    floors = [
        {"chip": each.chip, "image_type": each.image_type, "minimum": each.minimum, "changed_at": each.changed_at}
        for each in sources.context.records.read(release_rows.floors)
        if each.chip in chips
    ]
    if not floors:
        says = "No security floor is set for the chips in the field: an older OS that is signed is not refused."
        return absent("rollback-protection", f"{says} armillary release raise-floor.", {"floors": []})
    says = f"{len(floors)} security floors are set: what is older is not booted, and gets no certificate."
    return present("rollback-protection", says, {"floors": floors}, "security floors")

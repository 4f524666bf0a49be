# SPDX-License-Identifier: Apache-2.0
"""Why a device is called what it is, or was on an earlier day: its software then, and the records that judged it.

What is answered from: the editions of feeds that were in force, the bills of materials that were read by then, the
statements that held, and what the device had said in its check-ins. Where one of these is not known for that time, the
state is ``unknown`` and ``reasons`` say what is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from armillary.advisory.assessment import State
from armillary.engines.records.advisories import feeds as feed_rows, software as software_rows
from armillary.engines.records.advisories.software import Held, SoftwareSet
from armillary.engines.records.queries import catalogs as catalog_rows, devices as device_rows
from armillary.engines.records.schema.advisory_rows import Feed
from armillary.errors import NotFoundError
from armillary.service.advisories.exposure import Exposure
from armillary.service.advisories.judging import Judge, Judged
from armillary.service.registry.names import absent_device


@dataclass(frozen=True, slots=True)
class Asked:
    """A question about a device: about now or (``at``) a time, and about none before ``owned_since``."""

    advisory_id: str
    device_id: str
    at: int | None
    now: int
    owned_since: int

    @property
    def when(self) -> int:
        """The time that the answer is about."""
        return self.now if self.at is None else self.at


def of_device(
    connection: Connection, asked: Asked, judge_then: Callable[[], Judge], exposure: Exposure
) -> dict[str, Any]:
    """The answer; ``judge_then`` raises NotFoundError where no feed had the advisory then."""
    number = software_rows.number_of(connection, asked.device_id)
    device = device_rows.enrolled(connection, asked.device_id)
    if number is None or device is None:
        raise absent_device(asked.device_id)
    try:
        judge = judge_then()
    except NotFoundError as error:
        if not feed_rows.versions_named(connection, asked.advisory_id, held=False):
            raise
        return _document(asked, State.UNKNOWN, [error.message], feeds=feed_rows.feeds(connection, asked.at))
    held = None if asked.when < asked.owned_since else software_rows.held_at(connection, number, asked.when)
    group = None if held is None else catalog_rows.group_by_id(connection, held.group_id)
    feeds = feed_rows.feeds(connection, asked.at)
    if held is None:
        missing = "what it ran then is not known: it was not here, had another owner, or this was not kept yet"
        return _document(asked, State.UNKNOWN, [missing], feeds=feeds, judge=judge)
    owner = device.catalog_id if group is None else group.catalog_id
    judged = exposure.judged(connection, judge, owner, at=asked.at)
    product_id = None if group is None else group.product_id
    state, one = exposure.of_held(connection, judge, judged, held, owner, product_id)
    parts = [] if one is None else _parts(one, judged)
    return _document(
        asked, state, _reasons(one, parts, state), feeds=feeds, judge=judge, held=held, parts=parts, one=one
    )


def _parts(one: SoftwareSet, judged: Sequence[Judged]) -> list[dict[str, Any]]:
    """How each thing stands that the device ran; what is not among the images is unknown."""
    found: list[dict[str, Any]] = []
    images = {each.artifact.artifact_id: each for each in judged if each.artifact.catalog_id is not None}
    releases = {
        (each.artifact.chip, each.artifact.version): each for each in judged if each.artifact.catalog_id is None
    }
    release = releases.get((one.chip, one.os_version))
    found.append(_part("release", f"{one.chip} {one.os_version}", release))
    found += [_part("image", str(each), images.get(each)) for each in sorted(one.image_ids)]
    return found


def _part(kind: str, name: str, judged: Judged | None) -> dict[str, Any]:
    if judged is None:
        reason = f"this {kind} was not known here"
        return {"kind": kind, "id": name, "name": name, "state": "unknown", "components": [], "reason": reason}
    return {
        "kind": kind,
        "id": str(judged.artifact.artifact_id),
        "name": judged.artifact.name,
        "state": judged.state.value,
        "components": sorted(set(judged.purls)),
        "reason": judged.reason,
    }


def _reasons(one: SoftwareSet | None, parts: Sequence[dict[str, Any]], state: State) -> list[str]:
    """What decided, in words."""
    found = []
    if one is None:
        found.append("what it ran is not kept any more")
    elif not one.attested:
        found.append("its boot was not attested: what it said it ran is its word alone")
    for part in parts:
        if part["state"] == state.value:
            why = part["reason"] or ", ".join(part["components"]) or "by its bill of materials"
            found.append(f"{part['kind']} {part['name']}: {part['state']} ({why})")
    return found


def _document(
    asked: Asked,
    state: State,
    reasons: list[str],
    *,
    feeds: Sequence[Feed],
    judge: Judge | None = None,
    held: Held | None = None,
    parts: Sequence[dict[str, Any]] = (),
    one: SoftwareSet | None = None,
) -> dict[str, Any]:
    named = {} if judge is None else {each.feed: each for each in judge.versions}
    return {
        "advisory_id": asked.advisory_id,
        "device_id": asked.device_id,
        "state": state.value,
        "reasons": reasons,
        "as_of": asked.when,
        "attested": None if one is None else one.attested,
        "since": None if held is None else held.since,
        "until": None if held is None else held.until,
        "software": list(parts),
        "records": [
            {
                "feed": each.feed,
                "advisory_id": each.advisory_id,
                "sha256": each.digest.hex(),
                "from_edition": each.from_edition,
                "until_edition": each.until_edition,
                "withdrawn_at": each.withdrawn_at,
            }
            for each in (() if judge is None else judge.versions)
        ],
        "feeds": [
            {
                "feed": each.name,
                "kind": each.kind,
                "edition": each.current.edition,
                "as_of": each.current.as_of,
                "in_force_since": each.current.whole_at,
                "sha256": each.current.sha256.hex(),
                "signer": each.current.signer,
                "stale": each.is_stale(asked.when),
                "names_it": each.name in named,
            }
            for each in feeds
            if each.current is not None
        ],
    }

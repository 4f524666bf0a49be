# SPDX-License-Identifier: Apache-2.0
"""Facts of what is in the field: versions, attestation, bills of materials; and whether components can be judged."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final
from uuid import UUID

from armillary.engines.records.schema.advisory_rows import Artifact
from armillary.engines.records.schema.update_rows import BillRow
from armillary.errors import DataFolderError, NotFoundError
from armillary.regulation.statement import Fact, absent, present, stale
from armillary.service.cases.scope import devices
from armillary.service.dossier.held import Held, Sources, Subject

MAX_NAMED: Final = 30
# Bills of one dossier; what has no room is named with its digest, and is got from the service.
MAX_BILL_BYTES: Final = 40 << 20
_AT_ONCE: Final = 500  # ids of one question
_COVERAGE: Final = ("kind", "id", "name", "state", "components", "not_assessed", "uncovered", "as_of", "fault")
_OPEN: Final = ("unknown", "not-assessed")
_SOURCE: Final = "what devices said in attested check-ins"


def gather(sources: Sources, subject: Subject) -> Iterator[Held]:
    """All of them."""
    yield Held(_versions(subject))
    yield Held(_attested(subject))
    yield _bills(sources, subject)


def _versions(subject: Subject) -> Fact:
    field = subject.field
    value = {
        "devices": field.devices,
        "never_said": field.silent,
        "artifacts": [{**named(each), "devices": number} for each, number in field.artifacts.items()],
        "unknown": dict(field.unknown),
    }
    if not field.artifacts:
        says = f"No image or release of this service is known to run on any of {devices(field.devices)}."
        return absent("versions-in-field", says, value)
    lines = [f"{each.name}: {devices(number)}" for each, number in list(field.artifacts.items())[:MAX_NAMED]]
    if len(field.artifacts) > MAX_NAMED:
        lines.append(f"and {len(field.artifacts) - MAX_NAMED} more")
    if field.unknown:
        lines.append(f"{len(field.unknown)} versions that nobody published here, on some devices")
    return present("versions-in-field", "; ".join(lines) + ".", value, _SOURCE)


def _attested(subject: Subject) -> Fact:
    field = subject.field
    value = {"devices": field.devices, "attested": field.attested, "never_said": field.silent}
    says = f"{field.attested} of {devices(field.devices)} proved in their last check-in what they booted."
    if not field.devices or field.attested < field.devices:
        todo = "See why the others did not: armillary device list --health."
        return absent("devices-attested", f"{says} {todo}", value)
    return present("devices-attested", says, value, "check-ins, appraised step by step")


def _bills(sources: Sources, subject: Subject) -> Held:
    parts: dict[str, bytes] = {}
    rows: list[dict[str, Any]] = []
    missing, room = [], MAX_BILL_BYTES
    known = _known_bills(sources, subject)
    for artifact in subject.field.artifacts:
        row = known.get((artifact.catalog_id, artifact.artifact_id))
        if row is None:
            missing.append(artifact.name)
            continue
        about = named(artifact)
        name = f"evidence/sbom/{about['kind']}-{artifact.artifact_id}.json"
        if row.size <= room and (document := _document(sources, subject, artifact)) is not None:
            room -= len(document)
            parts[name] = document
        said = {"sha256": row.sha256.hex(), "size": row.size, "components": row.components, "added_at": row.added_at}
        rows.append({**about, **said, "part": name if name in parts else None})
    value = {"bills": rows, "missing": missing}
    if missing or not rows:
        whose = ", ".join(missing[:MAX_NAMED]) or "anything: nothing is in the field"
        todo = "armillary image add-sbom, armillary release add-sbom"
        return Held(absent("bill-of-materials", f"No bill of materials of {whose}: {todo}.", value), parts)
    without = sum(1 for each in rows if each["part"] is None)
    more = f" {without} are too large for this file, and named by their digest." if without else ""
    says = f"Each of {len(rows)} images and releases in the field has a bill of materials.{more}"
    return Held(present("bill-of-materials", says, value, "bills of materials as they were given"), parts)


def _known_bills(sources: Sources, subject: Subject) -> dict[tuple[UUID | None, UUID], BillRow]:
    """(catalog or None, id) -> the bill of what is in the field, by a few questions for all of it."""
    found: dict[tuple[UUID | None, UUID], BillRow] = {
        (None, release_id): row for release_id, row in sources.bills.of_releases().items()
    }
    by_catalog: dict[UUID, list[UUID]] = {}
    for each in subject.field.artifacts:
        if each.catalog_id is not None:
            by_catalog.setdefault(each.catalog_id, []).append(each.artifact_id)
    for catalog_id, ids in by_catalog.items():
        for start in range(0, len(ids), _AT_ONCE):
            rows = sources.bills.of_images(_catalog_of(subject, catalog_id), ids[start : start + _AT_ONCE])
            found |= {(catalog_id, image_id): row for image_id, row in rows.items()}
    return found


def _document(sources: Sources, subject: Subject, artifact: Artifact) -> bytes | None:
    """A bill as it was given; None where its file is missing."""
    try:
        if artifact.catalog_id is None:
            return sources.bills.of_release(artifact.artifact_id)[1]
        return sources.bills.of_image(_catalog_of(subject, artifact.catalog_id), artifact.artifact_id)[1]
    except (NotFoundError, DataFolderError):
        return None


def _catalog_of(subject: Subject, catalog_id: UUID) -> str:
    return next(each.catalog for each in subject.scope.groups if each.catalog_id == catalog_id)


def named(artifact: Artifact) -> dict[str, str]:
    """What an image or release is called in JSON."""
    kind = "release" if artifact.catalog_id is None else "image"
    return {"kind": kind, "id": str(artifact.artifact_id), "name": artifact.name}


def assessed(sources: Sources, subject: Subject) -> Fact:
    """Whether all that is in the field could be held against fresh feeds: what facts of vulnerabilities are worth."""
    ids = {str(each.artifact_id) for each in subject.field.artifacts}
    coverage = sources.advisories.answers.coverage(subject.catalog)
    rows = [{name: each[name] for name in _COVERAGE} for each in coverage if each["id"] in ids]
    value = {"artifacts": rows}
    if not rows:
        return absent("components-assessed", "Nothing in the field can be held against advisories.", value)
    outdated = sorted({name for each in rows for name, word in each["uncovered"].items() if word == "stale"})
    if outdated:
        says = f"Feeds of {', '.join(outdated)} are stale: renew them, armillary advisory-feed import."
        return stale("components-assessed", says, value, "advisory feeds")
    open_ones = [each for each in rows if each["state"] in _OPEN or each["not_assessed"] or each["uncovered"]]
    if open_ones:
        names = ", ".join(each["name"] for each in open_ones[:MAX_NAMED])
        says = f"Of {names} it is not known whether an advisory affects it: armillary advisory coverage says why."
        return absent("components-assessed", says, value)
    oldest = min((each["as_of"] for each in rows if each["as_of"] is not None), default=subject.now)
    says = f"All components of {len(rows)} images and releases in the field were held against fresh feeds."
    return present("components-assessed", says, {**value, "feeds_as_of": oldest}, "advisory feeds")

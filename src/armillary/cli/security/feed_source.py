# SPDX-License-Identifier: Apache-2.0
"""What sources of advisories publish, as records of a bundle: read and checked here, before anybody signs it.

======  ==========================================================  ==========================================
kind    files                                                       a record
======  ==========================================================  ==========================================
osv     OSV's zip archives, JSON or YAML files, folders of them      one advisory
kev     CISA's catalogue, JSON                                       the whole catalogue
epss    FIRST's scores, CSV, plain or by gzip                        CVE, score and percentile
*vex    OpenVEX, CycloneDX or CSAF documents, JSON                   one document
======  ==========================================================  ==========================================
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from armillary.cli.terminal.files import explained, read_file
from armillary.errors import InvalidArgumentError, WireError
from armillary.wire.advisory import epss, kev, vex_document
from armillary.wire.advisory.osv import MAX_BYTES, Advisory, read_advisory
from armillary.wire.advisory.osv_archive import RefusedRecord, read_archive

_YAML: Final = (".yaml", ".yml")
MAX_FILES: Final = 1_000_000


@dataclass(slots=True)
class FeedSource:
    """Reads files of a kind; afterwards it knows what it met.

    Attributes:
        refused: What could not be read, and why; the rest is packed.
        ecosystems: Whose packages the records speak of.
        as_of: When the source says that its records are true; None where it does not say.
    """

    kind: str
    refused: list[str] = field(default_factory=list)
    ecosystems: set[str] = field(default_factory=set)
    as_of: int | None = None

    def records(self, paths: Iterable[Path]) -> Iterator[bytes]:
        """The records of files and folders, in the order of their names.

        Raises:
            InvalidArgumentError, WireError: a file that cannot be read at all.
        """
        for path in _files(paths):
            if self.kind == "osv":
                yield from self._advisories(path)
            elif self.kind == "kev":
                data = read_file(path, limit=kev.MAX_BYTES)
                self.as_of = kev.read_catalogue(data).released
                yield _one_line(json.loads(data.decode("utf-8-sig")))
            elif self.kind == "epss":
                found = epss.read_scores(read_file(path, limit=epss.MAX_BYTES))
                self.as_of = found.day
                yield from (_one_line([cve, *both]) for cve, both in sorted(found.scores.items()))
            else:
                data = read_file(path, limit=vex_document.MAX_BYTES)
                vex_document.read_vex(data)
                yield _one_line(json.loads(data.decode("utf-8-sig")))

    def _advisories(self, path: Path) -> Iterator[bytes]:
        if path.suffix.lower() == ".zip":
            with explained(path, "cannot be read"), path.open("rb") as file:
                for each in read_archive(file):
                    if isinstance(each, RefusedRecord):
                        self.refused.append(f"{each.name}: {each.reason}")
                    else:
                        yield self._packed(each.advisory, each.data)
            return
        data = read_file(path, limit=MAX_BYTES)
        try:
            yield self._packed(_read(path, data), data)
        except WireError as error:
            self.refused.append(f"{path}: {error.message}")

    def _packed(self, advisory: Advisory, data: bytes) -> bytes:
        self.ecosystems |= {each.ecosystem.partition(":")[0] for each in advisory.affected}
        try:
            return _one_line(json.loads(data.decode("utf-8-sig")))
        except ValueError:  # YAML: what was read of it is written in OSV's form
            return _one_line(osv_form(advisory))


def _read(path: Path, data: bytes) -> Advisory:
    if path.suffix.lower() in _YAML:
        from armillary.wire.advisory.osv_yaml import read_yaml  # noqa: PLC0415 - most feeds have no YAML

        return read_yaml(data)
    return read_advisory(data)


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        found = sorted(each for each in path.rglob("*") if each.suffix.lower() in (".json", *_YAML) and each.is_file())
        if not found:
            raise InvalidArgumentError(f"{path}: there is no JSON or YAML file", remedy="Name the folder of records.")
        yield from found[:MAX_FILES]


def _one_line(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def osv_form(advisory: Advisory) -> dict[str, Any]:
    """An advisory as a record of OSV: what is read of one, and nothing else."""
    found: dict[str, Any] = {"id": advisory.id, "modified": _time(advisory.modified)}
    for name, at in (("published", advisory.published), ("withdrawn", advisory.withdrawn)):
        if at is not None:
            found[name] = _time(at)
    found |= {"aliases": list(advisory.aliases), "upstream": list(advisory.upstream), "summary": advisory.summary}
    found["severity"] = [{"type": each.kind, "score": each.score} for each in advisory.severity]
    found["affected"] = [
        {
            "package": {"ecosystem": each.ecosystem, "name": each.name},
            "versions": list(each.versions),
            "ranges": [
                {"type": one.kind, "events": [{event.kind: event.version} for event in one.events]}
                for one in each.ranges
            ],
            "severity": [{"type": one.kind, "score": one.score} for one in each.severity],
        }
        for each in advisory.affected
    ]
    return found


def _time(seconds: int) -> str:
    from datetime import UTC, datetime  # noqa: PLC0415 - as YAML is

    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

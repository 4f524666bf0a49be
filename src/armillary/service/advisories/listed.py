# SPDX-License-Identifier: Apache-2.0
"""The components of a bill of materials as they are kept: whose package each is, or why none can say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from armillary.advisory.ecosystem import NotAssessed, package_of
from armillary.service.advisories.matching import MAX_ECOSYSTEM, MAX_PACKAGE
from armillary.wire.image.bill_of_materials import components_of as shown_components_of

MAX_VERSION: Final = 256
MAX_PURL: Final = 1024
# What a component may be that is no package of anybody's: it is listed for people, and no advisory is about it.
_NO_PACKAGES: Final = frozenset({"file", "data", "device", "operating-system", "cryptographic-asset"})


@dataclass(frozen=True, slots=True)
class ListedComponent:
    """A component; ``row`` has the columns of the table ``component``."""

    row: dict[str, Any]

    @property
    def unassessed(self) -> str:
        """Why it cannot be judged; empty if it can."""
        return str(self.row["unassessed"])


def components_of(document: bytes) -> tuple[ListedComponent, ...]:
    """The components of a bill of materials, each package in a version once.

    Raises:
        ArmillaryError: it is none any more: damaged on the disk.
    """
    found: dict[tuple[str, str, str], ListedComponent] = {}
    for each in shown_components_of(document):
        if each.kind in _NO_PACKAGES and not each.purl:
            continue
        key = (each.purl, each.version, each.name if not each.purl else "")
        if key not in found:
            found[key] = ListedComponent(_row(each.purl, each.name, each.version))
    return tuple(found.values())


def _row(purl: str, name: str, version: str) -> dict[str, Any]:
    package = package_of(purl, version)
    if isinstance(package, NotAssessed):
        reason, ecosystem, release, known_as = package.reason, "", "", name
    elif len(package.ecosystem) > MAX_ECOSYSTEM or len(package.name) > MAX_PACKAGE or len(version) > MAX_VERSION:
        reason, ecosystem, release, known_as = "its name or version is longer than any that is known", "", "", name
    else:
        reason, ecosystem, release, known_as = "", package.ecosystem, package.release[:MAX_ECOSYSTEM], package.name
        version = version or package.version
    return {
        "ecosystem": ecosystem,
        "release": release,
        "package": known_as[:MAX_PACKAGE],
        "version": version[:MAX_VERSION],
        "purl": purl[:MAX_PURL],
        "unassessed": reason[:512],
    }

# SPDX-License-Identifier: Apache-2.0
"""The components of a bill of materials as they are kept: whose package each is, or why none can say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from armillary.advisory.ecosystem import NotAssessed, Package, package_of
from armillary.errors import InvalidArgumentError
from armillary.wire.image.bill_of_materials import components_of as shown_components_of

# Widths of columns; a package with a longer name is compared with nothing.
MAX_ECOSYSTEM: Final = 64
MAX_PACKAGE: Final = 256
MAX_VERSION: Final = 256
MAX_PURL: Final = 1024
# Versions of one package in a document. Each is held against every advisory of its package, thousands for a kernel:
# 50,000 versions of it would be a hundred million pairs. Trees of JavaScript have ten.
MAX_VERSIONS: Final = 200
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


def listed_of(purl: str, name: str = "", version: str = "") -> ListedComponent:
    """A component as it is kept, by what a bill of materials says of it."""
    return ListedComponent(_row(purl, name, version))


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
            found[key] = listed_of(each.purl, each.name, each.version)
    return tuple(found.values())


def _is_too_long(package: Package, purl: str, version: str) -> bool:
    lengths = (
        (package.ecosystem, MAX_ECOSYSTEM),
        (package.name, MAX_PACKAGE),
        (version or package.version, MAX_VERSION),
        (package.version, MAX_VERSION),
        (purl, MAX_PURL),
    )
    return any(len(text) > most for text, most in lengths)


def check_versions(document: bytes) -> None:
    """Refuse a bill of materials that lists one package in more versions than anything has.

    Raises:
        InvalidArgumentError: it does; the message names the package.
    """
    found: dict[tuple[str, str], set[str]] = {}
    for each in components_of(document):
        if each.unassessed:
            continue
        place = (each.row["ecosystem"], each.row["package"])
        versions = found.setdefault(place, set())
        versions.add(each.row["purl"])
        if len(versions) > MAX_VERSIONS:
            raise InvalidArgumentError(
                f"bill of materials: {place[0]} package {place[1]!a:.80} has more than {MAX_VERSIONS} versions",
                remedy="List what is in the image, not what could be.",
            )


def _row(purl: str, name: str, version: str) -> dict[str, Any]:
    package = package_of(purl, version)
    if isinstance(package, NotAssessed):
        reason, ecosystem, release, known_as = package.reason, "", "", name
    elif _is_too_long(package, purl, version):  # cut short, it would be held against advisories as something else
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

# SPDX-License-Identifier: Apache-2.0
"""Which package of which ecosystem a component is: package URLs against OSV's names, as one table.

OSV names a package by ecosystem and name (``Debian:12``, ``openssl``), a bill of materials by package URL
(``pkg:deb/debian/libssl3@3.0.11-1?distro=debian-12&upstream=openssl``). Distributions' advisories name source packages:
``upstream`` says which one a binary package is made of. A component of an ecosystem that is not in the table is not
assessed.

Ecosystems without an order (an empty word in the table) are matched by the versions that an advisory lists, as text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from armillary.errors import AdvisoryError
from armillary.wire.advisory.package_url import PackageUrl, parse

_PYTHON_SEPARATORS: Final = re.compile(r"[-_.]+")
_GO_CANDIDATE: Final = re.compile(r"([0-9]+\.[0-9]+)((?:\.[0-9]+)?)(rc|beta)([0-9]+)", re.ASCII)
_RELEASE_NUMBER: Final = re.compile(r"[0-9]+(?:\.[0-9]+)*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Ecosystem:
    """How names and versions of an ecosystem are compared.

    Attributes:
        order: A word of ``version_order.ORDERS``; "" if none of them is this ecosystem's.
        folds: Names that differ in case only are one package.
        joint: What stands between a package URL's namespace and name in OSV's name; "" where the name is alone.
        released: Advisories are for a release of a distribution: ``Alpine:v3.18``.
    """

    order: str
    folds: bool = False
    joint: str = ""
    released: bool = False


# By OSV's name without a release (OSV schema 1.7, "Defined ecosystems").
ECOSYSTEMS: Final[Mapping[str, Ecosystem]] = MappingProxyType(
    {
        "PyPI": Ecosystem("pypi", folds=True),
        "Go": Ecosystem("semver", folds=True, joint="/"),
        "npm": Ecosystem("semver", joint="/"),
        "crates.io": Ecosystem("semver"),
        "Hex": Ecosystem("semver"),
        "SwiftURL": Ecosystem("semver", folds=True, joint="/"),
        "GitHub Actions": Ecosystem("semver", folds=True, joint="/"),
        "Maven": Ecosystem("maven", joint=":"),
        "NuGet": Ecosystem("nuget", folds=True),
        "RubyGems": Ecosystem("gem"),
        "Packagist": Ecosystem("", folds=True, joint="/"),
        "Pub": Ecosystem(""),
        "CRAN": Ecosystem(""),
        "Hackage": Ecosystem(""),
        "Debian": Ecosystem("debian", released=True),
        "Ubuntu": Ecosystem("debian", released=True),
        "Alpine": Ecosystem("apk", released=True),
        "Rocky Linux": Ecosystem("rpm", released=True),
        "AlmaLinux": Ecosystem("rpm", released=True),
    }
)
# Package URL type, or type and namespace of a distribution -> ecosystem.
_TYPES: Final = MappingProxyType(
    {
        "pypi": "PyPI", "golang": "Go", "npm": "npm", "cargo": "crates.io", "hex": "Hex", "swift": "SwiftURL",
        "githubactions": "GitHub Actions", "maven": "Maven", "nuget": "NuGet", "gem": "RubyGems",
        "composer": "Packagist", "pub": "Pub", "cran": "CRAN", "hackage": "Hackage",
        "deb/debian": "Debian", "deb/ubuntu": "Ubuntu", "apk/alpine": "Alpine",
        "rpm/rocky": "Rocky Linux", "rpm/rocky-linux": "Rocky Linux", "rpm/almalinux": "AlmaLinux",
    }
)  # fmt: skip
_DISTRIBUTIONS: Final = frozenset({"deb", "apk", "rpm"})


@dataclass(frozen=True, slots=True)
class Package:
    """A component as advisories name it; ``release`` is "" where the package URL does not say which.

    ``name`` is as :func:`folded` gives it. ``version`` is never empty.
    """

    ecosystem: str
    release: str
    name: str
    version: str


@dataclass(frozen=True, slots=True)
class NotAssessed:
    """A component that no advisory can be held against, and why: a sentence for people."""

    reason: str


def split_ecosystem(text: str) -> tuple[str, str]:
    """An OSV ecosystem without its release, and the release: ``Alpine``, ``3.18`` of ``Alpine:v3.18``."""
    base, _, release = text.partition(":")
    return base, _release(base, release)


def _release(base: str, text: str) -> str:
    """A release in one spelling: Alpine's without v, Ubuntu's without LTS but with Pro, which has other packages."""
    if base == "Ubuntu":
        return text.removesuffix(":LTS")
    return text.removeprefix("v") if base == "Alpine" else text


def folded(ecosystem: str, name: str) -> str:
    """A name in the spelling by which packages of an ecosystem are told apart."""
    if ecosystem == "PyPI":  # PEP 503
        return _PYTHON_SEPARATORS.sub("-", name).lower()
    known = ECOSYSTEMS.get(ecosystem)
    return name.lower() if known is not None and known.folds else name


def package_of(purl: str, version: str = "") -> Package | NotAssessed:
    """What a package URL names; ``version`` is used where it has none."""
    if not purl:
        return NotAssessed("it has no package URL")
    try:
        parts = parse(purl)
    except AdvisoryError as error:
        return NotAssessed(f"its package URL cannot be read: {error.message}")
    kind = parts.type if parts.type not in _DISTRIBUTIONS else f"{parts.type}/{parts.namespace.lower()}"
    base = _TYPES.get(kind)
    if base is None:
        return NotAssessed(f"no feed has advisories by versions for packages of type {kind}")
    known = ECOSYSTEMS[base]
    name, found = _name_and_version(parts, known)
    found = found or version
    if not found:
        return NotAssessed("it has no version")
    if base == "Go":
        name, found = _go(name, found)
    return Package(base, _distribution(base, parts) if known.released else "", folded(base, name), found)


def _name_and_version(parts: PackageUrl, known: Ecosystem) -> tuple[str, str]:
    if known.order == "rpm":  # advisories name binary packages; an epoch stands beside the version
        epoch = parts.qualifiers.get("epoch", "")
        return parts.name, f"{epoch}:{parts.version}" if epoch and ":" not in parts.version else parts.version
    if known.released:  # upstream=NAME or NAME@VERSION is the source package; origin is apk's older word
        source = parts.qualifiers.get("upstream") or parts.qualifiers.get("origin") or ""
        name, _, version = source.partition("@")
        return name or parts.name, version or parts.version
    if known.joint and parts.namespace:
        return f"{parts.namespace}{known.joint}{parts.name}", parts.version
    return parts.name, parts.version


def _go(name: str, version: str) -> tuple[str, str]:
    """The standard library is ``stdlib``; ``go1.21rc2`` is ``1.21.0-rc.2`` in Go's database."""
    if name not in ("stdlib", "toolchain"):
        return name, version
    version = version.removeprefix("go").partition(" ")[0]
    candidate = _GO_CANDIDATE.fullmatch(version)
    if candidate is not None:
        return name, f"{candidate[1]}{candidate[2] or '.0'}-{candidate[3]}.{candidate[4]}"
    return name, version


def _distribution(base: str, parts: PackageUrl) -> str:
    """The release out of ``distro=debian-12``, in as many numbers as the ecosystem's releases have."""
    found = _RELEASE_NUMBER.search(parts.qualifiers.get("distro", ""))
    if found is None:
        return ""
    numbers = found[0].split(".")
    count = {"Alpine": 2, "Ubuntu": 2}.get(base, 1)
    return ".".join(numbers[:count])

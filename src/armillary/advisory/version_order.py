# SPDX-License-Identifier: Apache-2.0
"""The order of versions, one for each family of ecosystems, from libraries that are kept up to date.

:func:`key_of` gives a value that compares with ``<`` to others of the same order. What a version may look like is
checked here first, by the grammar of its ecosystem, so that no library guesses; a version that is none has no place in
the order (ValueError), and only equals itself, as text.

==========  =============================================================  ==========================================
order       grammar                                                        library
==========  =============================================================  ==========================================
pypi        PEP 440                                                        packaging
semver      semver.org 2.0.0; minor and patch may be missing, leading v    semantic-version (under univers)
debian      deb-version(7)                                                 univers
rpm         [epoch:]version[-release], rpm-version(7)                      univers
apk         apk-package(5) without hashes                                  univers (Gentoo's), see :func:`_apk`
maven       any word; release, final, ga mean nothing                      univers
nuget       semver with up to four numbers                                 univers
gem         RubyGems                                                       univers
==========  =============================================================  ==========================================
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cmp_to_key
from types import MappingProxyType
from typing import Any, Final

from packaging.version import Version as PythonVersion
from semantic_version import Version as SemanticVersion
from univers import debian, gem, gentoo, maven, nuget, rpm

# The longest version in OSV's feeds has about 90 characters; some orders take
# quadratic time, of this length half a millisecond.
MAX_CHARACTERS: Final = 128

_NUMBERS: Final = r"[0-9]+(?:\.[0-9]+)"
_BUILD: Final = r"(?:\+[0-9A-Za-z.-]+)?"  # has no part in the order
_TAIL: Final = r"(?:-[0-9A-Za-z.-]+)?"
_SEMVER: Final = re.compile(rf"[vV]?({_NUMBERS}{{0,2}}{_TAIL}){_BUILD}", re.ASCII)
_NUGET: Final = re.compile(rf"[vV]?({_NUMBERS}{{0,3}}{_TAIL}){_BUILD}", re.ASCII)
_DEBIAN: Final = re.compile(r"(?:[0-9]+:)?[0-9][A-Za-z0-9.+~-]*", re.ASCII)
_RPM: Final = re.compile(r"(?:[0-9]+:)?[A-Za-z0-9._+~^]+(?:-[A-Za-z0-9._+~^]+)?", re.ASCII)
_GEM: Final = re.compile(r"[0-9]+(?:\.[0-9A-Za-z]+)*(?:-[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?", re.ASCII)
_MAVEN: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z._+-]*", re.ASCII)
_MAVEN_NOTHING: Final = re.compile(r"(?:(?<=[0-9])|[.-])(?:release|final|ga)(?=-|$)", re.ASCII | re.IGNORECASE)
# No leading zero in the first number: two versions of apk order those differently. Real ones have one suffix or two.
_APK: Final = re.compile(
    r"(?:0|[1-9][0-9]*)(?:\.[0-9]+)*[a-z]?(?:_(?:alpha|beta|pre|rc|cvs|svn|git|hg|p)[0-9]{0,18}){0,4}(?:-r[0-9]+)?",
    re.ASCII,
)
_APK_LATER: Final = re.compile(r"_(cvs|svn|git|hg|p)([0-9]*)(?![a-z])", re.ASCII)
_APK_RANKS: Final = MappingProxyType({"cvs": 1, "svn": 2, "git": 3, "hg": 4, "p": 5})


def key_of(order: str, version: str) -> Any:
    """The place of a version in an order; ValueError if it has none."""
    if len(version) > MAX_CHARACTERS:
        raise ValueError(f"more than {MAX_CHARACTERS} characters")
    return ORDERS[order](version)


def _matched(pattern: re.Pattern[str], version: str) -> re.Match[str]:
    found = pattern.fullmatch(version)
    if found is None:
        raise ValueError(f"not in the grammar of this order: {version!a:.80}")
    return found


def _pypi(version: str) -> Any:
    if not version.isascii() or version != version.strip():
        raise ValueError("PEP 440 versions are ASCII, and have no spaces here")
    return PythonVersion(version)


def _semver(version: str) -> Any:
    return SemanticVersion.coerce(_matched(_SEMVER, version)[1]).precedence_key


_debian_key: Final = cmp_to_key(debian.compare_version_objects)
_rpm_key: Final = cmp_to_key(rpm.compare_rpm_versions)
_apk_key: Final = cmp_to_key(gentoo.vercmp)


def _debian(version: str) -> Any:
    _matched(_DEBIAN, version)
    return _debian_key(debian.Version.from_string(version))


def _rpm(version: str) -> Any:
    _matched(_RPM, version)
    return _rpm_key(rpm.RpmVersion.from_string(version))


def _apk(version: str) -> Any:
    """Gentoo's order is apk's, but for the suffixes that come after a release: cvs, svn, git, hg and p, in this order.

    Each is written as Gentoo's only one, ``_p``, with its rank before its number.
    """
    _matched(_APK, version)
    return _apk_key(_APK_LATER.sub(lambda found: f"_p{_APK_RANKS[found[1]]}{int(found[2] or 0):018d}", version))


def _maven(version: str) -> Any:
    _matched(_MAVEN, version)
    return maven.Version(_MAVEN_NOTHING.sub("", version))


def _nuget(version: str) -> Any:
    found = nuget.Version.from_string(_matched(_NUGET, version)[1])
    if found is None:
        raise ValueError("not a version of NuGet")
    return found


def _gem(version: str) -> Any:
    _matched(_GEM, version)
    return gem.GemVersion(version)


ORDERS: Final[Mapping[str, Callable[[str], Any]]] = MappingProxyType(
    {
        "pypi": _pypi, "semver": _semver, "debian": _debian, "rpm": _rpm,
        "apk": _apk, "maven": _maven, "nuget": _nuget, "gem": _gem,
    }
)  # fmt: skip

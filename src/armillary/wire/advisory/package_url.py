# SPDX-License-Identifier: Apache-2.0
"""Package URLs: ``pkg:TYPE/NAMESPACE/NAME@VERSION?QUALIFIERS#SUBPATH``, the name of a component across tools.

Parsed from the right, as ECMA-427 says; percent-encoding is undone once. Types are lower case. What ECMA-427 leaves to
each type (whether names are case-sensitive) is decided where names are compared (``armillary.advisory.ecosystem``).

Stricter than ECMA-427: at most :data:`MAX_CHARACTERS`, no control characters after decoding, no slash hidden in an
encoded segment of the namespace, no qualifier twice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final
from urllib.parse import unquote

from armillary.errors import AdvisoryError

WHAT: Final = "package-url"
# Debian's with distribution, architecture and upstream have about 150.
MAX_CHARACTERS: Final = 1024
_TYPE: Final = re.compile(r"[a-z][a-z0-9.-]{0,63}", re.ASCII)
_KEY: Final = re.compile(r"[a-z][a-z0-9._-]{0,63}", re.ASCII)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class PackageUrl:
    """The parts of a package URL, decoded; "" for what it does not have."""

    type: str
    namespace: str
    name: str
    version: str
    qualifiers: Mapping[str, str]
    subpath: str = ""


def parse(text: str) -> PackageUrl:
    """The parts of a package URL; AdvisoryError for text that is none."""
    if len(text) > MAX_CHARACTERS or _CONTROL.search(text):
        raise _fault(f"at most {MAX_CHARACTERS} characters and no control characters", text)
    rest, _, subpath = text.partition("#")
    rest, _, query = rest.partition("?")
    scheme, colon, rest = rest.partition(":")
    if not colon or scheme.lower() != "pkg":
        raise _fault("pkg: at its begin", text)
    kind, slash, rest = rest.strip("/").partition("/")
    kind = kind.lower()
    if not slash or _TYPE.fullmatch(kind) is None:
        raise _fault("a type and a name: pkg:TYPE/NAME", text)
    path, version = _without_version(rest)
    *namespace, name = [_decoded(each, text) for each in path.lstrip("/").split("/")]
    namespace = [each for each in namespace if each]
    if not name or any("/" in each for each in namespace):
        raise _fault("a name", text)
    return PackageUrl(
        kind, "/".join(namespace), name, _decoded(version, text), _qualifiers(query, text), _subpath(subpath, text)
    )


def _without_version(path: str) -> tuple[str, str]:
    """An ``@`` counts behind the last slash only: npm's scopes are often written plain, ``pkg:npm/@scope/name``."""
    before, at, version = path.rpartition("@")
    if not at or ("/" in version and not before.rpartition("/")[2]):
        return path, ""
    return before, version


def _subpath(text: str, whole: str) -> str:
    segments = [_decoded(each, whole) for each in text.strip("/").split("/")]
    return "/".join(each for each in segments if each not in ("", ".", ".."))


def _qualifiers(query: str, whole: str) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for each in query.split("&") if query else ():
        key, _, value = each.partition("=")
        key = key.lower()
        if _KEY.fullmatch(key) is None or key in found:
            raise _fault("qualifiers like key=value, each once", whole)
        if value:
            found[key] = _decoded(value, whole)
    return MappingProxyType(found)


def _decoded(text: str, whole: str) -> str:
    if "%" not in text:
        return text
    try:
        decoded = unquote(text, errors="strict")
    except UnicodeDecodeError as error:
        raise _fault("percent-encoded UTF-8", whole) from error
    if _CONTROL.search(decoded):
        raise _fault("no control characters", whole)
    return decoded


def _fault(expected: str, got: str) -> AdvisoryError:
    return AdvisoryError(WHAT, expected=expected, got=f"{got!a:.120}")

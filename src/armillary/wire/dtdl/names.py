# SPDX-License-Identifier: Apache-2.0
"""Names in DTDL: model identifiers (DTMI), contexts, and the context that holds in an element.

Source: DTDL v2 and v3 §Context, §Digital Twin Model Identifier.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from armillary.wire.dtdl.tables import IOT_CENTRAL, IOT_CENTRAL_PREFIX, QUANTITATIVE_TYPES, RESERVED_PREFIXES, VERSIONS

_SEGMENT = r"[A-Za-z](?:[A-Za-z0-9_]*[A-Za-z0-9])?"
_PATH = rf"dtmi:{_SEGMENT}(?::{_SEGMENT})*"
_IDENTIFIER: Mapping[int, re.Pattern[str]] = {
    2: re.compile(rf"{_PATH};[1-9][0-9]{{0,8}}\Z"),
    3: re.compile(rf"{_PATH}(?:;[1-9][0-9]{{0,8}}(?:\.[1-9][0-9]{{0,5}})?)?\Z"),
}
NAME = re.compile(r"[A-Za-z](?:[A-Za-z0-9_]*[A-Za-z0-9])?\Z")
LANGUAGE = re.compile(r"[a-z]{2,4}(?:-[A-Z][a-z]{3})?(?:-(?:[A-Z]{2}|[0-9]{3}))?\Z")

CONTEXT_PREFIX = "dtmi:dtdl:context;"

# Extensions that this program knows, and the versions of DTDL they are for.
EXTENSIONS: Mapping[str, tuple[int, ...]] = {IOT_CENTRAL: (2, 3), QUANTITATIVE_TYPES: (3,)}


def is_identifier(text: str, version: int) -> bool:
    """Whether ``text`` is a DTMI that a model may have."""
    return _IDENTIFIER[version].match(text) is not None


@dataclass(frozen=True, slots=True)
class Context:
    """The context that holds in an element."""

    version: int  # of DTDL
    extensions: Mapping[str, str] = field(default_factory=dict)  # name without version -> whole identifier

    @property
    def is_incomplete(self) -> bool:
        """Whether an extension is in context that this program does not know."""
        return any(each not in EXTENSIONS for each in self.extensions.values())

    def has(self, extension: str) -> bool:
        """Whether a known extension is in context and for this version of DTDL."""
        return self.version in EXTENSIONS[extension] and extension in self.extensions.values()

    @property
    def reserved_prefixes(self) -> tuple[str, ...]:
        """Prefixes that no model's identifier may have: DTDL's, and IoT Central's where its extension is in context."""
        return (*RESERVED_PREFIXES, IOT_CENTRAL_PREFIX) if self.has(IOT_CENTRAL) else RESERVED_PREFIXES

    def extended(self, values: tuple[str, ...]) -> Context:
        """The context of a nested element whose own ``@context`` has ``values``; the last of each name holds."""
        version, extensions = self.version, dict(self.extensions)
        for value in values:
            if value.startswith(CONTEXT_PREFIX):
                version = context_version(value) or version
            else:
                extensions[value.partition(";")[0]] = value
        return Context(version, extensions)


def context_version(value: str) -> int | None:
    """The version of DTDL that a context names; None for one that this program does not know."""
    return next((version for version in VERSIONS if value == f"{CONTEXT_PREFIX}{version}"), None)

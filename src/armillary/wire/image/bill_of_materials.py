# SPDX-License-Identifier: Apache-2.0
"""Software bills of materials in CycloneDX's JSON form (ECMA-424): what is read of one before it is kept, and shown.

A document is kept byte for byte as it was given; here it is checked that it is one, so that whoever fetches it later
gets what it says it is: strict JSON, ``bomFormat`` CycloneDX, a specification version that has a JSON form, a version,
and components that each have a type and a name (``components`` nest). Everything else is left to tools that read it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from armillary.errors import InvalidArgumentError, ManifestError
from armillary.wire.image.app_manifest import decode_json

# A Debian root file system of 300 packages is about 1 MB.
MAX_BYTES: Final = 8 << 20
MAX_COMPONENTS: Final = 50_000
MAX_DEPTH: Final = 64
MAX_NAME_CHARACTERS: Final = 1024
SPEC_VERSIONS: Final = ("1.2", "1.3", "1.4", "1.5", "1.6", "1.7")
MEDIA_TYPE: Final = "application/vnd.cyclonedx+json"
# ECMA-424 §"component type"
COMPONENT_TYPES: Final = frozenset(
    {
        "application", "framework", "library", "container", "platform", "operating-system", "device", "device-driver",
        "firmware", "file", "machine-learning-model", "data", "cryptographic-asset",
    }
)  # fmt: skip
_SERIAL: Final = re.compile(r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII)
_REMEDY: Final = "Write it with a CycloneDX tool as JSON, specification version 1.2 or newer."


@dataclass(frozen=True, slots=True)
class BillOfMaterials:
    """What a document says of itself: its specification's version and how many components it lists."""

    spec_version: str
    components: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BillComponent:
    """A component as it is shown: what its document says of it, "" for what it does not say or says in no text.

    Attributes:
        name: With its ``group`` before it, where it has one: ``org.apache/commons``.
        depth: In how many other components it is.
        licences: Identifiers, names or expressions.
    """

    name: str
    version: str
    kind: str
    purl: str
    licences: tuple[str, ...]
    depth: int


def read_bill(data: bytes) -> BillOfMaterials:
    """Check a CycloneDX document in JSON.

    Raises:
        InvalidArgumentError: it is too large or none; the message says where and what.
    """
    try:
        document = decode_json(data, what="bill of materials", limit=MAX_BYTES)
    except ManifestError as error:
        raise InvalidArgumentError(error.message[:256], remedy=_REMEDY) from error
    if document.get("bomFormat") != "CycloneDX":
        raise _fault("bomFormat", "CycloneDX", _shown(document.get("bomFormat")))
    spec_version = document.get("specVersion")
    if spec_version not in SPEC_VERSIONS:
        raise _fault("specVersion", f"one of {', '.join(SPEC_VERSIONS)}", _shown(spec_version))
    version = document.get("version", 1)
    if type(version) is not int or version < 1:
        raise _fault("version", "a number from 1", _shown(version))
    serial = document.get("serialNumber")
    if serial is not None and not (isinstance(serial, str) and _SERIAL.fullmatch(serial)):
        raise _fault("serialNumber", "urn:uuid: and a UUID", _shown(serial))
    count = 0
    for _ in _components(document.get("components", []), "components", 0):
        count += 1
        if count > MAX_COMPONENTS:
            raise _fault("components", f"at most {MAX_COMPONENTS}", "more")
    return BillOfMaterials(spec_version, count)


def components_of(document: bytes) -> tuple[BillComponent, ...]:
    """The components of a document that :func:`read_bill` took, in its order, those within one after it.

    Only what it takes is relied on; texts are cut at :data:`MAX_NAME_CHARACTERS`.
    """
    found: list[BillComponent] = []
    _add_shown(found, json.loads(document).get("components", []), 0)
    return tuple(found)


def _add_shown(found: list[BillComponent], components: list[Mapping[str, Any]], depth: int) -> None:
    for each in components:
        group, name = _text(each.get("group")), _text(each["name"])
        found.append(
            BillComponent(
                name=f"{group}/{name}" if group else name,
                version=_text(each.get("version")),
                kind=_text(each["type"]),
                purl=_text(each.get("purl")),
                licences=tuple(_licences(each.get("licenses"))),
                depth=depth,
            )
        )
        _add_shown(found, each.get("components", []), depth + 1)


def _licences(value: object) -> Iterator[str]:
    """ECMA-424 "licenses": ``{"license": {"id"}}``, ``{"license": {"name"}}`` or ``{"expression"}``."""
    for each in value if isinstance(value, list) else ():
        given = each.get("license") if isinstance(each, dict) else None
        inner = given if isinstance(given, dict) else {}
        said = [inner.get("id"), inner.get("name"), each.get("expression") if isinstance(each, dict) else None]
        yield from [text for text in map(_text, said) if text][:1]


def _text(value: object) -> str:
    return value[:MAX_NAME_CHARACTERS] if isinstance(value, str) else ""


def _components(value: Any, path: str, depth: int) -> Iterator[None]:
    """Each component of a list, and those within it, checked."""
    if not isinstance(value, list):
        raise _fault(path, "a list", _kind(value))
    if depth >= MAX_DEPTH:
        raise _fault(path, f"at most {MAX_DEPTH} levels", "more")
    for number, each in enumerate(value):
        here = f"{path}[{number}]"
        if not isinstance(each, dict):
            raise _fault(here, "an object", _kind(each))
        if not isinstance(each.get("type"), str) or each["type"] not in COMPONENT_TYPES:
            raise _fault(f"{here}.type", "a component type of CycloneDX", _shown(each.get("type")))
        name = each.get("name")
        if not isinstance(name, str) or not 1 <= len(name) <= MAX_NAME_CHARACTERS:
            raise _fault(f"{here}.name", f"text of 1 to {MAX_NAME_CHARACTERS} characters", _shown(name))
        yield
        if "components" in each:
            yield from _components(each["components"], f"{here}.components", depth + 1)


def _kind(value: object) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"


def _shown(value: object) -> str:
    return "nothing" if value is None else f"{value!a:.60}"


def _fault(path: str, expected: str, got: str) -> InvalidArgumentError:
    return InvalidArgumentError(f"bill of materials: {path}: expected {expected}, got {got}", remedy=_REMEDY)

# SPDX-License-Identifier: Apache-2.0
"""Software bills of materials in CycloneDX's JSON form (ECMA-424) or SPDX's: what is read of one, and shown.

A document is kept byte for byte as it was given; here it is checked that it is one, so that whoever fetches it later
gets what it says it is: strict JSON, ``bomFormat`` CycloneDX, a specification version that has a JSON form, a version,
and components that each have a type and a name (``components`` nest). Everything else is left to tools that read it.
A document with ``spdxVersion`` instead is SPDX (``spdx_document.py``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from armillary.errors import InvalidArgumentError, ManifestError
from armillary.wire.image.app_manifest import decode_json
from armillary.wire.image.bill_component import (
    MAX_COMPONENTS,
    MAX_NAME_CHARACTERS,
    REMEDY,
    SPDX_VERSIONS,
    BillComponent,
    fault,
    kind,
    shown,
    text_of,
)
from armillary.wire.image.naming import is_version

# A Debian root file system of 300 packages is about 1 MB.
MAX_BYTES: Final = 8 << 20
MAX_DEPTH: Final = 64
SPEC_VERSIONS: Final = ("1.2", "1.3", "1.4", "1.5", "1.6", "1.7")
MEDIA_TYPE: Final = "application/vnd.cyclonedx+json"
SPDX_MEDIA_TYPE: Final = "application/spdx+json"
# ECMA-424 §"component type"
COMPONENT_TYPES: Final = frozenset(
    {
        "application", "framework", "library", "container", "platform", "operating-system", "device", "device-driver",
        "firmware", "file", "machine-learning-model", "data", "cryptographic-asset",
    }
)  # fmt: skip
_SERIAL: Final = re.compile(r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII)


@dataclass(frozen=True, slots=True)
class BillOfMaterials:
    """What a document says of itself: its specification's version and how many components it lists.

    ``spec_version`` is CycloneDX's number, ``1.6``, or SPDX's whole word, ``SPDX-2.3``.
    """

    spec_version: str
    components: int


def read_bill(data: bytes) -> BillOfMaterials:
    """Check a document in JSON.

    Raises:
        InvalidArgumentError: it is too large or none; the message says where and what.
    """
    try:
        document = decode_json(data, what="bill of materials", limit=MAX_BYTES)
    except ManifestError as error:
        raise InvalidArgumentError(error.message[:256], remedy=REMEDY) from error
    if "spdxVersion" in document and "bomFormat" not in document:
        from armillary.wire.image import spdx_document  # noqa: PLC0415 - loaded once somebody brings one

        count = spdx_document.check(document)
        return BillOfMaterials(document["spdxVersion"], count)
    if document.get("bomFormat") != "CycloneDX":
        raise fault("bomFormat", "CycloneDX", shown(document.get("bomFormat")))
    spec_version = document.get("specVersion")
    if spec_version not in SPEC_VERSIONS:
        raise fault("specVersion", f"one of {', '.join(SPEC_VERSIONS)}", shown(spec_version))
    version = document.get("version", 1)
    if type(version) is not int or version < 1:
        raise fault("version", "a number from 1", shown(version))
    serial = document.get("serialNumber")
    if serial is not None and not (isinstance(serial, str) and _SERIAL.fullmatch(serial)):
        raise fault("serialNumber", "urn:uuid: and a UUID", shown(serial))
    count = 0
    for _ in _components(document.get("components", []), "components", 0):
        count += 1
        if count > MAX_COMPONENTS:
            raise fault("components", f"at most {MAX_COMPONENTS}", "more")
    return BillOfMaterials(spec_version, count)


def components_of(document: bytes) -> tuple[BillComponent, ...]:
    """The components of a document that :func:`read_bill` took, in its order, those within one after it.

    Only what it takes is relied on; texts are cut at :data:`MAX_NAME_CHARACTERS`.
    """
    decoded = json.loads(document.decode("utf-8-sig"))
    if "bomFormat" not in decoded:
        from armillary.wire.image import spdx_document  # noqa: PLC0415 - loaded once somebody shows one

        return tuple(spdx_document.components(decoded))
    found: list[BillComponent] = []
    _add_shown(found, decoded.get("components", []), 0)
    return tuple(found)


def described_version(document: bytes) -> str:
    """The version of what a document that :func:`read_bill` took describes; "" where it says none that is one.

    CycloneDX has it at ``metadata.component.version``; SPDX says it of packages alone.
    """
    metadata = json.loads(document.decode("utf-8-sig")).get("metadata")
    described = metadata.get("component") if isinstance(metadata, dict) else None
    version = described.get("version") if isinstance(described, dict) else None
    return version if isinstance(version, str) and is_version(version) else ""


def media_type_of(spec_version: str) -> str:
    """The media type of a document with this specification's version."""
    return SPDX_MEDIA_TYPE if spec_version in SPDX_VERSIONS else MEDIA_TYPE


def title_of(spec_version: str) -> str:
    """Format and version for people: ``CycloneDX 1.6``, ``SPDX 2.3``."""
    return spec_version.replace("-", " ") if spec_version in SPDX_VERSIONS else f"CycloneDX {spec_version}"


def _add_shown(found: list[BillComponent], components: list[Mapping[str, Any]], depth: int) -> None:
    for each in components:
        group, name = text_of(each.get("group")), text_of(each["name"])
        found.append(
            BillComponent(
                name=f"{group}/{name}" if group else name,
                version=text_of(each.get("version")),
                kind=text_of(each["type"]),
                purl=text_of(each.get("purl")),
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
        yield from [text for text in map(text_of, said) if text][:1]


def _components(value: Any, path: str, depth: int) -> Iterator[None]:
    """Each component of a list, and those within it, checked."""
    if not isinstance(value, list):
        raise fault(path, "a list", kind(value))
    if depth >= MAX_DEPTH:
        raise fault(path, f"at most {MAX_DEPTH} levels", "more")
    for number, each in enumerate(value):
        here = f"{path}[{number}]"
        if not isinstance(each, dict):
            raise fault(here, "an object", kind(each))
        if not isinstance(each.get("type"), str) or each["type"] not in COMPONENT_TYPES:
            raise fault(f"{here}.type", "a component type of CycloneDX", shown(each.get("type")))
        name = each.get("name")
        if not isinstance(name, str) or not 1 <= len(name) <= MAX_NAME_CHARACTERS:
            raise fault(f"{here}.name", f"text of 1 to {MAX_NAME_CHARACTERS} characters", shown(name))
        yield
        if "components" in each:
            yield from _components(each["components"], f"{here}.components", depth + 1)

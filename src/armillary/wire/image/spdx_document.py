# SPDX-License-Identifier: Apache-2.0
"""Software bills of materials in SPDX's JSON form: what is read of one before it is kept, and its packages.

::

    spdxVersion   "SPDX-2.2" or "SPDX-2.3"
    SPDXID, name, creationInfo {created, creators[]}      required, not read further
    packages[]    SPDXID, name; versionInfo, licenseConcluded, licenseDeclared, primaryPackagePurpose
      .externalRefs[]  referenceCategory PACKAGE-MANAGER (PACKAGE_MANAGER), referenceType purl, referenceLocator

    relationships[]  relationshipType DESCRIBES of SPDXRef-DOCUMENT, or documentDescribes[]: what the document is of

Where the document describes one package that has no package URL, that is the image itself and no part of it. Other
relationships, files and snippets are left to tools that read them: they name no package that is not in ``packages``.

Source: SPDX 2.3, clauses 6 and 7 (ISO/IEC 5962:2021 is 2.2.1).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from armillary.wire.image.bill_component import (
    MAX_COMPONENTS,
    MAX_NAME_CHARACTERS,
    SPDX_VERSIONS,
    BillComponent,
    fault,
    kind,
    shown,
    text_of,
)

_ID: Final = re.compile(r"SPDXRef-[A-Za-z0-9.+-]{1,1000}", re.ASCII)
_MANAGERS: Final = frozenset({"PACKAGE-MANAGER", "PACKAGE_MANAGER"})
# What stands where a licence is not known, or there is none.
_NO_LICENCE: Final = frozenset({"", "NOASSERTION", "NONE"})


def check(document: Mapping[str, Any]) -> int:
    """How many packages a decoded document lists; InvalidArgumentError says where it is none."""
    if document.get("spdxVersion") not in SPDX_VERSIONS:
        raise fault("spdxVersion", f"one of {', '.join(SPDX_VERSIONS)}", shown(document.get("spdxVersion")))
    if document.get("SPDXID") != "SPDXRef-DOCUMENT":
        raise fault("SPDXID", "SPDXRef-DOCUMENT", shown(document.get("SPDXID")))
    if not isinstance(document.get("creationInfo"), dict):
        raise fault("creationInfo", "an object", kind(document.get("creationInfo")))
    packages = document.get("packages", [])
    if not isinstance(packages, list):
        raise fault("packages", "a list", kind(packages))
    if len(packages) > MAX_COMPONENTS:
        raise fault("packages", f"at most {MAX_COMPONENTS}", "more")
    ids: set[str] = set()
    for number, each in enumerate(packages):
        _check_package(each, f"packages[{number}]", ids)
    return sum(1 for _ in _parts(document))


def _check_package(value: object, here: str, ids: set[str]) -> None:
    if not isinstance(value, dict):
        raise fault(here, "an object", kind(value))
    own, name = value.get("SPDXID"), value.get("name")
    if not isinstance(own, str) or _ID.fullmatch(own) is None or own in ids:
        raise fault(f"{here}.SPDXID", "SPDXRef- and letters, digits, dots, dashes, each once", shown(own))
    ids.add(own)
    if not isinstance(name, str) or not 1 <= len(name) <= MAX_NAME_CHARACTERS:
        raise fault(f"{here}.name", f"text of 1 to {MAX_NAME_CHARACTERS} characters", shown(name))
    if not isinstance(value.get("externalRefs", []), list):
        raise fault(f"{here}.externalRefs", "a list", kind(value["externalRefs"]))


def components(document: Mapping[str, Any]) -> Iterator[BillComponent]:
    """The packages of a document that :func:`check` took, in its order."""
    for each in _parts(document):
        licences = (text_of(each.get(word)) for word in ("licenseConcluded", "licenseDeclared"))
        yield BillComponent(
            name=each["name"],
            version=text_of(each.get("versionInfo")),
            kind=text_of(each.get("primaryPackagePurpose")).lower().replace("_", "-") or "package",
            purl=next(_package_urls(each), ""),
            licences=tuple([one for one in licences if one not in _NO_LICENCE][:1]),
            depth=0,
        )


def _parts(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    described = set(_described(document))
    for each in document.get("packages", []):
        if described != {each["SPDXID"]} or next(_package_urls(each), ""):
            yield each


def _described(document: Mapping[str, Any]) -> Iterator[str]:
    """Ids of what the document says that it describes; whatever is no list or text says nothing."""
    for word in ("documentDescribes", "relationships"):
        given = document.get(word)
        for each in given if isinstance(given, list) else ():
            if isinstance(each, dict) and each.get("relationshipType") == "DESCRIBES":
                yield text_of(each.get("relatedSpdxElement"))
            elif isinstance(each, str):
                yield each


def _package_urls(package: Mapping[str, Any]) -> Iterator[str]:
    for each in package.get("externalRefs", []):
        if (
            isinstance(each, dict)
            and each.get("referenceType") == "purl"
            and each.get("referenceCategory") in _MANAGERS
        ):
            yield text_of(each.get("referenceLocator"))

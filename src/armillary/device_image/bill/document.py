# SPDX-License-Identifier: Apache-2.0
"""The bill of materials of an image as CycloneDX 1.6, JSON, of what the builder itself put in. No time, no chance."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from armillary import __version__
from armillary.device_image.bill.part import Part
from armillary.device_image.distributions import version_of
from armillary.device_image.recipe import Recipe
from armillary.wire.disk.gpt_writing import named_guid


def bill_of_materials(
    recipe: Recipe,
    parts: Iterable[Part],
    requirements: Mapping[str, str],
    *,
    own: Mapping[str, Path],
    root_hash: str,
) -> bytes:
    """All parts with their versions, package URLs and digests, Python packages, and our own modules as one component.

    A part that is in several others stands once.
    """
    components = [_component(part) for part in {each.url: each for each in parts}.values()]
    components += [_python(name, version_of(requirement)) for name, requirement in requirements.items()]
    digest = hashlib.sha256()
    for inside, path in own.items():
        digest.update(f"{inside}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    components.append(
        {
            "type": "library",
            "bom-ref": "armillary",
            "name": "armillary",
            "version": __version__,
            "purl": f"pkg:pypi/armillary@{__version__}",
            "hashes": [{"alg": "SHA-256", "content": digest.hexdigest()}],
        }
    )
    components.sort(key=lambda component: str(component["bom-ref"]))
    content = hashlib.sha256(json.dumps(components).encode()).hexdigest()
    whole = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{named_guid(f'bill of {root_hash} {content}')}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "operating-system",
                "bom-ref": "device-image",
                "name": "armillary-device-image",
                "version": recipe.version,
                "hashes": [{"alg": "SHA-256", "content": root_hash}],
            }
        },
        "components": components,
    }
    return json.dumps(whole, indent=1).encode() + b"\n"


def _component(part: Part) -> dict[str, object]:
    found: dict[str, object] = {
        "type": "library", "bom-ref": part.url, "name": part.name, "version": part.version, "purl": part.url,
    }  # fmt: skip
    if part.sha256:
        found["hashes"] = [{"alg": "SHA-256", "content": part.sha256}]
    if part.notes:
        found["description"] = part.notes
    return found


def _python(name: str, version: str) -> dict[str, object]:
    url = f"pkg:pypi/{name}@{version}"
    return {"type": "library", "bom-ref": url, "name": name, "version": version, "purl": url}

# SPDX-License-Identifier: Apache-2.0
"""The bill of materials of an image: CycloneDX 1.6 as JSON, of what the builder itself put in. No time, no chance."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import quote

from armillary import __version__
from armillary.device_image.distributions import version_of
from armillary.device_image.recipe import Pin, Recipe
from armillary.wire.disk.gpt_writing import named_guid


def bill_of_materials(
    recipe: Recipe,
    pins: Iterable[Pin],
    requirements: Mapping[str, str],
    *,
    architecture: str,
    own: Mapping[str, Path],
    root_hash: str,
) -> bytes:
    """All packages with their versions, package URLs and digests, and our own modules as one component."""
    components = [_debian(pin, architecture) for pin in pins]
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
    whole = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{named_guid(f'bill of {root_hash}')}",
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
        "components": sorted(components, key=lambda component: str(component["bom-ref"])),
    }
    return json.dumps(whole, indent=1).encode() + b"\n"


def _debian(pin: Pin, architecture: str) -> dict[str, object]:
    url = f"pkg:deb/debian/{pin.name}@{quote(pin.version, safe='')}?arch={architecture}"
    digests = [{"alg": "SHA-256", "content": pin.sha256}]
    return {
        "type": "library", "bom-ref": url, "name": pin.name, "version": pin.version, "purl": url, "hashes": digests,
    }  # fmt: skip


def _python(name: str, version: str) -> dict[str, object]:
    url = f"pkg:pypi/{name}@{version}"
    return {"type": "library", "bom-ref": url, "name": name, "version": version, "purl": url}

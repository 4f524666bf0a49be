# SPDX-License-Identifier: Apache-2.0
"""Answers of the DDI as JSON-able documents: what a controller is to do, a deployment's artifacts, a cancellation.

``root`` is the address of the controller, ``https://HOST/TENANT/controller/v1/ID``. swupdate makes some addresses of it
by itself instead of following links, so paths are hawkBit's to the letter. Ids are texts that are whole numbers: RAUC's
updater reads texts, swupdate numbers in texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from armillary.wire.hawkbit.artifact import MD5_SUFFIX

Document = dict[str, Any]
# "HH:MM:SS", which clients read with strptime.
MIN_POLLING_S: Final = 1
MAX_POLLING_S: Final = 24 * 3600 - 1
# An update that the controller is told to install now. hawkBit's other words: attempt (may wait), skip.
FORCED: Final = "forced"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """One artifact of a deployment: a chunk of DDI with one file. Digests are bytes."""

    image_id: UUID
    part: str
    name: str
    version: str
    filename: str
    size: int  # Bytes
    sha256: bytes
    sha1: bytes
    md5: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """What a controller is to do next, as numbers of actions; None for nothing."""

    deployment: int | None = None
    cancel: int | None = None
    installed: int | None = None
    config_data: bool = False  # Whether it is to send its attributes


def controller_base(root: str, polling_s: int, links: Links) -> Document:
    """What ``GET {root}`` answers."""
    found: Document = {}
    if links.cancel is not None:
        found["cancelAction"] = _link(f"{root}/cancelAction/{links.cancel}")
    elif links.deployment is not None:
        found["deploymentBase"] = _link(f"{root}/deploymentBase/{links.deployment}")
    if links.installed is not None:
        found["installedBase"] = _link(f"{root}/installedBase/{links.installed}")
    if links.config_data:
        found["configData"] = _link(f"{root}/configData")
    return {"config": {"polling": {"sleep": sleep_text(polling_s)}}, "_links": found}


def deployment_base(root: str, action: int, chunks: Sequence[Chunk]) -> Document:
    """What ``GET {root}/deploymentBase/{action}`` and ``.../installedBase/{action}`` answer."""
    return {
        "id": str(action),
        "deployment": {
            "download": FORCED,
            "update": FORCED,
            "chunks": [
                {
                    "part": each.part,
                    "version": each.version,
                    "name": each.name,
                    "artifacts": [artifact(root, each)],
                }
                for each in chunks
            ],
        },
    }


def artifact(root: str, chunk: Chunk) -> Document:
    """The file of a chunk, with its address."""
    place = f"{root}/softwaremodules/{chunk.image_id}/artifacts/{chunk.filename}"
    return {
        "filename": chunk.filename,
        "hashes": {"sha1": chunk.sha1.hex(), "md5": chunk.md5.hex(), "sha256": chunk.sha256.hex()},
        "size": chunk.size,
        "_links": {"download": _link(place), "md5sum": _link(place + MD5_SUFFIX)},
    }


def cancel_action(action: int) -> Document:
    """What ``GET {root}/cancelAction/{action}`` answers."""
    return {"id": str(action), "cancelAction": {"stopId": str(action)}}


def md5_sum(chunk: Chunk) -> str:
    """The content of a ``.MD5SUM`` file, as ``md5sum`` reads it."""
    return f"{chunk.md5.hex()}  {chunk.filename}"


def sleep_text(seconds: int) -> str:
    """A time between polls as ``HH:MM:SS``, within :data:`MIN_POLLING_S` and :data:`MAX_POLLING_S`."""
    bounded = min(max(seconds, MIN_POLLING_S), MAX_POLLING_S)
    minutes, rest = divmod(bounded, 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest:02}"


def _link(address: str) -> Document:
    return {"href": address}

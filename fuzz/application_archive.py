# SPDX-License-Identifier: Apache-2.0
"""Archives of applications: any bytes are files within the limits or a WireError; what was read is packed the same."""

from __future__ import annotations

import json

from armillary.errors import WireError
from armillary.wire.export import application_archive as archive
from armillary.wire.export.application_archive import (
    decode_manifest,
    encode_manifest,
    make_manifest,
    pack_zip,
    unpack_zip,
)


def seeds() -> list[bytes]:
    manifest = encode_manifest(make_manifest({"group": 1, "job": 1}, made_by="armillary 0"))
    files = {archive.MANIFEST: manifest, "group/a.json": b'{"name": "A"}\n', "job/b.json": b"{}\n" * 40}
    return [pack_zip(files), pack_zip({}), pack_zip({"group/a.json": bytes(5000)}), manifest]


def fuzz(data: bytes) -> None:
    try:
        files = unpack_zip(data)
    except WireError:
        files = {}
    assert len(files) <= archive.MAX_FILES
    assert sum(map(len, files.values())) <= archive.MAX_TOTAL_BYTES
    assert unpack_zip(pack_zip(files)) == files
    try:
        manifest = decode_manifest(data)
    except WireError:
        return
    assert json.loads(encode_manifest(manifest)) == manifest

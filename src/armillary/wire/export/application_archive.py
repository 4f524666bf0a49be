# SPDX-License-Identifier: Apache-2.0
"""Archives of the platform's documents: files ``KIND/ID.json`` and a manifest, in a folder or in a zip file.

``application.json`` is the manifest: ``{"format": 1, "made_by": "armillary 0.1.0", "kinds": {"group": 1, ...}}``, where
each kind has the version of its bodies. An archive is untrusted: nothing in it decides where a file is written, and no
size that it states is relied on.

Zip: APPNOTE.TXT 6.3.10; stored and deflated members only.
"""

from __future__ import annotations

import io
import json
import stat
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any, Final

from armillary.errors import WireError

FORMAT: Final = "application-archive"
MANIFEST: Final = "application.json"
MANIFEST_FORMAT: Final = 1
# Version of the bodies of every kind that there is.
KIND_VERSION: Final = 1

# A hundred templates of 200 KB each, and as much again of everything else.
MAX_TOTAL_BYTES: Final = 32 << 20
MAX_ARCHIVE_BYTES: Final = 32 << 20
MAX_FILE_BYTES: Final = 2 << 20
MAX_FILES: Final = 20_000
MAX_PATH_CHARACTERS: Final = 256
# Deflate makes at most 1,032 of 1; JSON gets to 50.
CHUNK_BYTES: Final = 64 << 10

_REMEDY: Final = "Export the application again; nothing of the archive was used."
# The first moment that a zip file can name: the same application makes the same bytes.
_MOMENT: Final = (1980, 1, 1, 0, 0, 0)
_REGULAR: Final = (stat.S_IFREG | 0o644) << 16


def make_manifest(kinds: Mapping[str, int], *, made_by: str) -> dict[str, Any]:
    """The manifest of an export with these kinds."""
    return {"format": MANIFEST_FORMAT, "made_by": made_by, "kinds": dict(sorted(kinds.items()))}


def check_manifest(manifest: object) -> None:
    """Check that this version can read a manifest.

    Raises WireError if it is not a manifest, of a later format, or with bodies of a later version.
    """
    if not isinstance(manifest, Mapping) or set(manifest) - {"format", "made_by", "kinds"}:
        raise _refused("a manifest with format, made_by and kinds", repr(manifest)[:80])
    if manifest.get("format") != MANIFEST_FORMAT:
        raise _refused(f"format {MANIFEST_FORMAT}", repr(manifest.get("format"))[:40])
    kinds = manifest.get("kinds")
    if not isinstance(kinds, Mapping):
        raise _refused("kinds with their versions", repr(kinds)[:80])
    for kind, version in kinds.items():
        if isinstance(version, bool) or not isinstance(version, int) or not 1 <= version <= KIND_VERSION:
            raise _refused(f"bodies of {kind!s:.40} of version 1 to {KIND_VERSION}", repr(version)[:40])


def encode_manifest(manifest: Mapping[str, Any]) -> bytes:
    """A manifest as a file."""
    return (json.dumps(manifest, indent=2, sort_keys=True) + "\n").encode()


def decode_manifest(content: bytes) -> dict[str, Any]:
    """A manifest from its file; raises WireError if it is no JSON, and as :func:`check_manifest`."""
    try:
        manifest = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise _refused("a manifest in JSON", str(error)[:100]) from None
    check_manifest(manifest)
    found: dict[str, Any] = manifest
    return found


def check_path(path: str) -> str:
    """``path``, if it stays inside an archive.

    Raises WireError if it is absolute or has ``..``, backslashes, drives, controls or empty parts.
    """
    parts = path.split("/")
    bad = not path or len(path) > MAX_PATH_CHARACTERS or any(each in ("", ".", "..") for each in parts)
    if bad or any(ord(each) < 0x20 or each in '\\:*?"<>|\x7f' for each in path):
        raise _refused("a path inside the archive", ascii(path)[:100])
    return path


def pack_zip(files: Mapping[str, bytes]) -> bytes:
    """Files as a zip file; the same files are the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(files):
            info = zipfile.ZipInfo(check_path(path), _MOMENT)
            info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, _REGULAR
            archive.writestr(info, files[path])
    return buffer.getvalue()


def unpack_zip(data: bytes) -> dict[str, bytes]:
    """The files of a zip file, in memory.

    Raises:
        WireError: not a zip file, or one with links, paths that lead out, the same path twice, encrypted members, or
            more than the limits, whatever sizes it states.
    """
    if len(data) > MAX_ARCHIVE_BYTES:
        raise _refused(f"at most {MAX_ARCHIVE_BYTES} bytes", str(len(data)))
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _unpack(archive)
    except (
        zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, ValueError, OSError, OverflowError,
        IndexError, KeyError,
    ) as error:  # fmt: skip
        raise _refused("a zip file", f"{type(error).__name__}: {error!s:.100}") from error


def _unpack(archive: zipfile.ZipFile) -> dict[str, bytes]:
    members = archive.infolist()
    if len(members) > MAX_FILES:
        raise _refused(f"at most {MAX_FILES} files", str(len(members)))
    found: dict[str, bytes] = {}
    seen: set[str] = set()
    left = MAX_TOTAL_BYTES
    for info in members:
        if info.is_dir():
            continue
        path = check_path(info.orig_filename)
        _check_member(info, path)
        if path.casefold() in seen:  # one file where the file system ignores case
            raise _refused("each path once", ascii(path)[:100])
        seen.add(path.casefold())
        found[path] = _read(archive, info, min(MAX_FILE_BYTES, left))
        left -= len(found[path])
    return found


def _check_member(info: zipfile.ZipInfo, path: str) -> None:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        raise _refused("ordinary files", f"a link or device: {ascii(path)[:100]}")
    if info.flag_bits & 0x41:  # encrypted, strongly or not
        raise _refused("files that are not encrypted", ascii(path)[:100])
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise _refused("stored or deflated files", f"method {info.compress_type}")


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo, most: int) -> bytes:
    """A member's content, read only as far as it may go."""
    parts: list[bytes] = []
    size = 0
    with archive.open(info) as member:
        while part := member.read(CHUNK_BYTES):
            size += len(part)
            if size > most:
                raise _refused(
                    f"at most {MAX_FILE_BYTES} bytes a file and {MAX_TOTAL_BYTES} together",
                    f"more in {ascii(info.orig_filename)[:80]}",
                )
            parts.append(part)
    return b"".join(parts)


def _refused(expected: str, got: str) -> WireError:
    return WireError(FORMAT, expected=expected, got=got, remedy=_REMEDY)

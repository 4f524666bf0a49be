# SPDX-License-Identifier: Apache-2.0
"""The root partition's content: an EROFS file system, and behind it the verity tree that its root hash stands for."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from armillary.device_image.tools import MADE_AT, digest_of, run
from armillary.device_image.tree import Tree
from armillary.errors import HostError
from armillary.wire.device_image.command_line import VerifiedRoot
from armillary.wire.disk.gpt_writing import named_guid

BLOCK_BYTES: Final = 4096
PROGRAMS: Final = ("mkfs.erofs", "veritysetup")
_HASH: Final = re.compile(r"^Root hash:\s*([0-9a-f]{64})$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class RootImage:
    """A finished root partition's content: its file, what binds it, and bytes of files by component."""

    file: Path
    verified: VerifiedRoot
    sizes: Mapping[str, int]


def make_root(tree: Tree, file: Path, *, name: str) -> RootImage:
    """Write a tree as EROFS with its verity tree. The salt is made of the content: equal trees give equal files."""
    with tempfile.TemporaryDirectory(prefix="armillary-root-") as folder:
        tree.write(Path(folder) / "root")
        plain = Path(folder) / "root.erofs"
        run(
            [
                *("mkfs.erofs", "--quiet", "-zlz4hc,9", "-C65536", f"-T{MADE_AT}", "--all-root"),
                *("-U", str(named_guid(f"{name}/file system")), plain, Path(folder) / "root"),
            ]
        )
        data = plain.read_bytes()
    data += bytes(-len(data) % BLOCK_BYTES)
    salt = hashlib.sha256(b"armillary verity salt\0" + data).hexdigest()
    return RootImage(file, add_tree(data, file, salt=salt), tree.sizes())


def add_tree(data: bytes, file: Path, *, salt: str) -> VerifiedRoot:
    """Write ``data`` (whole blocks) and its verity tree behind it; HostError if veritysetup fails, and no file then."""
    try:
        return _with_tree(data, file, salt)
    except (OSError, HostError):
        file.unlink(missing_ok=True)
        raise


def _with_tree(data: bytes, file: Path, salt: str) -> VerifiedRoot:
    blocks = len(data) // BLOCK_BYTES
    file.write_bytes(data)
    said = run(
        [
            *("veritysetup", "format", "--no-superblock", "--hash=sha256", f"--salt={salt}"),
            *(f"--data-block-size={BLOCK_BYTES}", f"--hash-block-size={BLOCK_BYTES}", f"--data-blocks={blocks}"),
            *(f"--hash-offset={len(data)}", file, file),
        ]
    ).decode("utf-8", "replace")
    match = _HASH.search(said)
    if match is None:
        raise HostError(f"veritysetup said no root hash: {said:.200}", remedy="Use the version of Debian 13.")
    return VerifiedRoot(match[1], salt, blocks)


def remember(image: RootImage) -> None:
    """Write beside the file what belongs to it, so that a later build takes it as it is."""
    about = {"verified": asdict(image.verified), "sizes": dict(image.sizes), "sha256": digest_of(image.file)}
    image.file.with_suffix(".json").write_text(json.dumps(about, indent=1) + "\n", "utf-8")


def remembered(file: Path) -> RootImage | None:
    """What an earlier build left, if it is whole and nobody has changed it."""
    try:
        about = json.loads(file.with_suffix(".json").read_text("utf-8"))
        if digest_of(file) != about["sha256"]:
            return None
        return RootImage(file, VerifiedRoot(**about["verified"]), about["sizes"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def placed(image: RootImage, file: Path) -> RootImage:
    """The same as a file of its own: what is done to that reaches no cache, whatever disk either is on."""
    fresh = file.with_name(f"{file.name}.new")
    try:
        shutil.copyfile(image.file, fresh)
        fresh.replace(file)
    finally:
        fresh.unlink(missing_ok=True)
    return replace(image, file=file)

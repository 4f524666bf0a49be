# SPDX-License-Identifier: Apache-2.0
"""Later OSes of a built image, for updates that need no build: the same files under another tree of hashes.

Another salt gives another tree and another root hash, so both packages of the OS are others: the root file system with
its tree, and the signed file whose command line binds it.
"""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

from armillary.device_image import disk, unified
from armillary.device_image.architecture.table import architecture_of
from armillary.device_image.keys import secure_boot_keys
from armillary.device_image.packages import PAYLOADS
from armillary.device_image.root_image import BLOCK_BYTES, add_tree
from armillary.device_image.tools import run
from armillary.errors import HostError


def make_later(image: Path, folder: Path, *, number: int) -> Path:
    """The ``number``-th later OS of an image, in ``folder``, as far as packages are made of it.

    Raises:
        HostError: a program fails, or the command line is not where it was expected.
    """
    folder.mkdir(parents=True, exist_ok=True)
    plain = folder / "plain.efi"
    plain.unlink(missing_ok=True)
    run(["osslsigncode", "remove-signature", "-in", image / "unified.efi", "-out", plain])
    content = plain.read_bytes()
    plain.unlink()
    bound = unified.verified_root(content)
    data = (image / "root.img").read_bytes()[: bound.blocks * BLOCK_BYTES]
    other = add_tree(data, folder / "root.img", salt=sha256(f"armillary later OS {number}".encode()).hexdigest())
    if content.count(bound.word().encode()) != 1:
        raise HostError(f"{image}: expected its root hash once in the signed file", remedy="Build the image again.")
    changed = content.replace(bound.word().encode(), other.word().encode())
    signed = unified.sign(changed, secure_boot_keys(image / "keys")["signing"])
    architecture = architecture_of(image)
    disk.boot_partition(signed, folder / disk.STARTED_FILE, architecture.started_file)
    digests = {name: sha256((folder / name).read_bytes()).hexdigest() for name in PAYLOADS.values()}
    about = {"architecture": architecture.name, "sha256": digests}
    (folder / "image.json").write_text(json.dumps(about), "utf-8")
    return folder

# SPDX-License-Identifier: Apache-2.0
"""Later OSes of a built image, for updates that need no build: the same files under another tree of hashes.

Another salt gives another tree and another root hash, so both packages of the OS are others: the root file system with
its tree, and the signed file whose command line (of each slot, where U-Boot starts it) binds it.
"""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding

from armillary.device_image import disk, unified
from armillary.device_image.architecture.table import architecture_of
from armillary.device_image.flashing.key_files import SIGNER
from armillary.device_image.keys import SIGNING, KeyPair, certificate_of, keys_of
from armillary.device_image.packages import PAYLOADS
from armillary.device_image.root_image import BLOCK_BYTES, add_tree
from armillary.device_image.tools import run
from armillary.device_image.uboot import signed_file
from armillary.device_image.uboot.boards import SD_TREE
from armillary.device_image.uboot.image import FILE, first_partition
from armillary.errors import HostError, InvalidArgumentError
from armillary.update.install.component import SLOTS
from armillary.wire.device_image.command_line import VerifiedRoot
from armillary.wire.image.section import SECURITY_VERSION_LIMIT

FIRST_SECURITY_VERSION: Final = 1
RISES_EVERY: Final = 3


def security_version_of(number: int) -> int:
    """The security version of the ``number``-th later OS: every third one has a higher one, up to the highest.

    After such an update was confirmed there is no way back, and with the others there is one.
    """
    return min(FIRST_SECURITY_VERSION + number // RISES_EVERY, SECURITY_VERSION_LIMIT)


def signing_key(image: Path, keys: Path | None) -> KeyPair:
    """The key that signed an image, in a folder of keys; None for the folder beside the image.

    Raises:
        InvalidArgumentError: the folder lacks keys, they are not those of the image, or nothing beside it says which
            those are.
        WireError: U-Boot's control device tree beside the image is damaged.
    """
    folder = image / "keys" if keys is None else keys
    found = keys_of(folder)[SIGNING]
    if not _is_signer(image, certificate_of(found)):
        raise InvalidArgumentError(
            f"{found.certificate}: expected the certificate of the key that signed {image}, got another one",
            remedy="Name the folder of keys that the image was built with: --keys DIR.",
        )
    return found


def _is_signer(image: Path, certificate: x509.Certificate) -> bool:
    """Whether an image was signed by this key: the build keeps its certificate, or U-Boot's control tree has it."""
    has_uefi = architecture_of(image).has_uefi
    file = image / (SIGNER if has_uefi else SD_TREE)
    try:
        trusted = file.read_bytes()
    except FileNotFoundError as error:
        raise InvalidArgumentError(
            f"{file}: expected what the build kept of the key that signed the image, got nothing",
            remedy="Name a whole image: --image DIR; or build it again.",
        ) from error
    if has_uefi:
        return certificate.public_bytes(Encoding.DER) == trusted
    key = certificate.public_key()
    return isinstance(key, rsa.RSAPublicKey) and key.public_numbers().n == signed_file.key_of(trusted)


def make_later(image: Path, folder: Path, *, number: int, keys: Path | None = None) -> Path:
    """The ``number``-th later OS of an image, in ``folder``, as far as packages are made of it.

    Raises:
        InvalidArgumentError, WireError: as :func:`signing_key`.
        HostError: a program fails, or the command line is not where it was expected.
    """
    key = signing_key(image, keys)
    folder.mkdir(parents=True, exist_ok=True)
    target = architecture_of(image)
    content = _without_signature(image, folder) if target.has_uefi else (image / FILE).read_bytes()
    bound = unified.verified_root(content) if target.has_uefi else signed_file.verified_root(content)
    data = (image / "root.img").read_bytes()[: bound.blocks * BLOCK_BYTES]
    other = add_tree(data, folder / "root.img", salt=sha256(f"armillary later OS {number}".encode()).hexdigest())
    changed = _bound_to(content, bound, other, times=1 if target.has_uefi else len(SLOTS))
    if target.has_uefi:
        disk.boot_partition(unified.sign(changed, key), folder / disk.STARTED_FILE, target.started_file)
    else:
        (folder / disk.STARTED_FILE).write_bytes(first_partition(signed_file.signed_again(changed, key)))
    digests = {name: sha256((folder / name).read_bytes()).hexdigest() for name in PAYLOADS.values()}
    about = {"architecture": target.name, "sha256": digests}
    (folder / "image.json").write_text(json.dumps(about), "utf-8")
    return folder


def _without_signature(image: Path, folder: Path) -> bytes:
    """The signed file that UEFI starts, as it was before."""
    plain = folder / "plain.efi"
    plain.unlink(missing_ok=True)
    run(["osslsigncode", "remove-signature", "-in", image / "unified.efi", "-out", plain])
    content = plain.read_bytes()
    plain.unlink()
    return content


def _bound_to(content: bytes, bound: VerifiedRoot, other: VerifiedRoot, *, times: int) -> bytes:
    """The file with another root in its command lines, of which there are so many."""
    found = content.count(bound.word().encode())
    if found != times:
        raise HostError(
            f"expected the image's root hash {times} times in the signed file, found it {found} times",
            remedy="Build the image again.",
        )
    return content.replace(bound.word().encode(), other.word().encode())

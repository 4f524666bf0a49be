# SPDX-License-Identifier: Apache-2.0
"""Two versions of a root file system, as EROFS images: Debian as it was released, and with the updates since.

Laid out as an image of ours for small deltas: files and kernel modules uncompressed, nothing that differs in every
build (dates, caches, logs, the initial RAM disk), folders without version numbers in their names. Kept under /var/tmp:
downloading and building takes two minutes. Where a tool is missing the pair is synthetic, and says so.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

CACHE = Path("/var/tmp/armillary-bench-delta")
SUITE = "trixie"
PACKAGES = "linux-image-cloud-amd64,systemd,systemd-sysv,python3-minimal,curl,ca-certificates,krb5-user"
RELEASED = (f"deb http://deb.debian.org/debian {SUITE} main",)
UPDATED = (
    *RELEASED,
    f"deb http://deb.debian.org/debian {SUITE}-updates main",
    f"deb http://deb.debian.org/debian-security {SUITE}-security main",
)
UNWANTED = ("boot/initrd*", "boot/*config*", "boot/System.map*", "initrd*", "vmlinuz*", "var/cache/*", "var/log/*")
UNWANTED_TOO = ("var/lib/apt/lists/*", "etc/machine-id", "etc/ld.so.cache", "root/*", "tmp/*")
SYNTHETIC_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Pair:
    """Two images, and what they are."""

    old: Path
    new: Path
    what: str


def pair() -> Pair:
    """The pair to measure with, built once."""
    missing = [tool for tool in ("mmdebstrap", "mkfs.erofs", "xz") if shutil.which(tool) is None]
    if missing or os.geteuid() != 0:
        why = f"missing: {', '.join(missing)}" if missing else "not root"
        print(f"  synthetic images ({why}); for Debian's: sudo apt-get install mmdebstrap erofs-utils", file=sys.stderr)
        return synthetic(why)
    found = Pair(
        CACHE / "old.erofs", CACHE / "new.erofs", f"Debian {SUITE} minbase with a kernel, before and after updates"
    )
    for image, sources in ((found.old, RELEASED), (found.new, UPDATED)):
        if not image.exists():
            print(f"  building {image}: two minutes", file=sys.stderr)
            build(image, sources)
    return found


def build(image: Path, sources: tuple[str, ...]) -> None:
    """Install Debian into a folder and make an image of it."""
    CACHE.mkdir(exist_ok=True)
    root, partial = image.with_suffix(".root"), image.with_suffix(".partial")
    shutil.rmtree(root, ignore_errors=True)
    options = ["--variant=minbase", "--mode=root", "--format=directory", "--quiet", f"--include={PACKAGES}"]
    subprocess.run(["mmdebstrap", *options, SUITE, str(root), *sources], check=True, stdout=sys.stderr)
    for pattern in (*UNWANTED, *UNWANTED_TOO):
        for path in root.glob(pattern):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    modules = max(root.glob("usr/lib/modules/*")).rename(root / "usr/lib/modules/kernel")
    packed = [str(path) for path in modules.rglob("*.ko.xz")]
    subprocess.run(["xz", "--decompress", *packed], check=True)
    subprocess.run(["mkfs.erofs", "--quiet", "-T0", "--all-root", str(partial), str(root)], check=True)
    shutil.rmtree(root)
    partial.rename(image)


def synthetic(why: str) -> Pair:
    """The same two files in every run: one in ten blocks of 64 KiB is changed, in three of them everything moves."""
    CACHE.mkdir(exist_ok=True)
    found = Pair(CACHE / "old.synthetic", CACHE / "new.synthetic", f"SYNTHETIC files ({why})")
    source = random.Random(1)
    words = [source.randbytes(source.randint(4, 40)) for _ in range(4000)]
    old, new = bytearray(), bytearray()
    while len(old) < SYNTHETIC_BYTES:
        block = b"".join(source.choices(words, k=3000))[: 64 << 10]
        old += block
        if source.random() < 0.1:
            at = source.randrange(len(block))
            block = block[:at] + source.randbytes(500) + block[at + 500 :]
        new += block
        if source.random() < 0.003:
            new += source.randbytes(100)
    for path, content in ((found.old, old), (found.new, new)):
        path.write_bytes(content)
    return found

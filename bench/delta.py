# SPDX-License-Identifier: Apache-2.0
"""A point release of a root file system as a delta: its bytes against a whole-file patch, and what decoding takes.

The reference is ``zstd --patch-from`` over the two whole files, at the level of our compressor and in the same run. It
needs both files in memory to decode; ours one window and one segment.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from armillary.engines.delta.files import digest_of, write_delta
from armillary.engines.delta.zstd import LEVEL
from bench.delta_images import pair
from bench.result import result

LIMIT_MB = 64.0
# Decodes as a device does, and says how much memory the whole process took at most, KiB. Not as getrusage says it: that
# counts what the process had been before it became this program.
DECODE = """
import sys
from pathlib import Path
from armillary.engines.delta.files import apply_delta
from armillary.wire.update.delta import ArtifactDigest
source, target = (ArtifactDigest(int(size), bytes.fromhex(digest)) for size, digest in (sys.argv[4:6], sys.argv[6:8]))
with open(sys.argv[1], "rb") as old, open(sys.argv[2], "rb") as delta, open(sys.argv[3], "wb") as new:
    apply_delta((source, old), target, delta, new.write)
status = Path("/proc/self/status").read_text().split()
print(status[status.index("VmHWM:") + 1])
"""
# The same of another program, started by a small process.
MEMORY_OF = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def run() -> list[dict[str, object]]:
    """Bytes, memory, seconds to decode and to make."""
    images = pair()
    old, new = digest_of(images.old), digest_of(images.new)
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        patch, delta, made = (Path(folder) / name for name in ("patch", "delta", "made"))
        began = time.perf_counter()
        subprocess.run(
            ["zstd", "--quiet", f"-{LEVEL}", f"--patch-from={images.old}", str(images.new), "-o", str(patch)],
            check=True,
        )
        patched_s = time.perf_counter() - began
        print(f"  whole-file patch: {patch.stat().st_size} bytes, {patched_s:.0f} s", file=sys.stderr)
        began = time.perf_counter()
        with delta.open("wb") as file:
            write_delta((old, images.old), (new, images.new), file.write)
        made_s = time.perf_counter() - began
        arguments = [str(old.size), old.sha256.hex(), str(new.size), new.sha256.hex()]
        began = time.perf_counter()
        decoded = subprocess.run(
            [sys.executable, "-c", DECODE, str(images.old), str(delta), str(made), *arguments],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        decoded_s = time.perf_counter() - began
        if digest_of(made) != new:
            raise RuntimeError("the delta did not lead to the new image")
        began = time.perf_counter()
        command = [
            "zstd",
            "--quiet",
            "-d",
            "--long=31",
            f"--patch-from={images.old}",
            str(patch),
            "-f",
            "-o",
            str(made),
        ]
        peer = subprocess.run(
            [sys.executable, "-c", MEMORY_OF, *command], check=True, stdout=subprocess.PIPE, text=True
        )
        peer_s = time.perf_counter() - began
        conditions = f"{images.what}: {old.size} to {new.size} bytes; level {LEVEL}"
        whole = f"zstd -{LEVEL} --patch-from, whole files"
        return [
            result("delta", delta.stat().st_size, "bytes", (whole, patch.stat().st_size), conditions),
            result(
                "delta-memory", int(decoded.stdout) / 1024, "MB", ("limit", LIMIT_MB), f"{conditions}; whole process"
            ),
            result("delta-memory-peer", int(peer.stdout) / 1024, "MB", ("limit", LIMIT_MB), f"{conditions}; {whole}"),
            result("delta-decode", decoded_s, "s", (whole, peer_s), f"{conditions}; a process from start to end"),
            result("delta-make", made_s, "s", (whole, patched_s), conditions),
        ]

# SPDX-License-Identifier: Apache-2.0
"""The words for what contains applications: names of mechanisms in evidence, each with what it holds.

A device may name others (it may be newer); a policy demands only these, so that a slip of the pen shuts nobody out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

# In place of an engine's name: none holds yet, and no application runs.
WAITING: Final = "waiting"
MECHANISMS: Final[Mapping[str, str]] = {
    "capabilities": "an application has no privilege of the kernel and can gain none",
    "device-list": "it opens no device node but those that it was handed",
    "gives-way": "the device goes first where both want the processor or the last memory",
    "host-files": "it reads no file of the host that is not for it",
    "landlock": "a second layer of file rules, under the mounts",
    "memory-limit": "all its processes together have so much memory, shared memory with it",
    "mutable-storage-limit": "its mutable storage has an end, everything in it together",
    "namespaces": "it sees no process, mount, name or shared memory of the host",
    "neighbours": "it changes no process that waits beside it in its sandbox",
    "network-broker": "it reaches the hosts that its manifest names and no others, and each attempt is seen",
    "network-namespace": "it has no network interface but its own loopback",
    "no-new-privileges": "no program that it starts has more rights than it",
    "process-limit": "all its processes and threads together are so many",
    "processor-limit": "all its processes together have so much of the processors",
    "read-only-image": "it cannot change its image",
    "read-only-root": "it cannot change its image, nor anything else at its root",
    "release-image": "the device's system is its own image, and not one for development, which has a shell",
    "resource-limits": "each process has so much private memory, so many descriptors and files of such a size",
    "seccomp": "it makes no system call that is not on the list",
    "session": "it is in a session of its own",
    "signals": "it cannot signal processes of the host",
    "temporary-storage-limit": "its temporary files have an end together",
    "user": "it runs as a user of its own",
    "written-files-not-executable": "it cannot start what it has written",
    "written-files-not-loaded": "it cannot load what it has written into a program",
}

# SPDX-License-Identifier: Apache-2.0
"""The kernel's command line of a device image: signed together with kernel and initial file system.

``armillary.root=HASH:SALT:BLOCKS`` binds the root file system: the root hash of its verity tree and the salt, both in
hex, and how many blocks of 4096 bytes of data there are before the tree. ``image/init/init.c`` reads it. It is the last
word: whatever stands behind it was added by firmware, and nobody signed that (``image/init/signed_line.h``).
``armillary.slot=a`` says which slot this is, where the one who starts it has no variables that say so (U-Boot).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from armillary.errors import WireError

# A kernel that stops restarts after a second, and the firmware takes the other slot. So does one in which a processor
# does nothing any more (an RCU stall): without this it waits for ever, before process 1 has a watchdog. Stalls are told
# every 21 seconds at first; a host or a processor that was only slow is over it by the third.
ALWAYS: Final = (
    "panic=1",
    "oops=panic",
    "sysctl.kernel.panic_on_rcu_stall=1",
    "sysctl.kernel.max_rcu_stall_to_panic=3",
    "quiet",
    "loglevel=4",
)
_SLOT: Final = re.compile(r"(?:^|\s)armillary\.slot=([ab])(?=\s|$)")
# Begins the word that binds the root: no other Linux has one.
ROOT: Final = "armillary.root="
# Marks a development image: a shell is at its consoles. It is signed and measured with everything else of the line.
DEVELOPMENT: Final = "armillary.development=1"
_ROOT: Final = re.compile(r"([0-9a-f]{64}):([0-9a-f]{64}):([1-9][0-9]{0,9})")


@dataclass(frozen=True, slots=True)
class VerifiedRoot:
    """What binds a root file system: root hash and salt (hex), and blocks of 4096 bytes of data."""

    root_hash: str
    salt: str
    blocks: int

    def word(self) -> str:
        """The word of the command line."""
        return f"{ROOT}{self.root_hash}:{self.salt}:{self.blocks}"


def command_line(root: VerifiedRoot, *, consoles: Sequence[str], built_at: int, more: Sequence[str] = ()) -> str:
    """All of it. ``built_at`` (Unix seconds) is the floor of the device's clock; the last console gets what is said."""
    words = [*(f"console={name}" for name in consoles), *ALWAYS, *more, f"armillary.built={built_at}", root.word()]
    return " ".join(words)


def root_of(line: str) -> VerifiedRoot:
    """The root that a command line binds; WireError if there is none, or more than one."""
    found = [word.removeprefix(ROOT) for word in line.split() if word.startswith(ROOT)]
    match = _ROOT.fullmatch(found[0]) if len(found) == 1 else None
    if match is None:
        raise WireError("command-line", expected="one armillary.root=HASH:SALT:BLOCKS", got=repr(found))
    return VerifiedRoot(match[1], match[2], int(match[3]))


def slot_of(line: str) -> str | None:
    """The slot that a command line names; None where it names none, or more than one."""
    found = _SLOT.findall(line)
    return found[0] if len(found) == 1 else None

# SPDX-License-Identifier: Apache-2.0
"""Which crashes are the same: a fingerprint of what went wrong and where, equal over images and devices.

The fingerprint is a digest of the algorithm's version, the application's component, the class of the cause, and the
innermost places of the application's own code:

1. Frames of the C library, the loader, allocators and the way to abort are left out: every bug ends in some of them.
2. Functions stand by their name, without what differs from build to build: parameters, template arguments, versions of
   symbols, suffixes of the compiler, hashes of Rust. Names come from the device (interpreted code) or from symbols that
   were uploaded for the module's build id.
3. Recursion counts once: a place, or a round of two or three places, that repeats itself is collapsed.
4. At most :data:`PLACES` places count, so that it does not matter who called them.
5. Without a name a place is its module and the page of its offset; without any frame it is the signal or exit code.

A group keeps the version that made it. A new version makes new groups and leaves the old ones as they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from signal import Signals
from typing import Final
from uuid import UUID

from armillary.wire.device.crash_record import CrashRecord, Frame

GROUPING_VERSION: Final = 1
# So many places distinguish bugs; further out are the event loop and main, which all of them share.
PLACES: Final = 6
# Places without a symbol are compared by page: a build that adds some lines elsewhere moves them less than this.
PAGE_BYTES: Final = 4096
LONGEST_ROUND: Final = 3  # of places that call one another in a circle

# Modules that are never the application's own code, by the beginning of their names.
SYSTEM_MODULES: Final = (
    "libc.", "libc-", "ld-", "ld.", "libpthread", "libm.", "libdl.", "librt.", "libstdc++", "libgcc_s", "libc++",
    "[vdso]", "<frozen", "linux-vdso",
)  # fmt: skip
# Functions that a crash passes through on its way out, or that only carry out what their caller asked for.
PASSING: Final = re.compile(
    r"(?:abort|raise|gsignal|pthread_kill|tgkill|kill|_exit|exit"
    r"|(?:c|m|re)alloc|free|cfree|operator (?:new|delete).*|posix_memalign|aligned_alloc"
    r"|(?:w?mem(?:cpy|move|set|cmp|chr)|str(?:n?(?:len|cpy|cmp|cat|dup)|chr|rchr))"
    r"(?:_(?:sse\w*|avx\w*|evex\w*|ssse\w*|generic|neon|sve|mops|simd|falkor|a64fx))?"  # glibc: one for each processor
    r"|assert_(?:fail|perror_fail)|stack_chk_fail|fortify_fail|chk_fail|libc_.*|pthread_kill_.*"
    r"|rust_(?:panic|begin_unwind).*|core::panicking::.*|std::(?:panicking|sys|rt)::.*|std::terminate|Unwind_.*"
    r"|sigaction|restore_rt|sigreturn|start_thread|clone3?)"
)
# After these the character is part of an operator's own name.
_OPERATORS: Final = {"(": ("operator",), "<": ("operator", "operator<")}
_RUST_HASH: Final = re.compile(r"::h[0-9a-f]{16}$")
_SUFFIX: Final = re.compile(
    r"(?:\.(?:isra|constprop|part|cold|lto_priv|llvm)(?:\.\d+)?|@@?[\w.]+| ?\[clone [^\]]*\])+$"
)

# (build id, offset) -> name of the function, or "" where no symbol is known.
Resolve = Callable[[bytes, int], str]


@dataclass(frozen=True, slots=True)
class Grouping:
    """To which group a crash belongs.

    Attributes:
        fingerprint: 32 hexadecimal digits.
        basis: What it rests on: ``function``, ``offset`` or ``exit``; later ones are coarser.
        cause: The class of what went wrong: ``SIGSEGV``, ``exit 1``, ``ValueError``.
        places: The places that count, innermost first, as people read them.
    """

    fingerprint: str
    basis: str
    cause: str
    places: tuple[str, ...]

    @property
    def title(self) -> str:
        """One line: what went wrong, and where."""
        return f"{self.cause} in {self.places[0]}" if self.places else self.cause


def no_symbols(build_id: bytes, offset: int) -> str:
    """A :data:`Resolve` for who has no symbols."""
    del build_id, offset
    return ""


def group(crash: CrashRecord, component_id: UUID | None, resolve: Resolve = no_symbols) -> Grouping:
    """The group of a captured crash of an application."""
    cause = crash.cause or how_ended(crash.signal, crash.exit_code)
    named = [(frame, _function(frame, resolve)) for frame in crash.frames]
    own = [one for one in named if _is_own(*one)] or named
    places = collapsed([_place(frame, function) for frame, function in own])[:PLACES]
    if not places:
        basis = "exit"
    elif any(function for _, function in own):
        basis = "function"
    else:
        basis = "offset"
    key = (str(GROUPING_VERSION), str(component_id or ""), cause, *places)
    return Grouping(sha256("\0".join(key).encode()).hexdigest()[:32], basis, cause, tuple(places))


def how_ended(signal: int | None, exit_code: int | None) -> str:
    """The end of a process in words: ``SIGSEGV``, ``signal 40`` or ``exit 1``; ``unknown`` where neither is known."""
    if signal is None:
        return "unknown" if exit_code is None else f"exit {exit_code}"
    try:
        return Signals(signal).name
    except ValueError:
        return f"signal {signal}"


def normal_name(function: str) -> str:
    """A function's name without what differs between builds of the same source."""
    name = _RUST_HASH.sub("", _SUFFIX.sub("", function.strip()))
    kept, depth = [], 0
    for position, character in enumerate(name):
        if character in "<(" and position and not name[:position].endswith(_OPERATORS[character]):
            depth += 1
        elif character in ">)" and depth:
            depth -= 1
        elif not depth:
            kept.append(character)
    return "".join(kept).removesuffix(" const").strip() or name


def collapsed(places: Sequence[str]) -> list[str]:
    """The places with each round of up to :data:`LONGEST_ROUND` that follows itself counted once."""
    kept: list[str] = []
    for place in places:
        kept.append(place)
        for length in range(1, LONGEST_ROUND + 1):
            if kept[-length:] == kept[-2 * length : -length]:
                del kept[-length:]
                break
    return kept


def unnamed(crashes: Iterable[CrashRecord]) -> frozenset[bytes]:
    """Build ids of modules whose symbols would name a place that has no name."""
    return frozenset(
        frame.build_id for crash in crashes for frame in crash.frames if frame.build_id and not frame.function
    )


def _function(frame: Frame, resolve: Resolve) -> str:
    if frame.function:
        return normal_name(frame.function)
    return normal_name(resolve(frame.build_id, frame.offset)) if frame.build_id else ""


def _is_own(frame: Frame, function: str) -> bool:
    if frame.module.startswith(SYSTEM_MODULES):
        return False
    return PASSING.fullmatch(function.lstrip("_")) is None


def _place(frame: Frame, function: str) -> str:
    if function:
        return function
    return f"{frame.module or '?'}+{frame.offset // PAGE_BYTES * PAGE_BYTES:#x}"

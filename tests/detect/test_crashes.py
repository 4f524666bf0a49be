# SPDX-License-Identifier: Apache-2.0
"""Crash fingerprints: equal for one bug over builds, callers and recursion, different for different bugs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import NamedTuple
from uuid import UUID

import pytest
from hypothesis import given, strategies as st

from armillary.detect import crashes
from armillary.detect.crashes import group, normal_name
from armillary.wire.device.crash_record import CrashRecord, Frame

COMPONENT = UUID(int=1)


def crash(*functions: str, signal: int | None = 11, module: str = "app", cause: str = "") -> CrashRecord:
    frames = tuple(Frame(module, b"", index, name) for index, name in enumerate(functions))
    return CrashRecord(signal=signal, exit_code=None if signal else 1, cause=cause, frames=frames)


def print_of(*functions: str, **changes: object) -> str:
    return group(crash(*functions, **changes), COMPONENT).fingerprint  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("raw", "normal"),
    [
        ("step.isra.0", "step"), ("step.part.3.cold", "step"), ("memcpy@@GLIBC_2.14", "memcpy"),
        ("Foo<int, Bar<char>>::run(int, char const*) const", "Foo::run"), ("step [clone .lto_priv.0]", "step"),
        ("core::x::h0123456789abcdef", "core::x"), ("operator<<(std::ostream&)", "operator<<"),
        ("Call::operator()(int)", "Call::operator()"), ("main", "main"), ("", ""),
    ],
)  # fmt: skip
def test_a_functions_name_is_kept_without_what_builds_change(raw: str, normal: str) -> None:
    assert normal_name(raw) == normal


def test_what_carries_a_crash_out_does_not_tell_bugs_apart() -> None:
    assert print_of("step", "main") == print_of("raise", "abort", "__assert_fail", "step", "main")
    assert print_of("step", "main") != print_of("stop", "main")
    own, system = Frame("app", b"", 1, "step"), Frame("libc.so.6", b"x" * 20, 0x1234, "")
    with_library = CrashRecord(signal=11, exit_code=None, frames=(system, own))
    assert group(with_library, COMPONENT) == group(crash("step"), COMPONENT)


def test_a_crash_within_the_library_alone_still_has_a_place() -> None:
    assert group(crash("memcpy", "raise"), COMPONENT).places == ("memcpy", "raise")


def test_recursion_counts_once_however_deep() -> None:
    assert print_of("walk", "walk", "main") == print_of(*["walk"] * 9, "main")
    assert print_of("a", "b", "main") == print_of(*["a", "b"] * 4, "main")


def test_callers_beyond_six_places_do_not_count() -> None:
    assert print_of(*"abcdef", "x", "y") == print_of(*"abcdef", "z")
    assert print_of(*"abcde", "x") != print_of(*"abcde", "z")


def test_cause_and_component_tell_groups_apart() -> None:
    one = crash("step")
    assert group(one, COMPONENT).fingerprint != group(one, UUID(int=2)).fingerprint
    assert print_of("step", signal=6) != print_of("step", signal=11)
    assert print_of("step", signal=None, cause="KeyError") != print_of("step", signal=None, cause="ValueError")


def test_without_symbols_places_are_pages_and_without_frames_there_is_the_end() -> None:
    frame = Frame("app", b"\x01" * 20, 0x1234, "")
    known = CrashRecord(signal=11, exit_code=None, frames=(frame,))
    assert (group(known, COMPONENT).basis, group(known, COMPONENT).places) == ("offset", ("app+0x1000",))
    named = group(
        known, COMPONENT, lambda build_id, offset: "step" if (build_id, offset) == (b"\x01" * 20, 0x1234) else ""
    )
    assert (named.basis, named.title) == ("function", "SIGSEGV in step")
    nothing = CrashRecord(signal=None, exit_code=3)
    assert (group(nothing, COMPONENT).basis, group(nothing, COMPONENT).title) == ("exit", "exit 3")
    assert crashes.how_ended(60, None) == "signal 60"


def test_the_version_is_part_of_the_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    before = print_of("step")
    monkeypatch.setattr(crashes, "GROUPING_VERSION", 2)
    assert print_of("step") != before


@given(st.lists(st.sampled_from("abc"), max_size=16))
def test_collapsing_is_done_once_and_for_all(places: list[str]) -> None:
    kept = crashes.collapsed(places)
    assert crashes.collapsed(kept) == kept
    assert set(kept) == set(places)


# -- quality: known bugs, injected, seen through what builds and devices do to them --------------------------------------


def chance(seed: int) -> Random:
    return Random(seed)  # noqa: S311 - reproducible, not secret


class Seen(NamedTuple):
    bug: int
    fingerprint: str


def injected(random: Random, *, bugs: int, reports: int, captured: float) -> list[Seen]:
    """Reports of known bugs over eight builds: other offsets, suffixes, callers, recursion and lost frames."""
    stacks = [_stack(random) for _ in range(bugs)]
    signals = [random.choice((6, 8, 11)) for _ in range(bugs)]
    seen = []
    for _ in range(reports):
        bug, build = random.randrange(bugs), random.randrange(8)
        functions = _as_built(random, stacks[bug])
        frames = tuple(
            Frame("app", bytes([build]) * 20, 0x1000 * index + build * 64, name if random.random() < captured else "")
            for index, name in enumerate(functions)
        )[:16]
        record = CrashRecord(signal=signals[bug], exit_code=None, frames=frames)
        symbols = {(frame.build_id, frame.offset): name for frame, name in zip(frames, functions, strict=False)}
        found = group(record, COMPONENT, lambda build_id, offset, known=symbols: known.get((build_id, offset), ""))
        seen.append(Seen(bug, found.fingerprint))
    return seen


def _stack(random: Random) -> list[str]:
    """A bug: its own innermost function, and callers that bugs share."""
    inner = [f"{random.choice(('pump', 'valve', 'net', 'store'))}::step{random.randrange(400)}(int)"]
    shared = [f"layer{random.randrange(12)}" for _ in range(random.randint(2, 5))]
    return [*inner, *dict.fromkeys(shared), "poll", "loop", "main"]


def _as_built(random: Random, stack: Sequence[str]) -> list[str]:
    way_out = random.choice(
        ([], ["raise", "abort"], ["__memcpy_avx_unaligned_erms"], ["free", "operator delete(void*)"])
    )
    body = [stack[0]] * random.choice((1, 1, 1, 7)) + list(stack[1:])
    if random.random() < 0.02:  # unwinding stopped early
        body = body[: random.randint(2, 4)]
    return [*way_out, *(name + random.choice(("", "", ".isra.0", ".constprop.1", ".cold")) for name in body)]


def pairs(seen: Sequence[Seen]) -> tuple[float, float]:
    """Pairwise precision and recall: of pairs in one group, those of one bug; of pairs of one bug, those in one group."""

    def together(keys: Counter[object]) -> int:
        return sum(count * (count - 1) // 2 for count in keys.values())

    both = together(Counter(seen))
    return both / together(Counter(one.fingerprint for one in seen)), both / together(Counter(one.bug for one in seen))


@pytest.mark.parametrize("captured", [1.0, 0.0], ids=["named-by-the-device", "named-by-symbols"])
def test_injected_bugs_are_told_apart_and_kept_together(captured: float) -> None:
    precision, recall = pairs(injected(chance(11), bugs=120, reports=6000, captured=captured))
    assert precision >= 0.95
    assert recall >= 0.95


def test_without_the_rules_bugs_fall_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: with names as they come, and every frame counted, one bug is many groups."""
    monkeypatch.setattr(crashes, "normal_name", lambda name: name)
    monkeypatch.setattr(crashes, "collapsed", list)
    monkeypatch.setattr(crashes, "_is_own", lambda *_: True)
    _, recall = pairs(injected(chance(11), bugs=120, reports=6000, captured=1.0))
    assert recall < 0.5

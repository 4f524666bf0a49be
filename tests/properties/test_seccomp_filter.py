# SPDX-License-Identifier: Apache-2.0
"""Whatever a program calls with whatever arguments: only what the policy names passes."""

from __future__ import annotations

from hypothesis import given, settings, strategies as st
from tests.capability.bpf_machine import run
from tests.fixtures.effort import examples

from armillary.capability import bpf, seccomp
from armillary.capability.seccomp import compile_filter
from armillary.capability.syscalls import ARCHITECTURES

PROGRAMS = {name: compile_filter(name) for name in ARCHITECTURES}
WORDS = st.integers(0, 2**64 - 1)
ARCHITECTURE = st.sampled_from(sorted(ARCHITECTURES))
ALWAYS = {name for names in seccomp.ALLOWED.values() for name in names.split()}
CHECKED = {
    *("clone", "socket", "socketpair", "connect", "sendto", "sendmsg", "sendmmsg", "ioctl", "prctl", "prlimit64"),
    *("bind", "listen", "setsockopt", "fcntl"),
}
# The same, of 32-bit Arm alone.
CHECKED_ON_ARM = {"send", "fcntl64"}
# Any number, and each that there is: by chance alone hardly one that is allowed would be called.
CALLS = ARCHITECTURE.flatmap(
    lambda name: st.tuples(
        st.just(name), st.integers(0, 2**32 - 1) | st.sampled_from(sorted(ARCHITECTURES[name].numbers.values()))
    )
)


@settings(max_examples=examples(200))
@given(call=CALLS, arguments=st.lists(WORDS, max_size=6))
def test_only_named_calls_pass(call: tuple[str, int], arguments: list[int]) -> None:
    architecture, number = call
    known = ARCHITECTURES[architecture]
    action = run(PROGRAMS[architecture], number=number, architecture=known.audit, arguments=arguments)
    names = [name for name, value in known.numbers.items() if value == number]
    if action in (bpf.RET_ALLOW, bpf.RET_USER_NOTIFICATION):
        assert names
        assert set(names) <= ALWAYS | CHECKED | CHECKED_ON_ARM
    else:
        assert action >> 16 == bpf.RET_ERRNO >> 16


@settings(max_examples=examples(200))
@given(
    architecture=ARCHITECTURE, arguments=st.lists(WORDS, min_size=6, max_size=6), name=st.sampled_from(sorted(CHECKED))
)
def test_bits_that_the_kernel_ignores_change_nothing(architecture: str, arguments: list[int], name: str) -> None:
    """ioctl, socket, clone and flags are 32-bit to the kernel: the same low halves give the same decision."""
    known = ARCHITECTURES[architecture]
    low = [value & 0xFFFFFFFF for value in arguments]
    if name == "sendto":  # its fifth argument is a pointer, of which every bit counts
        low[4] = arguments[4]

    def decide(values: list[int]) -> int:
        return run(PROGRAMS[architecture], number=known.numbers[name], architecture=known.audit, arguments=values)

    assert decide(arguments) == decide(low)


@settings(max_examples=examples(200))
@given(architecture=ARCHITECTURE, request_=WORDS)
def test_an_ioctl_passes_only_when_the_kernel_would_read_an_allowed_request(architecture: str, request_: int) -> None:
    known = ARCHITECTURES[architecture]
    action = run(
        PROGRAMS[architecture], number=known.numbers["ioctl"], architecture=known.audit, arguments=[0, request_]
    )
    assert (action == bpf.RET_ALLOW) == (request_ & 0xFFFFFFFF in seccomp.ALLOWED_IOCTLS.values())


@settings(max_examples=examples(100))
@given(architecture=ARCHITECTURE, other=st.integers(0, 2**32 - 1), number=st.integers(0, 600))
def test_no_call_of_another_convention_passes(architecture: str, other: int, number: int) -> None:
    if other != ARCHITECTURES[architecture].audit:
        assert run(PROGRAMS[architecture], number=number, architecture=other) == bpf.RET_KILL_PROCESS

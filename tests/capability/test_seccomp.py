# SPDX-License-Identifier: Apache-2.0
"""Every rule of the system-call policy, on each architecture, by interpreting the compiled program."""

from __future__ import annotations

import errno
import re
from pathlib import Path

import pytest
from tests.capability.bpf_machine import run

from armillary.capability import bpf, seccomp
from armillary.capability.seccomp import Policy, compile_filter
from armillary.capability.syscalls import ARCHITECTURES, X32_BIT

ALLOW, NOTIFY, KILL = bpf.RET_ALLOW, bpf.RET_USER_NOTIFICATION, bpf.RET_KILL_PROCESS
HIGH = 1 << 32
NEW = {
    name: 1 << bit
    for name, bit in zip(
        ("NS", "CGROUP", "UTS", "IPC", "USER", "PID", "NET"), (17, 25, 26, 27, 28, 29, 30), strict=True
    )
}
THREAD_FLAGS = 0x3D0F00  # what pthread_create passes


@pytest.fixture(params=sorted(ARCHITECTURES))
def architecture(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def decide(architecture: str, name: str, *arguments: int, policy: Policy | None = None) -> int:
    known = ARCHITECTURES[architecture]
    program = compile_filter(architecture, policy)
    return run(program, number=known.numbers[name], architecture=known.audit, arguments=arguments)


def refused(number: int) -> int:
    return bpf.RET_ERRNO | number


def test_every_allowed_call_is_allowed_and_has_a_number_somewhere(architecture: str) -> None:
    for names in seccomp.ALLOWED.values():
        for name in names.split():
            assert any(name in known.numbers for known in ARCHITECTURES.values()), name
            if name in ARCHITECTURES[architecture].numbers:
                assert decide(architecture, name, 1, 2, 3, 4, 5, 6) == ALLOW, name


def test_no_call_is_in_two_groups_or_also_checked() -> None:
    names = [name for group in seccomp.ALLOWED.values() for name in group.split()]
    assert len(names) == len(set(names))
    assert not set(names) & {"clone", "clone3", "socket", "socketpair", "connect", "sendto", "ioctl", "prctl"}


def test_another_architecture_ends_the_process(architecture: str) -> None:
    program = compile_filter(architecture)
    others = {0x40000003, 0xC00000F3, 0, *(known.audit for known in ARCHITECTURES.values())}  # i386, riscv64
    for other in others - {ARCHITECTURES[architecture].audit}:
        assert run(program, number=ARCHITECTURES[architecture].numbers["read"], architecture=other) == KILL


def test_x32_calls_are_refused() -> None:
    known = ARCHITECTURES["x86_64"]
    program = compile_filter("x86_64")
    for name in ("read", "connect", "ioctl", "execve"):
        number = known.numbers[name] | X32_BIT
        assert run(program, number=number, architecture=known.audit, arguments=[0] * 6) == refused(errno.EPERM)


@pytest.mark.parametrize(
    ("name", "x86_64", "aarch64", "armv7l"),
    [
        ("mount", 165, 40, 21),
        ("unshare", 272, 97, 337),
        ("setns", 308, 268, 375),
        ("ptrace", 101, 117, 26),
        ("bpf", 321, 280, 386),
        ("keyctl", 250, 219, 311),
        ("io_uring_setup", 425, 425, 425),
        ("io_uring_enter", 426, 426, 426),
        ("userfaultfd", 323, 282, 388),
        ("perf_event_open", 298, 241, 364),
        ("process_vm_writev", 311, 271, 377),
        ("setuid", 105, 146, 213),
        ("setresuid", 117, 147, 208),
        ("capset", 126, 91, 185),
        ("pivot_root", 155, 41, 218),
        ("open_by_handle_at", 304, 265, 371),
        ("memfd_create", 319, 279, 385),
        ("execveat", 322, 281, 387),
        ("seccomp", 317, 277, 383),
        ("pidfd_getfd", 438, 438, 438),
        ("reboot", 169, 142, 88),
        ("clock_settime", 227, 112, 404),
        ("a call that does not exist yet", 999, 999, 999),
    ],
)
def test_unknown_calls_are_refused(architecture: str, name: str, x86_64: int, aarch64: int, armv7l: int) -> None:
    number = {"x86_64": x86_64, "aarch64": aarch64, "armv7l": armv7l}[architecture]
    program = compile_filter(architecture)
    assert run(program, number=number, architecture=ARCHITECTURES[architecture].audit) == refused(errno.EPERM), name


def test_clone_makes_threads_but_no_namespaces(architecture: str) -> None:
    assert decide(architecture, "clone", THREAD_FLAGS) == ALLOW
    assert decide(architecture, "clone", 17) == ALLOW  # fork: SIGCHLD
    for name, flag in NEW.items():
        assert decide(architecture, "clone", flag | 17) == refused(errno.EPERM), name
        assert decide(architecture, "clone", THREAD_FLAGS | flag) == refused(errno.EPERM), name


def test_clone3_says_that_it_does_not_exist(architecture: str) -> None:
    assert decide(architecture, "clone3", 0x1000, 88) == refused(errno.ENOSYS)


@pytest.mark.parametrize("flags", [0, 0o4000, 0o2000000, 0o2004000])  # SOCK_NONBLOCK, SOCK_CLOEXEC
@pytest.mark.parametrize(
    ("family", "kind", "protocol"),
    [(1, 1, 0), (1, 2, 0), (1, 5, 0), (2, 1, 0), (2, 1, 6), (2, 2, 0), (2, 2, 17), (10, 1, 6), (10, 2, 17)],
)
def test_sockets_for_streams_and_datagrams(
    architecture: str, family: int, kind: int, protocol: int, flags: int
) -> None:
    assert decide(architecture, "socket", family, kind | flags, protocol) == ALLOW


@pytest.mark.parametrize(
    ("family", "kind", "protocol"),
    [
        (16, 3, 0),  # netlink
        (17, 3, 0),  # packet
        (40, 1, 0),  # vsock
        (38, 5, 0),  # AF_ALG
        (2, 3, 1),  # raw ICMP
        (2, 2, 1),  # ping
        (2, 1, 132),  # SCTP
        (2, 1, 262),  # MPTCP
        (10, 3, 58),
        (1, 3, 0),
        (2, 5, 132),
    ],
)
def test_other_sockets_are_refused(architecture: str, family: int, kind: int, protocol: int) -> None:
    assert decide(architecture, "socket", family, kind, protocol) == refused(errno.EAFNOSUPPORT)


def test_high_bits_do_not_make_another_socket(architecture: str) -> None:
    # The kernel reads int arguments: a family of 2 with a high bit is a family of 2, 16 with one is netlink.
    assert decide(architecture, "socket", HIGH | 2, HIGH | 1, HIGH) == ALLOW
    assert decide(architecture, "socket", HIGH | 16, 3, 0) == refused(errno.EAFNOSUPPORT)
    assert decide(architecture, "socketpair", 1, 1, 0) == ALLOW
    assert decide(architecture, "socketpair", 2, 1, 0) == refused(errno.EAFNOSUPPORT)


@pytest.mark.parametrize("request_", sorted(seccomp.REFUSED_IOCTLS.values()))
@pytest.mark.parametrize("high", [0, HIGH, 1 << 63, 0xFFFFFFFF << 32])
def test_typing_into_a_terminal_is_refused_whatever_the_high_bits(architecture: str, request_: int, high: int) -> None:
    """CVE-2019-10063: a filter that compares 64 bits lets 0x1_0000_5412 through, the kernel reads 0x5412."""
    assert decide(architecture, "ioctl", 0, high | request_) == refused(errno.EPERM)


@pytest.mark.parametrize("high", [0, HIGH])
def test_a_serial_port_brings_termios_and_nothing_that_reaches_further(architecture: str, high: int) -> None:
    serial = Policy(serial=True)
    for request_ in seccomp.SERIAL_IOCTLS.values():
        assert decide(architecture, "ioctl", 3, high | request_, policy=serial) == ALLOW
        assert decide(architecture, "ioctl", 3, high | request_) == refused(errno.EPERM)
    for request_ in (*seccomp.REFUSED_IOCTLS.values(), 0x5441):  # TIOCGPTPEER: the other end of a pseudo-terminal
        assert decide(architecture, "ioctl", 3, high | request_, policy=serial) == refused(errno.EPERM)


@pytest.mark.parametrize("high", [0, HIGH])
def test_a_pin_brings_the_level_of_handed_lines_and_nothing_of_a_chip(architecture: str, high: int) -> None:
    lines = Policy(lines=True)
    for request_ in seccomp.LINE_IOCTLS.values():
        assert decide(architecture, "ioctl", 3, high | request_, policy=lines) == ALLOW
        assert decide(architecture, "ioctl", 3, high | request_) == refused(errno.EPERM)
    for request_ in (*seccomp.REFUSED_IOCTLS.values(), *seccomp.SERIAL_IOCTLS.values()):
        assert decide(architecture, "ioctl", 3, high | request_, policy=lines) == refused(errno.EPERM)


def test_ioctls_that_are_about_own_descriptors(architecture: str) -> None:
    for request_ in seccomp.ALLOWED_IOCTLS.values():
        assert decide(architecture, "ioctl", 0, request_) == ALLOW
    assert decide(architecture, "ioctl", 0, 0xDEADBEEF) == refused(errno.EPERM)


def test_connects_and_addressed_sends_go_to_the_supervisor(architecture: str) -> None:
    assert decide(architecture, "connect", 3, 0x1000, 16) == NOTIFY
    assert decide(architecture, "sendmsg", 3, 0x1000, 0) == NOTIFY
    assert decide(architecture, "sendmmsg", 3, 0x1000, 2, 0) == NOTIFY
    assert decide(architecture, "sendto", 3, 0x1000, 5, 0, 0x2000, 16) == NOTIFY
    assert decide(architecture, "sendto", 3, 0x1000, 5, 0, 0x7 << 32, 16) == NOTIFY  # only the high half is set
    assert decide(architecture, "sendto", 3, 0x1000, 5, 0, 0, 0) == ALLOW  # send(2)


@pytest.mark.parametrize(("name", "index"), [("sendto", 3), ("sendmsg", 2), ("sendmmsg", 3)])
@pytest.mark.parametrize("extra", [0, 0x4000, HIGH])
def test_sending_that_connects_is_refused(architecture: str, name: str, index: int, extra: int) -> None:
    arguments = [3, 0x1000, 5, 0, 0x2000, 16]
    arguments[index] = seccomp.MSG_FASTOPEN | extra
    assert decide(architecture, name, *arguments) == refused(errno.EPERM)
    arguments[4] = 0
    assert decide(architecture, name, *arguments) == refused(errno.EPERM)


def test_without_a_supervisor_connects_are_refused(architecture: str) -> None:
    policy = Policy(notify=False)
    for name in ("connect", "sendto", "sendmsg", "sendmmsg"):
        assert decide(architecture, name, 3, 0x1000, 16, 0, 0x2000, 16, policy=policy) == refused(errno.EACCES)


def test_listening_and_sessions_are_given_by_policy(architecture: str) -> None:
    assert decide(architecture, "listen", 3, 1) == decide(architecture, "connect", 3, 1), "the supervisor decides"
    assert decide(architecture, "listen", 3, 1, policy=Policy(notify=False)) == refused(errno.EPERM)
    assert decide(architecture, "listen", 3, 1, policy=Policy(notify=False, listen=True)) == ALLOW
    assert decide(architecture, "setsid", policy=Policy(sessions=False)) == refused(errno.EPERM)
    assert decide(architecture, "setpgid", policy=Policy(sessions=False)) == refused(errno.EPERM)
    assert decide(architecture, "setsid") == ALLOW


def test_without_mounts_of_its_own_it_changes_no_modes_and_watches_no_folders(architecture: str) -> None:
    for name in set(seccomp.ATTRIBUTES.split()) & set(ARCHITECTURES[architecture].numbers):
        assert decide(architecture, name, policy=Policy(attributes=False)) == refused(errno.EPERM)
        assert decide(architecture, name) == ALLOW


def test_nobody_is_held_up_by_a_lease(architecture: str) -> None:
    for command in (seccomp.F_SETLEASE, seccomp.F_NOTIFY, seccomp.F_SETLEASE | 1 << 40):
        assert decide(architecture, "fcntl", 3, command) == refused(errno.EPERM)
    assert decide(architecture, "fcntl", 3, 1) == ALLOW


def test_prctl_and_limits_of_the_caller_only(architecture: str) -> None:
    for operation in seccomp.ALLOWED_PRCTLS.values():
        assert decide(architecture, "prctl", operation) == ALLOW
    for operation in (22, 24, 28, 47, 4, 8):  # SET_SECCOMP, CAPBSET_DROP, SET_SECUREBITS, CAP_AMBIENT, SET_DUMPABLE
        assert decide(architecture, "prctl", operation) == refused(errno.EPERM)
    assert decide(architecture, "prlimit64", 0, 7) == ALLOW
    assert decide(architecture, "prlimit64", 1, 7) == refused(errno.EPERM)


def test_development_mode_logs_instead_of_refusing(architecture: str) -> None:
    policy = Policy(log_unknown=True)
    program = compile_filter(architecture, policy)
    assert run(program, number=999, architecture=ARCHITECTURES[architecture].audit) == bpf.RET_LOG
    assert run(program, number=999, architecture=0) == KILL


def test_a_rule_left_out_shows(architecture: str) -> None:
    """The mutation the probes' tests use really removes the rule."""
    assert decide(architecture, "ioctl", 0, 0x5412, policy=Policy(without=frozenset({"ioctl"}))) == ALLOW
    assert decide(architecture, "connect", 3, policy=Policy(without=frozenset({"connect"}))) == ALLOW


def test_unknown_architecture() -> None:
    with pytest.raises(ValueError, match="riscv64"):
        compile_filter("riscv64")


def test_a_server_shares_its_ports_with_nobody(architecture: str) -> None:
    options = {"SO_REUSEPORT": (1, 15), "SO_REUSEADDR": (1, 2), "TCP_CORK + 12 of another level": (6, 15)}
    for name, (level, option) in options.items():
        assert decide(architecture, "setsockopt", 3, level, option) == ALLOW
        serving = decide(architecture, "setsockopt", 3, level, option, policy=Policy(server=True))
        assert serving == (refused(errno.ENOPROTOOPT) if name == "SO_REUSEPORT" else ALLOW), name


def test_no_socket_gets_a_route_of_its_own(architecture: str) -> None:
    for level, option in seccomp.SOURCE_ROUTE_OPTIONS.values():
        assert decide(architecture, "setsockopt", 3, level, option) == refused(errno.EPERM)
    assert decide(architecture, "setsockopt", 3, 0, 1) == ALLOW  # IP_TOS
    assert decide(architecture, "setsockopt", 3, 41, 26) == ALLOW  # IPV6_V6ONLY


def test_the_second_forms_of_32_bit_arm_are_decided_as_the_first_ones() -> None:
    for name in ("clock_gettime64", "futex_time64", "ppoll_time64", "pselect6_time64", "mmap2", "_llseek", "set_tls"):
        assert decide("armv7l", name, 1, 2, 3, 4, 5, 6) == ALLOW, name
    for command in (seccomp.F_SETLEASE, seccomp.F_NOTIFY):
        assert decide("armv7l", "fcntl64", 3, command) == refused(errno.EPERM)
    assert decide("armv7l", "fcntl64", 3, 1) == ALLOW
    assert decide("armv7l", "send", 3, 0x1000, 5, 0) == ALLOW
    assert decide("armv7l", "send", 3, 0x1000, 5, seccomp.MSG_FASTOPEN) == refused(errno.EPERM)
    assert decide("armv7l", "utimensat_time64", policy=Policy(attributes=False)) == refused(errno.EPERM)


def test_numbers_of_32_bit_arm_are_those_of_the_kernels_header() -> None:
    header = Path("/usr/arm-linux-gnueabihf/include/asm/unistd-eabi.h")
    if not header.exists():
        pytest.skip("no table of 32-bit Arm's system calls; to enable: sudo apt-get install linux-libc-dev-armhf-cross")
    found = re.findall(r"__NR_(\w+)\s+\(__NR_SYSCALL_BASE \+ (\d+)\)", header.read_text("utf-8"))
    own = {"cacheflush": 0x0F0002, "set_tls": 0x0F0005}  # asm/unistd.h: __ARM_NR_BASE, 2 and 5
    numbers = {name: int(number) for name, number in found} | own
    assert ARCHITECTURES["armv7l"].numbers == {name: numbers[name] for name in ARCHITECTURES["armv7l"].numbers}

# SPDX-License-Identifier: Apache-2.0
"""The filter of what waits in a sandbox: it reads, and nothing else."""

from __future__ import annotations

import errno
import os

import pytest
from tests.capability.bpf_machine import run

from armillary.capability import bpf, seccomp
from armillary.capability.confine import APPLICATION_USER_COUNT, APPLICATION_USER_FIRST, WAITING_USER
from armillary.capability.syscalls import ARCHITECTURES
from armillary.capability.waiting import Waiting, waiting_arguments, waiting_filter

REFUSED = bpf.failure(errno.EPERM)
PROGRAMS = Waiting("/usr/sbin/chroot", "/usr/bin/env", "/usr/bin/cat")
# Of the calls that an application may make
WITHHELD = (
    "socket socketpair connect bind listen accept accept4 sendto sendmsg sendmmsg recvfrom recvmsg recvmmsg clone clone3 "
    "fork vfork kill tkill tgkill pidfd_open pidfd_send_signal rt_sigqueueinfo write writev pwrite64 ioctl prctl "
    "unlink unlinkat rename renameat2 mkdir mkdirat symlinkat linkat chmod fchmod fchmodat creat truncate openat2 "
    "inotify_add_watch setsid setpgid"
)


@pytest.fixture(params=sorted(ARCHITECTURES))
def architecture(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def decide(architecture: str, name: str, *arguments: int, as_root: bool = False) -> int:
    known = ARCHITECTURES[architecture]
    program = waiting_filter(architecture, as_root=as_root)
    return run(program, number=known.numbers[name], architecture=known.audit, arguments=arguments)


@pytest.mark.parametrize("as_root", [True, False])
def test_it_reads_and_makes_nothing(architecture: str, as_root: bool) -> None:
    for name in WITHHELD.split():
        if name in ARCHITECTURES[architecture].numbers:
            assert decide(architecture, name, as_root=as_root) == REFUSED, name
    mapping = "mmap2" if architecture == "armv7l" else "mmap"
    for name in ("read", "execve", mapping, "exit_group"):  # the control
        assert decide(architecture, name, as_root=as_root) == bpf.RET_ALLOW


def test_it_is_less_than_an_application_may(architecture: str) -> None:
    """So that who took it over would have gained nothing by that; but for root's change of the user."""
    known = ARCHITECTURES[architecture].numbers
    allowed = {name for name in known if decide(architecture, name) == bpf.RET_ALLOW}
    assert allowed <= set(seccomp.named_calls(architecture))


@pytest.mark.parametrize(("flags", "opened"), [(os.O_RDONLY | os.O_CLOEXEC, True), (os.O_RDONLY | os.O_TRUNC, False),
    (os.O_WRONLY, False), (os.O_RDWR, False), (os.O_CREAT, False), (os.O_TMPFILE, False)])  # fmt: skip
def test_it_opens_files_to_read_them(architecture: str, flags: int, opened: bool) -> None:
    assert (decide(architecture, "openat", 0, 0, flags) == bpf.RET_ALLOW) is opened


def test_as_root_it_becomes_a_user_that_no_application_is() -> None:
    assert not APPLICATION_USER_FIRST <= WAITING_USER < APPLICATION_USER_FIRST + APPLICATION_USER_COUNT - 1
    words = waiting_arguments(PROGRAMS, filter_descriptor=9, as_root=True)
    assert words[words.index("--") :] == (
        *("--", "/usr/sbin/chroot", f"--userspec=+{WAITING_USER}:+{WAITING_USER}", "--groups=", "/"),
        *("/usr/bin/env", "--ignore-signal=CHLD", "/usr/bin/cat"),
    )
    assert words[:3] == ("--as-pid-1", "--seccomp", "9")
    assert {words[place + 1] for place, word in enumerate(words) if word == "--cap-add"} == {
        "CAP_SETUID",
        "CAP_SETGID",
        "CAP_SYS_CHROOT",
    }


def test_as_a_user_it_gets_no_right() -> None:
    words = waiting_arguments(PROGRAMS, filter_descriptor=9, as_root=False)
    assert words == ("--as-pid-1", "--seccomp", "9", "--", "/usr/bin/env", "--ignore-signal=CHLD", "/usr/bin/cat")

# SPDX-License-Identifier: Apache-2.0
"""What waits in a sandbox of bubblewrap beside the application, and how little it may do.

A process namespace ends with its first process, so one has to stay there: a program of the host that reads an input on
which nothing ever comes. It is held by a filter of its own, because no launcher gives up its rights.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from functools import cache

from armillary.capability import bpf
from armillary.capability.bpf import Case, Check, Rule
from armillary.capability.confine import WAITING_USER
from armillary.capability.syscalls import ARCHITECTURES

# Which no library and no code of an image is among: each is looked for below folders that no image covers.
PROGRAMS = ("chroot", "env", "cat")

# To be executed, loaded and to read from what it has. No new process, socket, signal to others or name of a file.
_CALLS = (
    "execve exit exit_group brk mmap mprotect munmap mremap madvise arch_prctl set_tid_address set_robust_list "
    "rseq futex prlimit64 getrandom read readv pread64 lseek close fstat newfstatat stat statx access "
    "faccessat faccessat2 readlink readlinkat fadvise64 fcntl poll ppoll rt_sigaction rt_sigprocmask "
    "rt_sigreturn sigaltstack restart_syscall uname getuid geteuid getgid getegid sched_getaffinity "
    # 32-bit Arm's
    "mmap2 _llseek fstat64 fstatat64 stat64 fcntl64 arm_fadvise64_64 ugetrlimit set_tls cacheflush futex_time64 "
    "ppoll_time64 sigreturn getuid32 geteuid32 getgid32 getegid32"
)
# Once, by root, which becomes another user with them and can do nothing with them afterwards.
_CHANGES = ("chroot", "chdir", "setgroups", "setgid", "setuid")
# Numbers that an application's policy does not speak of.
_CHANGE_NUMBERS = {
    "x86_64": {"chroot": 161, "chdir": 80, "setgroups": 116, "setgid": 106, "setuid": 105},
    "aarch64": {"chroot": 51, "chdir": 49, "setgroups": 159, "setgid": 144, "setuid": 146},
    "armv7l": {"chroot": 61, "chdir": 12, "setgroups": 206, "setgid": 214, "setuid": 213},  # those with 32 bits
}
# open(2): how, and whether it makes or empties a file (O_ACCMODE, O_CREAT, O_TRUNC, all but O_DIRECTORY of O_TMPFILE)
_WRITES = 0o3 | 0o100 | 0o1000 | 0o20000000


@dataclass(frozen=True, slots=True)
class Waiting:
    """Paths of the programs, the same inside and outside."""

    chroot: str
    env: str
    cat: str

    def command(self, *, as_root: bool) -> tuple[str, ...]:
        """What bwrap executes. Whoever loses its parent inside is nobody's to wait for: the kernel forgets it."""
        user = f"+{WAITING_USER}"
        change = (self.chroot, f"--userspec={user}:{user}", "--groups=", "/") if as_root else ()
        return (*change, self.env, "--ignore-signal=CHLD", self.cat)


def waiting_arguments(programs: Waiting, *, filter_descriptor: int, as_root: bool) -> tuple[str, ...]:
    """The last arguments of bwrap, with the command.

    It is the first process inside. As root it needs the right to become another user, and gives it up with that.
    """
    rights = ("CAP_SETUID", "CAP_SETGID", "CAP_SYS_CHROOT") if as_root else ()
    given = [word for right in rights for word in ("--cap-add", right)]
    return (
        *("--as-pid-1", "--seccomp", str(filter_descriptor), *given),
        *("--", *programs.command(as_root=as_root)),
    )


@cache
def waiting_filter(architecture: str, *, as_root: bool) -> bytes:
    """Its filter, as an array of ``struct sock_filter``; whatever is not named returns EPERM."""
    known = ARCHITECTURES[architecture]
    allow = (Case(bpf.RET_ALLOW),)
    rules = [Rule(known.numbers[name], allow) for name in _CALLS.split() if name in known.numbers]
    if as_root:
        rules += [Rule(_CHANGE_NUMBERS[architecture][name], allow) for name in _CHANGES]
    for name, flags in (("open", 1), ("openat", 2)):
        if name in known.numbers:
            rules.append(Rule(known.numbers[name], (Case(bpf.RET_ALLOW, (Check(flags, 0, _WRITES),)),)))
    return bpf.assemble(
        rules, architecture=known.audit, default=bpf.failure(errno.EPERM), number_limit=known.number_limit
    )

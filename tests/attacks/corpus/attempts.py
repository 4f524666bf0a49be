# SPDX-License-Identifier: Apache-2.0
"""The table of the hostile corpus: each attempt, and what must stop it in each engine.

``linux`` (which stands for ``crun`` as well) and ``reduced`` name a mechanism of the engine's report. Where a host lacks it, and the report says so, the
attempt is not made; "" is what an engine never promises. ``control`` says where the same attempt works: ``outside`` in a
process without a sandbox, as root; else the name of an attempt with a target that is allowed, in the same run.
"""

from __future__ import annotations

from dataclasses import dataclass

OUTSIDE = "outside"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One row."""

    name: str
    linux: str
    reduced: str
    control: str = OUTSIDE

    def mechanism(self, engine: str) -> str:
        """What must stop it in an engine."""
        return self.reduced if engine == "reduced" else self.linux


def names_of(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


def rows(names: str, linux: str, reduced: str, control: str = OUTSIDE) -> tuple[Attempt, ...]:
    """Attempts that the same mechanisms stop."""
    return tuple(Attempt(name, linux, reduced, control) for name in names.split())


ATTEMPTS = (
    # Files of the kernel
    *rows("kallsyms cmdline memory-map-of-machine key-users core-pattern boot-id", "landlock", "landlock"),
    *rows("core-pattern-written hostname-written overcommit-written forwarding-written", "landlock", "landlock"),
    *rows("own-memory-score own-sessions-share", "landlock", "landlock"),
    *rows("mounts-of-host processes-of-host memory-score-of-victim", "namespaces", "landlock"),
    *rows("uevents cpu-vulnerabilities sys-kernel shadow kernel-log-device", "host-files", "host-files"),
    *rows("kernel-log block-device", "seccomp", "seccomp"),
    # Other processes; and its own place before them
    *rows("environment-of-victim environment-of-device memory-file-of-victim", "namespaces", "landlock"),
    *rows("root-of-device descriptors-of-device", "namespaces", "landlock"),
    *rows("memory-of-neighbour", "neighbours", "landlock"),
    *rows("trace-victim trace-device kcmp-victim read-memory-of-victim write-memory-of-victim", "seccomp", "seccomp"),
    *rows("priority-of-victim processors-of-victim limits-of-victim descriptor-of-victim", "seccomp", "seccomp"),
    *rows("signal-victim signal-device signal-victim-by-descriptor", "namespaces", "signals"),
    *rows("signal-victim-with-value signal-victim-by-pipe", "namespaces", "signals"),
    # Calls of the kernel
    *rows("keyring key io_uring bpf perf userfaultfd memory-file personality open_tree fsopen", "seccomp", "seccomp"),
    *rows("chroot host-name become-root join-groups mount file-handle", "seccomp", "seccomp"),
    # Namespaces
    *rows("new-user-namespace new-mounts new-network new-processes new-name new-ipc", "seccomp", "seccomp"),
    *rows("new-control-group new-time new-user-and-network join-namespace", "seccomp", "seccomp"),
    *rows("join-namespace-of-device clone-into-namespace clone3-into-namespace", "seccomp", "seccomp"),
    # The time of the machine
    *rows("set-clock set-time-of-day adjust-clock adjust-clock-by-id", "seccomp", "seccomp"),
    # The network
    *rows("raw-icmp raw-ip raw-tcp raw-icmp-ipv6 packets packets-of-xdp vsock vsock-datagram", "seccomp", "seccomp"),
    *rows("multipath routes socket-table firewall audit kernel-events", "seccomp", "seccomp"),
    *rows("tcp tcp-ipv6 tcp-mapped udp udp-ipv6 udp-mapped", "network-broker", "network-broker"),
    *rows("many-datagrams many-opening-fast message opening-fast broadcast", "network-broker", "network-broker"),
    *rows("abstract-socket socket-of-host tunnel-by-own-resolver", "network-broker", "network-broker"),
    *rows("tunnel-by-resolver tunnel-below-declared-name", "network-broker", "network-broker", "declared-name"),
    *rows("transparent", "capabilities", "capabilities"),
    # What there is only so much of
    *rows("fork-bomb thread-bomb", "resource-limits", "process-limit"),
    *rows("descriptors sockets-without-end locked-memory", "resource-limits", "resource-limits"),
    *rows("large-file", "temporary-storage-limit", "resource-limits"),
    *rows("message-queue", "seccomp", "seccomp"),
    # Files that are somebody else's, by way of its own
    *rows("secret storage-of-victim secret-written hard-link symbolic-link", "host-files", "host-files"),
    *rows("path-descriptor moved-in link-race", "host-files", "host-files"),
    # Which Landlock has no say in (landlock(7), current limitations)
    *rows("mode-of-host mode-of-folder times-of-host watch-of-host", "host-files", "seccomp"),
    *rows("mode-by-descriptor times-by-descriptor", "read-only-root", "seccomp"),
    *rows("lease", "seccomp", "seccomp"),
    # Last: its traces fill the memory that the application has
    *rows("inodes", "memory-limit", ""),
)
# What a kernel may be built without; then there is nothing to attack, and the control says so by one of these errors.
MAY_BE_MISSING = names_of(
    "kallsyms cmdline memory-map-of-machine key-users uevents cpu-vulnerabilities kernel-log-device keyring key io_uring "
    "own-sessions-share "
    "bpf perf userfaultfd personality file-handle vsock vsock-datagram packets-of-xdp multipath audit kernel-events "
    "firewall tcp-ipv6 udp-ipv6 raw-icmp-ipv6 message-queue new-time"
)
MISSING_ERRORS = names_of("ENOENT ENOSYS EAFNOSUPPORT EPROTONOSUPPORT ESOCKTNOSUPPORT EADDRNOTAVAIL EOPNOTSUPP")
# Attempts that must work, in the sandbox too.
ALLOWED = ("declared", "declared-name")

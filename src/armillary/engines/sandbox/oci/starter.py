# SPDX-License-Identifier: Apache-2.0
"""The program between the device and crun: it makes the bundle at a place that nobody else sees, and becomes crun.

Run by the host's interpreter as ``python3 -I -S -c SOURCE SPECIFICATION COMMAND... CHANNEL``, in the application's
control groups. SPECIFICATION is a descriptor with JSON (:func:`main`), COMMAND the launcher's, which ends with its
source, CHANNEL the inherited socket that the launcher is given. It imports the standard library only.

- It ends with the device (PR_SET_PDEATHSIG), and so does crun, which it becomes; the first program inside ends with
  crun, and everything inside with that.
- Bundle and state are in memory, mounted in a mount namespace of its own: whoever is killed leaves an empty folder.
- /sys/fs/cgroup is covered there. crun refuses hosts that have control groups of both versions, and has no business
  with them: the device made the groups, and this program is in them.
- Standard input is an empty pipe: crun gives its standard streams to the application's user, and the host's /dev/null
  would be one of them.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import sys
from typing import Any

LIBC = ctypes.CDLL(None, use_errno=True)
MOVE_MOUNT = 429  # the same number on every architecture
# linux/sched.h, linux/mount.h, linux/prctl.h
CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000
MS_NOSUID, MS_NODEV, MS_REC, MS_PRIVATE = 1 << 1, 1 << 2, 1 << 14, 1 << 18
AT_FDCWD, MOVE_MOUNT_F_EMPTY_PATH = -100, 4
PR_SET_PDEATHSIG = 1
# The bundle and crun's state: some tens of kilobytes.
BUNDLE_SIZE_BYTES = 4 * 1024 * 1024
CONTROL_GROUPS = "/sys/fs/cgroup"
HANDED_ON = 3  # the first descriptor that crun hands on


def check(result: int, what: str) -> None:
    """Raise OSError where a call of the C library failed."""
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")


def end_with(supervisor: int) -> None:
    """End when the supervisor does."""
    check(LIBC.prctl(PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL), 0, 0, 0), "parent death signal")
    if os.getppid() != supervisor:
        raise ProcessLookupError("the device is gone")


def own_mounts(*, as_user: bool) -> None:
    """A mount namespace of its own; as a user, in a user namespace in which this user is root."""
    user, group = os.geteuid(), os.getegid()
    check(LIBC.unshare(CLONE_NEWNS | (CLONE_NEWUSER if as_user else 0)), "namespaces")
    if as_user:
        for name, value in (("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")):
            write(f"/proc/self/{name}", value)
    check(LIBC.mount(None, b"/", None, ctypes.c_ulong(MS_REC | MS_PRIVATE), None), "private mounts")


def memory(path: str, size: int) -> None:
    """Mount memory at a folder."""
    options = f"mode=0755,size={size}".encode()
    flags = ctypes.c_ulong(MS_NOSUID | MS_NODEV)
    check(LIBC.mount(b"tmpfs", path.encode(), b"tmpfs", flags, options), f"memory at {path}")


def place_storage(mount: int, path: str) -> None:
    """Put the mount that the device made at a path."""
    os.mkdir(path)  # noqa: PTH102 - no pathlib in here
    arguments = (ctypes.c_int(mount), ctypes.c_char_p(b""), ctypes.c_int(AT_FDCWD), ctypes.c_char_p(path.encode()))
    check(LIBC.syscall(ctypes.c_long(MOVE_MOUNT), *arguments, MOVE_MOUNT_F_EMPTY_PATH), "storage")
    os.close(mount)


def write(path: str, content: str) -> None:
    """Write a file."""
    with open(path, "w", encoding="utf-8") as file:  # noqa: PTH123
        file.write(content)


def make_bundle(asked: dict[str, Any], command: list[str]) -> None:
    """Write the bundle, in which the interpreter runs the receiver, and the receiver the launcher, from files."""
    folder = asked["folder"]
    root = f"{folder}/{asked['root']}"
    os.mkdir(root)  # noqa: PTH102
    for path in asked["folders"]:
        os.makedirs(root + path, exist_ok=True)  # noqa: PTH103
    for target, path in asked["links"]:
        os.makedirs(os.path.dirname(root + path), exist_ok=True)  # noqa: PTH103, PTH120
        os.symlink(target, root + path)  # noqa: PTH211
    *interpreter, _, source = command  # without -c
    for path, content in (*asked["files"].items(), (asked["launcher"], source)):
        write(root + path, content)
        os.chmod(root + path, 0o444)  # noqa: PTH101
    asked["config"]["process"]["args"] += [*interpreter, asked["receiver"], asked["launcher"]]
    write(f"{folder}/config.json", json.dumps(asked["config"]))


def hand_on(channel: int) -> None:
    """Leave the channel in a socket that crun hands on, and standard input empty; close everything else."""
    ours, theirs = socket.socketpair()
    socket.send_fds(ours, [b" "], [channel])
    ours.close()
    os.dup2(os.pipe()[0], 0)
    os.dup2(theirs.detach(), HANDED_ON)
    os.set_inheritable(HANDED_ON, True)  # where it had that number before
    os.closerange(HANDED_ON + 1, 65536)


def main(specification: int, command: list[str], channel: int) -> None:
    """Become crun; does not return.

    The specification has ``crun`` (a path), ``folder`` (an empty one), ``supervisor`` (process id), ``as_user``,
    ``storage`` (a descriptor, or null) with its place ``storage_path``, ``root``, ``folders``, ``links``, ``files``,
    ``receiver`` and ``launcher`` (paths inside) and ``config``.
    """
    os.umask(0o022)
    with os.fdopen(specification) as file:
        asked = json.load(file)
    own_mounts(as_user=asked["as_user"])
    end_with(asked["supervisor"])
    memory(asked["folder"], BUNDLE_SIZE_BYTES)
    if os.path.isdir(CONTROL_GROUPS):  # noqa: PTH112
        memory(CONTROL_GROUPS, 0)
    if asked["storage"] is not None:
        place_storage(asked["storage"], asked["storage_path"])
    make_bundle(asked, command)
    hand_on(channel)
    state = f"{asked['folder']}/state"
    options = ("--cgroup-manager=disabled", "--root", state, "run", "--preserve-fds=1", "--bundle", asked["folder"])
    os.execv(asked["crun"], [asked["crun"], *options, "application"])  # noqa: S606 - its purpose


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]), sys.argv[2:-1], int(sys.argv[-1]))
    except (OSError, ValueError, KeyError) as error:
        sys.stderr.write(f"the container was not prepared: {error}\n")
        sys.exit(125)

# SPDX-License-Identifier: Apache-2.0
"""From what an application finds inside to the arguments of bwrap. Source: bwrap(1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from armillary.capability.confine import TEMPORARY_SIZE_BYTES, Folders, ImageTree, Runtime
from armillary.capability.layout import Kind, Place, places

_HIDDEN = (Kind.HIDDEN_FILE, Kind.HIDDEN_FOLDER)
_NAMESPACES = ("--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try")


def bubblewrap_arguments(
    runtime: Runtime,
    image: ImageTree,
    folders: Folders,
    *,
    generated: Mapping[str, int],
    user_namespace: int | None,
    hides: bool = True,
) -> tuple[str, ...]:
    """Arguments of bwrap up to what is about its command (:mod:`waiting`).

    ``generated`` maps paths inside to the descriptors that their content is read from. With ``user_namespace`` bwrap
    makes one and is this user in it (unprivileged supervisor). The command has no capability: the launcher enters the
    sandbox from outside (``engines/sandbox/serving``). Without ``hides`` the launcher covers parts of /proc: bwrap
    reads the list of all mounts again with each, which takes longer than everything else that a start does.
    """
    arguments = [*_NAMESPACES, "--die-with-parent", "--new-session", "--hostname", "armillary", "--clearenv"]
    # The command is a program of the host, and not the application's user: it takes no library of the image's.
    arguments += ["--setenv", "LD_LIBRARY_PATH", ":".join(runtime.library_search)]
    arguments += _identity_arguments(user_namespace)
    for place in places(runtime, image, folders, generated):
        if hides or place.kind not in _HIDDEN:
            arguments += _words(place, generated)
    return (*arguments, "--remount-ro", "/", "--chdir", "/")


def _identity_arguments(user_namespace: int | None) -> list[str]:
    identity = str(user_namespace)
    own = [] if user_namespace is None else ["--unshare-user", "--uid", identity, "--gid", identity]
    return [*own, "--cap-drop", "ALL"]


def _words(place: Place, generated: Mapping[str, int]) -> tuple[str, ...]:
    """The arguments that put one thing in its place."""
    if place.kind is Kind.FILE:
        return ("--perms", "0444", "--file", str(generated.get(place.path)), place.path)
    return _WORDS[place.kind](place.path, place.source)


# By kind, of the path inside and the source. Each start needs many: they are not made anew for each place.
_WORDS: Mapping[Kind, Callable[[str, str], tuple[str, ...]]] = {
    Kind.FOLDER: lambda path, _: ("--perms", "0755", "--dir", path),
    Kind.LINK: lambda path, source: ("--symlink", source, path),
    Kind.READ: lambda path, source: ("--ro-bind", source, path),
    Kind.READ_ALL: lambda path, source: ("--ro-bind", source, path),
    Kind.WRITE: lambda path, source: ("--bind", source, path),
    Kind.DEVICE: lambda path, source: ("--dev-bind", source, path),
    Kind.PROCESSES: lambda path, _: ("--proc", path),
    Kind.HIDDEN_FILE: lambda path, _: ("--ro-bind", "/dev/null", path),
    Kind.HIDDEN_FOLDER: lambda path, _: (
        *("--perms", "0555", "--size", "4096", "--tmpfs", path),
        *("--remount-ro", path),
    ),
    Kind.TEMPORARY: lambda path, _: ("--perms", "1777", "--size", str(TEMPORARY_SIZE_BYTES), "--tmpfs", path),
}

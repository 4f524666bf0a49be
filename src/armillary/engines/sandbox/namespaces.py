# SPDX-License-Identifier: Apache-2.0
"""What engines with namespaces do alike: self-test, the folders of an application, its own files, its launcher."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from armillary.capability import confine, network
from armillary.capability.confine import Folders, ImageTree, Runtime
from armillary.capability.grant import Grant
from armillary.capability.image_checks import covering_fault
from armillary.engines.sandbox.control_groups import report as group_report
from armillary.engines.sandbox.control_groups.groups import DeviceGroups
from armillary.engines.sandbox.linux_report import NOT_ROOT, QUOTA, absent_images, judges, no_images
from armillary.engines.sandbox.network import kernel
from armillary.engines.sandbox.patience import Patience
from armillary.engines.sandbox.port import Launch, RunningApplication, Sandbox, SandboxReport
from armillary.engines.sandbox.start import host
from armillary.engines.sandbox.start.entry import GIVES_WAY, check_launch, environment, refuse_image
from armillary.engines.sandbox.storage.image import prepare
from armillary.engines.sandbox.within.image_root import give_tree, share_tree_with_group
from armillary.engines.sandbox.within.self_test import judge_all, observe
from armillary.errors import InstallError

USERS = "application:x:{user}:{group}::/tmp:/nonexistent\n"
GROUPS = "application:x:{group}:\n"
NAME_SERVICE = b"passwd: files\ngroup: files\nhosts: files dns\n"


def tested(
    sandbox: Sandbox, groups: DeviceGroups, *, as_root: bool, weaker: tuple[str, ...], patience: Patience
) -> SandboxReport:
    """Run the probes in a sandbox; ``weaker`` is what the engine says of itself on every host."""
    seen = observe(sandbox, storage=as_root, within_s=patience.test_s)
    reason = seen.no_storage if as_root else NOT_ROOT
    asked = {**judges(as_root=as_root, images=not reason), **group_report.judges(groups)}
    sentences = (*weaker, *((no_images(reason),) if reason else ()), *group_report.weaker(groups))
    absent = (*absent_images(reason), *group_report.absent(groups))
    return SandboxReport(sandbox.name, judge_all(asked, seen), sentences, absent)


def holds(report: SandboxReport | None, mechanism: str) -> bool:
    """Whether a self-test has seen that a mechanism holds."""
    return report is not None and any(each.name == mechanism and each.enforced for each in report.mechanisms)


def image_tree(launch: Launch) -> ImageTree:
    """What is at the top of its image.

    Raises:
        InstallError: something would cover what the sandbox puts there.
    """
    tree = host.image_tree(launch.image_root)
    covering = tree.covering(host.runtime().folders)
    if covering:
        fault = covering_fault(covering)
        raise InstallError(str(fault), remedy=fault.remedy)
    return tree


def application_user(launch: Launch) -> int:
    """The user that an application is inside."""
    return confine.application_user(launch.manifest.component_id)


def give_folders(launch: Launch) -> None:
    """As root, let the application's own user access its folders and serial ports."""
    user = application_user(launch)
    if launch.data is not None and (launch.storage is None or not launch.storage.exists()):
        give_tree(launch.data, user)
    if launch.device_authentication is not None:
        share_tree_with_group(launch.device_authentication)
    for node in launch.serial_ports.values():
        os.chown(node, user, -1)  # the device gives it back to its owner when it ends


async def started(
    launch: Launch,
    begin: Callable[[ImageTree, int], Awaitable[RunningApplication]],
    *,
    report: SandboxReport | None,
    own_user: bool,
) -> RunningApplication:
    """Start an application; see ``port.Sandbox.start``. An engine begins it with its image and its storage's mount."""
    check_launch(launch)
    tree = image_tree(launch)
    storage = await opened_storage(launch, mounts=own_user and (report is None or holds(report, QUOTA)))
    try:
        if own_user:
            give_folders(launch)
        return await begin(tree, storage)
    finally:
        if storage >= 0:
            os.close(storage)  # the application's own mounts hold it from now on


async def opened_storage(launch: Launch, *, mounts: bool) -> int:
    """As :func:`open_storage`, in a thread where there is something to mount: without, none is woken."""
    if launch.data is None or launch.storage is None:
        return -1
    return await asyncio.to_thread(open_storage, launch, mounts=mounts)


def open_storage(launch: Launch, *, mounts: bool) -> int:
    """The mount of its mutable storage, or -1 where that is a folder; ``mounts`` where this host can have one."""
    if launch.data is None or launch.storage is None:
        return -1
    if not mounts:
        refuse_image(launch)
        return -1
    user = application_user(launch)
    if not launch.storage.exists():
        give_tree(launch.data, user)  # it moves in as it is
    return prepare(launch.storage, launch.data, size_kb=launch.grant.mutable_storage_kb, user=user)


def folders(launch: Launch, storage: int) -> Folders:
    """The folders of the host that it is given; ``storage`` as :func:`open_storage` returned it."""
    return Folders(
        data=_text(launch.data),
        device_authentication=_text(launch.device_authentication),
        serial_ports={name: str(node.resolve()) for name, node in launch.serial_ports.items()},
        interface=_text(launch.interface),
        mounted=storage >= 0,
        full=launch.storage_full and storage < 0,
    )


def own_files(grant: Grant) -> Mapping[str, bytes]:
    """The files that each application has of its own, by path."""
    user = confine.application_user(grant.component_id)
    return {
        "/etc/hosts": network.hosts_file(grant.hosts),
        "/etc/resolv.conf": network.resolver_configuration(),
        "/etc/nsswitch.conf": NAME_SERVICE,
        "/etc/passwd": USERS.format(user=user, group=user).encode(),
        "/etc/group": GROUPS.format(group=user).encode(),
    }


def groups(given: Folders) -> list[int]:
    """The groups of an application beside its own, where it has a user of its own."""
    return [confine.DEVICE_AUTHENTICATION_GROUP] if given.device_authentication is not None else []


def launcher(launch: Launch, runtime: Runtime, tree: ImageTree, given: Folders) -> dict[str, Any]:
    """What the launcher is asked for; an engine adds what it leaves to it."""
    abi = kernel.landlock_abi()
    return {
        "identity": None,
        "hidden": None,
        "noexec": None,
        "priority": GIVES_WAY,
        "drop_capabilities": True,
        "limits": {},
        "landlock": confine.landlock_rules(abi, confine.inside_paths(runtime, tree, given)) if abi else None,
        "new_session": False,  # the engine's program made one
        "supervisor": 0,  # that program watches its parent, and the whole process namespace ends with it
        "directory": "/",
        "argv": launch.command(launch.manifest.entry_point),
        "environment": environment(
            launch,
            runtime.search_path,
            temporary=confine.TEMPORARY_FOLDER,
            data=confine.DATA_FOLDER,
            device_authentication=confine.DEVICE_AUTHENTICATION_FOLDER,
            serial_ports={name: confine.serial_path(name) for name in given.serial_ports},
            interface=confine.APPLICATION_SOCKET,
        ),
    }


def is_native(launch: Launch) -> bool:
    """Whether its entry point is a program of the machine; a script's interpreter says itself where it was."""
    with (launch.image_root / launch.manifest.entry_point.removeprefix("/")).open("rb") as file:
        return file.read(4) == b"\x7fELF"


def memory_file(content: bytes) -> int:
    """A descriptor from which a child reads this content."""
    descriptor = os.memfd_create("armillary-sandbox")
    os.write(descriptor, content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path.resolve())

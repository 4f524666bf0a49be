# SPDX-License-Identifier: Apache-2.0
"""What the kernel is told for a grant."""

from __future__ import annotations

from uuid import UUID

import pytest

from armillary.capability import confine
from armillary.capability.bubblewrap import bubblewrap_arguments
from armillary.capability.confine import Folders, ImageTree, Runtime
from armillary.capability.grant import Grant
from armillary.capability.network import allowed_hosts

COMPONENT = UUID(int=7)
RUNTIME = Runtime(
    interpreter="/opt/python/bin/python3",
    folders=("/usr", "/opt/python"),
    links=(("usr/lib", "/lib"), ("usr/lib64", "/lib64")),
    library_links=(("/usr/lib/ld-linux.so", "/lib/ld-linux.so"), ("/usr/lib/arm", "/lib/arm")),
    files=("/etc/ssl/certs",),
    masked_files=("/proc/kcore",),
    masked_folders=("/proc/acpi",),
    library_search=("/usr/lib/arm", "/opt/python/lib"),
)
PLAIN = ImageTree(root="/image", entries=("app_manifest.json", "bin"))
WITH_LIBRARIES = ImageTree(root="/image", entries=("bin", "lib"), library_entries=("paho", "arm"))


def a_grant(**values: object) -> Grant:
    return Grant(component_id=COMPONENT, hosts=allowed_hosts([]), **values)  # type: ignore[arg-type]


def arguments(
    image: ImageTree = PLAIN,
    folders: Folders | None = None,
    *,
    user_namespace: int | None = None,
) -> str:
    found = bubblewrap_arguments(
        RUNTIME, image, folders or Folders(), generated={"/etc/hosts": 9}, user_namespace=user_namespace
    )
    return " ".join(found)


def test_all_namespaces_and_no_capabilities() -> None:
    text = arguments()
    for wanted in ("--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"):
        assert wanted in text
    for wanted in ("--die-with-parent", "--new-session", "--clearenv", "--cap-drop ALL"):
        assert wanted in text
    assert "--share-net" not in text


def test_only_without_root_there_is_a_user_namespace_and_nothing_inside_has_a_capability() -> None:
    assert "--unshare-user" not in arguments()
    assert "--unshare-user --uid 1234 --gid 1234 --cap-drop ALL" in arguments(user_namespace=1234)
    for text in (arguments(), arguments(user_namespace=1234)):
        assert "--cap-add" not in text


def test_the_root_is_made_read_only_last_and_only_named_folders_are_writable() -> None:
    text = arguments(folders=Folders(data="/data/a", device_authentication="/daa"))
    assert text.endswith("--remount-ro / --chdir /")
    assert "--bind /data/a /mnt/data" in text
    assert "--ro-bind /daa /run/armillary/daa" in text
    assert text.count(" --bind ") == 1
    assert "/mnt/data" not in arguments()[arguments().index("--proc") :]


def test_proc_is_masked_and_dev_is_five_devices() -> None:
    text = arguments()
    assert "--ro-bind /dev/null /proc/kcore" in text
    assert "--tmpfs /proc/acpi --remount-ro /proc/acpi" in text
    assert "--proc /proc --perms 0555 --size 4096 --tmpfs /proc/1 --remount-ro /proc/1" in text
    assert "--dev-bind /dev/null /dev/null" in text
    assert text.count("--dev-bind") == 5
    assert "--dev " not in text


def test_a_serial_port_is_the_one_device_of_the_board_that_is_there() -> None:
    folders = Folders(serial_ports={"UART2": "/dev/ttyS1"})
    text = arguments(folders=folders)
    assert "--dev-bind /dev/ttyS1 /dev/UART2" in text
    assert text.count("--dev-bind") == 6
    allowed = dict(confine.inside_paths(RUNTIME, PLAIN, folders))
    assert allowed["/dev/UART2"] == confine.SERIAL
    assert [path for path, rights in allowed.items() if rights & confine.IOCTL_DEVICE] == ["/dev/UART2"]
    assert confine.filter_policy(a_grant(), namespaces=True, serial=True).serial
    assert not confine.filter_policy(a_grant(), namespaces=True).serial


def test_temporary_storage_has_a_size() -> None:
    assert "--size 1048576 --tmpfs /tmp" in arguments()


def test_a_host_library_folder_gives_way_to_the_images_and_keeps_the_loader() -> None:
    plain = arguments()
    assert "--symlink usr/lib /lib" in plain
    assert "ld-linux" not in plain
    merged = arguments(WITH_LIBRARIES)
    assert "--symlink usr/lib /lib " not in merged
    assert "--ro-bind /image/lib/paho /lib/paho" in merged
    assert "--symlink /usr/lib/ld-linux.so /lib/ld-linux.so" in merged
    assert "--symlink /usr/lib/arm /lib/arm" not in merged  # the image's own entry wins


def test_the_launcher_begins_with_the_hosts_loader_and_libraries() -> None:
    """It is a program of the host and still privileged: nothing of an image may be in it."""
    assert "--clearenv --setenv LD_LIBRARY_PATH /usr/lib/arm:/opt/python/lib " in arguments(WITH_LIBRARIES)
    own_loader = ImageTree(root="/image", entries=("lib",), library_entries=("ld-linux.so", "ld-musl.so"))
    text = arguments(own_loader)
    assert "/image/lib/ld-linux.so" not in text
    assert "--symlink /usr/lib/ld-linux.so /lib/ld-linux.so" in text
    assert "--ro-bind /image/lib/ld-musl.so /lib/ld-musl.so" in text
    covering = ImageTree(root="/image", entries=("bin", "opt"))
    assert (covering.reserved, covering.covering(RUNTIME.folders)) == ((), ("opt",))


def test_parents_are_made_for_everybody() -> None:
    assert "--perms 0755 --dir /opt --perms 0755 --dir /run" in arguments()


@pytest.mark.parametrize("name", sorted(confine.RESERVED_NAMES))
def test_an_image_cannot_bring_its_own_system_folders(name: str) -> None:
    assert ImageTree(root="/image", entries=("bin", name)).reserved == (name,)


def test_an_image_of_its_own_names_is_fine() -> None:
    assert not PLAIN.reserved
    assert not WITH_LIBRARIES.reserved


def test_limits_follow_the_grant() -> None:
    assert confine.resource_limits(a_grant())["FSIZE"] == 1024 * 1024
    assert confine.resource_limits(a_grant(mutable_storage_kb=4096))["FSIZE"] == 4096 * 1024
    assert confine.resource_limits(a_grant())["CORE"] == 0


def test_policy_follows_the_grant() -> None:
    assert confine.filter_policy(a_grant(), namespaces=True).listen
    assert confine.filter_policy(a_grant(), namespaces=True).sessions
    without = confine.filter_policy(a_grant(), namespaces=False)
    assert (without.listen, without.sessions) == (False, False)
    assert confine.filter_policy(a_grant(tcp_server_ports=frozenset({80})), namespaces=False).listen


def test_users_are_stable_distinct_and_out_of_everybodys_way() -> None:
    users = {confine.application_user(UUID(int=number)) for number in range(500)}
    assert len(users) == 500
    assert all(0x70000001 <= user < 0x7FFFFFFF for user in users)
    assert confine.application_user(COMPONENT) == confine.application_user(COMPONENT)
    assert confine.DEVICE_AUTHENTICATION_GROUP not in users


@pytest.mark.parametrize(
    ("abi", "files", "size", "network", "scoped"),
    [
        (1, 0x1FFF, 8, 0, 0),
        (2, 0x3FFF, 8, 0, 0),
        (3, 0x7FFF, 8, 0, 0),
        (4, 0x7FFF, 16, 3, 0),
        (5, 0xFFFF, 16, 3, 0),
        (6, 0xFFFF, 24, 3, 3),
        (7, 0xFFFF, 24, 3, 3),
    ],
)
def test_landlock_asks_for_what_the_kernel_knows(abi: int, files: int, size: int, network: int, scoped: int) -> None:
    rules = confine.landlock_rules(abi, [("/usr", confine.RUN)])
    assert (rules["handled_files"], rules["attribute_bytes"]) == (files, size)
    assert (rules["handled_network"], rules["scoped"]) == (network, scoped)
    assert "ports" not in rules  # the supervisor connects and binds


def test_nothing_writable_is_executable() -> None:
    paths = confine.inside_paths(RUNTIME, WITH_LIBRARIES, Folders(data="/d", device_authentication="/a"))
    for path, rights in paths:
        assert not (rights & confine.WRITE_FILE and rights & confine.EXECUTE), path
    writable = {path for path, rights in paths if rights & confine.MAKE_REG}
    assert writable == {"/tmp", "/mnt/data"}

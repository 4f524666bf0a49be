# SPDX-License-Identifier: Apache-2.0
"""Regression: CVE-2019-10063. Typing into a terminal must be refused whatever bits the kernel does not read."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from tests.engines.sandbox.sandbox_stage import Stage

from armillary.capability.seccomp import Policy, compile_filter
from armillary.engines.sandbox.linux import LinuxSandbox
from armillary.engines.sandbox.network import kernel

REQUESTS = [
    low | high << 32
    for low in (0x5412, 0x541C)
    for high in (0, 1, 0x80000000, 0xFFFFFFFF)  # TIOCSTI, TIOCLINUX
]
CODE = f"""
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
for request in {REQUESTS}:
    ctypes.set_errno(0)
    libc.syscall({{number}}, 0, ctypes.c_ulong(request), b"x")
    print(errno.errorcode.get(ctypes.get_errno(), "none"))
""".replace("{number}", '{"x86_64": 16, "aarch64": 29}[os.uname().machine]')


def test_the_kernel_never_sees_the_request(stage: Stage, namespaces: LinuxSandbox) -> None:
    assert stage.run(namespaces, CODE).lines == ["EPERM"] * len(REQUESTS)


def test_control_without_the_rule_it_does(stage: Stage, namespaces: LinuxSandbox) -> None:
    """Without the rule every one of them arrives: /dev/null answers ENOTTY."""

    class WithoutRule(LinuxSandbox):
        def plan(self, *arguments: Any) -> Any:
            program = compile_filter(kernel.machine(), Policy(without=frozenset({"ioctl"})))
            return dataclasses.replace(super().plan(*arguments), filter=program)

    sandbox = WithoutRule(namespaces.bubblewrap, namespaces.own_user)
    assert stage.run(sandbox, CODE).lines == ["ENOTTY"] * len(REQUESTS)


@pytest.mark.parametrize("device", ["/dev/tty", "/dev/console", "/dev/ptmx", "/dev/pts"])
def test_there_is_no_terminal_to_type_into(stage: Stage, namespaces: LinuxSandbox, device: str) -> None:
    code = f"import os\ntry: os.open({device!r}, os.O_RDWR); print('opened')\nexcept OSError: print('refused')"
    assert stage.run(namespaces, code).lines == ["refused"]

# SPDX-License-Identifier: Apache-2.0
"""Namespaces of a process, on a kernel that lacks one kind as the image's own does."""

from __future__ import annotations

import os

import pytest

from armillary.engines.sandbox.serving import kernel_calls


def test_a_kernel_without_user_namespaces_has_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    there = os.listdir("/proc/self/ns")  # noqa: PTH208 - what is replaced
    monkeypatch.setattr(os, "listdir", lambda _path: [name for name in there if name != "user"])
    found = kernel_calls.namespaces_of("self")
    assert "user" not in found
    assert {"pid", "mnt", "net"} <= found.keys() <= kernel_calls.NAMESPACES.keys()

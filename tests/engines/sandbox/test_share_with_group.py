# SPDX-License-Identifier: Apache-2.0
"""Who may read a device's certificate, also where root is root of a user namespace only."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from armillary.engines.sandbox.within.image_root import share_with_group


def _root_whose_chown_ends_with(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def chown(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "chown", chown)


def test_without_such_a_group_files_stay_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = tmp_path / "key.pem"
    key.write_bytes(b"secret")
    key.chmod(0o600)
    _root_whose_chown_ends_with(monkeypatch, errno.EINVAL)
    share_with_group(key)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_any_other_refusal_is_not_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _root_whose_chown_ends_with(monkeypatch, errno.EPERM)
    with pytest.raises(PermissionError):
        share_with_group(tmp_path)

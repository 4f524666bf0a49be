# SPDX-License-Identifier: Apache-2.0
"""Playbooks: any text is read as playbooks, or is a WireError; none that is read is a weapon."""

from __future__ import annotations

import contextlib

from armillary import content
from armillary.errors import WireError
from armillary.response.action import KINDS
from armillary.response.playbook import SEEN_BY_SERVICE
from armillary.response.playbook_file import read_playbooks


def seeds() -> list[bytes]:
    return [text.encode() for text in content.playbook_files().values()]


def fuzz(data: bytes) -> None:
    with contextlib.suppress(WireError):
        for playbook in read_playbooks(data.decode("utf-8", "replace"), "file"):
            automatic = [KINDS[step.kind] for step in playbook.steps if step.is_automatic]
            assert not any(kind.only_proposed for kind in automatic)
            assert playbook.kinds <= SEEN_BY_SERVICE or not any(kind.restricts for kind in automatic)

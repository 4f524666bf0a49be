# SPDX-License-Identifier: Apache-2.0
"""Profiles of equipment: any bytes are a profile or one ProfileError; what is read is written back the same."""

from __future__ import annotations

from armillary import content
from armillary.content import equipment
from armillary.guard.compiling import compile_profile
from armillary.guard.interface import dtdl_interface
from armillary.wire.equipment.faults import ProfileError
from armillary.wire.equipment.profile_reader import canonical, profile_document, read_json, read_profile


def seeds() -> list[bytes]:
    files = [(content.folder("equipment") / f"{name}.yaml").read_bytes() for name in equipment.names()]
    return files + [canonical(profile_document(equipment.load(name))) for name in equipment.names()]


def fuzz(data: bytes) -> None:
    try:
        profile = read_profile(read_json(data)) if data[:1] == b"{" else equipment.read_text(data, "file")
        compiled = compile_profile(profile)
    except ProfileError:
        return
    stored = canonical(profile_document(profile))
    assert read_profile(read_json(stored)) == profile
    slots = [slot for block in (*compiled.blocks, *compiled.frames.values()) for slot in block.slots]
    assert len(slots) == len(profile.all_points)
    assert len(dtdl_interface(profile)["contents"]) <= 300

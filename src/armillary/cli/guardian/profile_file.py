# SPDX-License-Identifier: Apache-2.0
"""Profiles that a person named: a file (YAML, JSON, signed), or a shipped one, ``coffee`` or ``guard/coffee``."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from armillary.cli.terminal.files import read_file
from armillary.content import equipment
from armillary.wire.equipment import signed_file
from armillary.wire.equipment.faults import ProfileError
from armillary.wire.equipment.profile import Profile
from armillary.wire.equipment.profile_reader import read_json, read_profile

SHIPPED: Final = "guard/"  # Names of shipped profiles begin so
MAX_FILE_BYTES: Final = signed_file.MAX_ENVELOPE_BYTES


def read_profile_file(file: str) -> Profile:
    """The profile of a file, by its ending: ``.json``, ``.dsse`` (its signatures are not verified), else YAML.

    Raises:
        InvalidArgumentError: the file cannot be read.
        ProfileError: it breaks the form or a rule.
        SignatureError: ``.dsse``: it is no envelope.
    """
    path = Path(file)
    shipped = file.removeprefix(SHIPPED)
    if path.suffix == "" and shipped in equipment.names() and not path.exists():
        return equipment.load(shipped)
    data = read_file(path, limit=MAX_FILE_BYTES)
    if path.suffix == ".json":
        return read_profile(read_json(data, file), file=file)
    if path.suffix == ".dsse":
        envelope = signed_file.read_envelope(data)
        if envelope.payload_type != signed_file.PROFILE:
            raise ProfileError("", expected=signed_file.PROFILE, got=ascii(envelope.payload_type)[:80], file=file)
        return read_profile(read_json(envelope.payload, file), file=file)
    return equipment.read_text(data, file)

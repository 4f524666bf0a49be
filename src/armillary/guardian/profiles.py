# SPDX-License-Identifier: Apache-2.0
"""Which profile a piece of equipment has: the newest that a trusted key signed, from the image or from the hub.

A profile that came by the hub is kept in the guardian's storage, so that it starts without the cloud. A version that is
lower than the highest ever taken is refused, also where an older image brings it.

Files in the storage: ``profiles/{equipment}.dsse`` (the envelope that was taken), ``profiles/{equipment}.version`` (the
highest version, decimal).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from armillary.errors import ArmillaryError
from armillary.guardian.configuration import EquipmentEntry
from armillary.guardian.durable_file import read_if_there, write_file
from armillary.guardian.log import log
from armillary.wire.equipment.faults import ProfileError
from armillary.wire.equipment.profile import Profile
from armillary.wire.equipment.profile_reader import read_json, read_profile
from armillary.wire.equipment.signed_file import PROFILE, TrustedKey, verify


@dataclass(frozen=True, slots=True)
class ProfileStore:
    """The profiles of a guardian: ``image`` has those it was made with, ``data`` those that came since."""

    image: Path
    data: Path
    keys: Sequence[TrustedKey]

    def load(self, entry: EquipmentEntry) -> Profile:
        """The profile that is in force.

        Raises:
            ProfileError, SignatureError: neither the image's nor the kept one can be used.
            OSError: the storage cannot be written.
        """
        shipped = self._read((self.image / entry.profile).read_bytes())
        kept = self._kept(entry, shipped.name)
        found = shipped if kept is None or kept.version <= shipped.version else kept
        self._check_version(entry, found)
        self._remember(entry, found)
        return found

    def take(self, entry: EquipmentEntry, envelope: bytes, name: str, check: Callable[[Profile], object]) -> Profile:
        """Take a newer profile of this name, if ``check`` raises nothing.

        Raises:
            ProfileError, SignatureError: it is not signed, of another name, lower than the highest there was, or
                another of the present version.
            OSError: the storage cannot be written.
        """
        found = self._read(envelope)
        if found.name != name:
            raise ProfileError("profile", expected=f"profile {name}", got=found.name, rule="name")
        self._check_version(entry, found)
        present = self.load(entry)
        if found.version == present.version and found != present:
            expected = f"more than {present.version}, which is another one"
            raise ProfileError("version", expected=expected, got=str(found.version), rule="rollback")
        check(found)
        write_file(self._path(entry, "dsse"), envelope)
        self._remember(entry, found)
        return found

    def _kept(self, entry: EquipmentEntry, name: str) -> Profile | None:
        """What came by the hub; None where there is none that fits. A damaged file loses to the image's."""
        envelope = read_if_there(self._path(entry, "dsse"))
        if envelope is None:
            return None
        try:
            found = self._read(envelope)
        except ArmillaryError as error:
            log(f"{entry.name}: the profile that was kept cannot be used: {error.message}")
            return None
        return found if found.name == name else None

    def _read(self, envelope: bytes) -> Profile:
        return read_profile(read_json(verify(envelope, self.keys, PROFILE).payload))

    def _check_version(self, entry: EquipmentEntry, found: Profile) -> None:
        highest = int(read_if_there(self._path(entry, "version")) or b"0")
        if found.version < highest:
            raise ProfileError("version", expected=f"at least {highest}", got=str(found.version), rule="rollback")

    def _remember(self, entry: EquipmentEntry, found: Profile) -> None:
        path = self._path(entry, "version")
        if int(read_if_there(path) or b"0") < found.version:
            write_file(path, str(found.version).encode())

    def _path(self, entry: EquipmentEntry, kind: str) -> Path:
        return self.data / "profiles" / f"{entry.name}.{kind}"

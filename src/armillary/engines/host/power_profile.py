# SPDX-License-Identifier: Apache-2.0
"""The balance of a host between performance and power, by the files that Linux has for it below ``/sys``.

Three kinds, and a host has any of them or none:

- the platform's own profiles (``firmware/acpi/platform_profile``, Documentation/ABI/testing/sysfs-platform_profile);
- a preference of each processor policy (``energy_performance_preference``), which drivers take only under the governor
  that scales (``powersave`` of intel_pstate and amd-pstate);
- the governor of each policy (``scaling_governor``), where it has no such preference.

What they were before is kept in a file, so that a device that was killed gives them back at its next start.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from armillary.engines.durable import write_file
from armillary.errors import DataFolderError

Profile = Literal["power-saver", "balanced", "high-performance"]
SYSFS: Final = Path("/sys")
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_PLATFORM: Final = Path("firmware/acpi/platform_profile")
_POLICIES: Final = Path("devices/system/cpu/cpufreq")
# Words of the kernel, the best first; of those that a file offers the first is written.
_PLATFORM_WORDS: Final[Mapping[Profile, tuple[str, ...]]] = {
    "power-saver": ("low-power", "quiet", "cool"),
    "balanced": ("balanced", "balanced-performance"),
    "high-performance": ("performance", "balanced-performance"),
}
_PREFERENCE_WORDS: Final[Mapping[Profile, tuple[str, ...]]] = {
    "power-saver": ("power", "balance_power"),
    "balanced": ("balance_performance", "default", "balance_power"),
    "high-performance": ("performance",),
}
_GOVERNOR_WORDS: Final[Mapping[Profile, tuple[str, ...]]] = {
    "power-saver": ("powersave", "conservative"),
    "balanced": ("schedutil", "ondemand", "conservative"),
    "high-performance": ("performance",),
}
_SCALES: Final = dict.fromkeys(_GOVERNOR_WORDS, ("powersave",))


@dataclass(frozen=True, slots=True)
class _Knob:
    """One file that can be written, and what it takes."""

    path: Path
    kind: str  # for people
    words: Mapping[Profile, tuple[str, ...]]
    offered: frozenset[str]

    def word(self, profile: Profile) -> str | None:
        """What stands for a profile there; None where nothing it offers does."""
        return next((each for each in self.words[profile] if each in self.offered), None)


class HostPower:
    """The power profiles of one host; ``record`` keeps what was there before, over the process that changed it."""

    def __init__(self, record: Path | None = None, *, sysfs: Path = SYSFS) -> None:
        self._record = record
        self._sysfs = sysfs
        self._before: dict[str, str] = {}

    def apply(self, profile: Profile) -> tuple[str, ...]:
        """Have the host work by a profile; the kinds that hold it, none where this host has nothing of the kind.

        Raises OSError: the kernel refuses, which it does for everybody but root; everything is as before then.
        """
        kinds: dict[str, None] = {}
        try:
            for knob in self._knobs():
                word = knob.word(profile)
                if word is not None:
                    self._write(knob.path, word)
                    kinds[knob.kind] = None
        except OSError:
            self.restore()
            raise
        return tuple(kinds)

    def restore(self) -> None:
        """Have everything as it was before the first profile."""
        for path, word in reversed(self._before.items()):
            with contextlib.suppress(OSError):  # a processor was taken out meanwhile
                Path(path).write_text(word, "ascii")
        self._before = {}
        self._keep()

    def restore_left(self) -> None:
        """Give back what a device that was killed has left, in this boot of the host."""
        if self._record is None:
            return
        with contextlib.suppress(OSError, ValueError, LookupError, TypeError, AttributeError):
            found = json.loads(self._record.read_bytes())
            if found["boot"] == _BOOT_ID.read_text("ascii"):
                known = {str(knob.path) for knob in self._knobs()}
                self._before = {str(path): str(word) for path, word in found["before"].items() if path in known}
        self.restore()

    def _knobs(self) -> Iterator[_Knob]:
        platform = self._sysfs / _PLATFORM
        yield from _knob(platform, f"{platform}_choices", "platform profile", _PLATFORM_WORDS)
        for policy in sorted((self._sysfs / _POLICIES).glob("policy*")):
            governor, governors = policy / "scaling_governor", policy / "scaling_available_governors"
            preference = policy / "energy_performance_preference"
            offered = policy / "energy_performance_available_preferences"
            if preference.exists():
                yield from _knob(governor, governors, "processors' preference", _SCALES)
                yield from _knob(preference, offered, "processors' preference", _PREFERENCE_WORDS)
            else:
                yield from _knob(governor, governors, "processors' governor", _GOVERNOR_WORDS)

    def _write(self, path: Path, word: str) -> None:
        before = path.read_text("ascii").strip()
        if before == word:
            return
        if str(path) not in self._before:
            self._before[str(path)] = before
            self._keep()
        path.write_text(word, "ascii")

    def _keep(self) -> None:
        if self._record is None:
            return
        with contextlib.suppress(OSError, DataFolderError):  # a full disk: the profile works, its record is missing
            if not self._before:
                self._record.unlink(missing_ok=True)
                return
            record = {"boot": _BOOT_ID.read_text("ascii"), "before": self._before}
            write_file(self._record, json.dumps(record).encode(), mode=0o600)


def _knob(path: Path, offered: Path | str, kind: str, words: Mapping[Profile, tuple[str, ...]]) -> Iterator[_Knob]:
    """The file, where the host has it."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        yield _Knob(path, kind, words, frozenset(Path(offered).read_text("ascii").split()))

# SPDX-License-Identifier: Apache-2.0
"""A folder that stands for /sys: the files of power profiles as the kernel has them (Documentation/ABI/testing)."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path
from typing import Any

import pytest


class Sysfs:
    """The files of one pretended host."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._cpufreq = root / "devices/system/cpu/cpufreq"

    def platform(self, choices: str, *, now: str) -> None:
        """The platform's own profiles."""
        folder = self.root / "firmware/acpi"
        folder.mkdir(parents=True)
        (folder / "platform_profile_choices").write_text(choices + "\n")
        (folder / "platform_profile").write_text(now + "\n")

    def policy(
        self, number: int, *, governors: str, governor: str, preferences: str = "", preference: str = ""
    ) -> None:
        """A policy of processors, with a preference or without."""
        folder = self._cpufreq / f"policy{number}"
        folder.mkdir(parents=True)
        (folder / "scaling_available_governors").write_text(governors + " \n")
        (folder / "scaling_governor").write_text(governor + "\n")
        if preferences:
            (folder / "energy_performance_available_preferences").write_text(preferences + " \n")
            (folder / "energy_performance_preference").write_text(preference + "\n")

    def state(self) -> dict[str, str]:
        """What can be written, and what it is."""
        found = [
            *self.root.glob("firmware/acpi/platform_profile"),
            *sorted(self._cpufreq.glob("policy*/scaling_governor")),
            *sorted(self._cpufreq.glob("policy*/energy_performance_preference")),
        ]
        short = {path: "/".join(path.parts[-2:]) for path in found}
        return {short[path].removeprefix("acpi/"): path.read_text().strip() for path in found}

    def refuses(self, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        """Refuse every write to files of a name, as the kernel does for a user or a word."""
        real = Path.write_text

        def write(path: Path, *given: Any, **options: Any) -> int:
            if path.name == name:
                raise OSError(errno.EACCES, "refused")
            return real(path, *given, **options)

        monkeypatch.setattr(Path, "write_text", write)

    def remove(self) -> None:
        """Have none."""
        shutil.rmtree(self.root, ignore_errors=True)

# SPDX-License-Identifier: Apache-2.0
"""What the values of devices are called and in which units they are: by the templates that these devices have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from armillary.engines.documents.store import DocumentStore
from armillary.errors import ArmillaryError
from armillary.platform.templates.templates import Templates
from armillary.twin.rule.words import summary
from armillary.twin.template.name import split_id
from armillary.twin.template.value_names import Naming, ValueNames

# Templates that one answer looks at: a group of more kinds of devices has its values called after the most frequent.
MAX_TEMPLATES: Final = 8


@dataclass(eq=False)
class DeviceNaming:
    """Names and units of devices' values. Methods block for a read or two: call them from threads."""

    _documents: DocumentStore
    _templates: Templates

    def of_devices(self, device_ids: Sequence[str]) -> Naming:
        """Names for values of devices; machine names for those of devices without a template.

        Of very many devices the first count, because they are all of a few templates.
        """
        return Naming(self._tables(self._documents.devices.templates_of(device_ids)))

    def of_template(self, name: str) -> Naming:
        """Names for values of a template's devices: by its newest published version, else by the draft."""
        try:
            published = self._templates.versions(name)
        except ArmillaryError:  # no template can be called so
            return Naming()
        return Naming(self._tables([(name, split_id(published[0].id)[1] if published else 0)]))

    def summary(self, device_id: str, trace: Mapping[str, Any]) -> str:
        """A rule's evaluation for a device in one line: "Temperature 30.5 °C was above 25 °C"; else why it was so."""
        return summary(trace, self.of_devices((device_id,))) or str(trace.get("why", ""))

    def _tables(self, templates: Sequence[tuple[str, int]]) -> list[ValueNames]:
        found = []
        for name, version in templates[:MAX_TEMPLATES]:
            try:
                found.append(self._templates.get(name, version).names)
            except ArmillaryError:  # deleted since, or of a newer program: its values have machine names
                continue
        return found

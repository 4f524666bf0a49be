# SPDX-License-Identifier: Apache-2.0
"""What the values of devices are called and in which units they are: by the templates that these devices have.

Blocks for a read or two: call it from threads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from armillary.errors import ArmillaryError
from armillary.twin.rule.words import summary
from armillary.twin.template.name import split_id
from armillary.twin.template.value_names import Naming, ValueNames

if TYPE_CHECKING:
    from armillary.hub.hub import Hub

# Templates that one answer looks at: a group of more kinds of devices has its values called after the most frequent.
MAX_TEMPLATES: Final = 8


def names_of(hub: Hub, device_ids: Sequence[str]) -> Naming:
    """Names for values of devices; machine names for those of devices without a template.

    Args:
        hub: Has devices and templates.
        device_ids: Which; of very many the first, because they are all of a few templates.
    """
    return Naming(_tables(hub, hub.application.templates_of(device_ids)))


def names_of_template(hub: Hub, name: str) -> Naming:
    """Names for values of a template's devices: by its newest published version, else by the draft."""
    try:
        published = hub.templates.versions(name)
    except ArmillaryError:  # no template can be called so
        return Naming()
    return Naming(_tables(hub, [(name, split_id(published[0].id)[1] if published else 0)]))


def summary_of(hub: Hub, device_id: str, trace: Mapping[str, Any]) -> str:
    """An evaluation of a rule for a device in one line: "Temperature 30.5 °C was above 25 °C"; else why it was so."""
    return summary(trace, names_of(hub, (device_id,))) or str(trace.get("why", ""))


def _tables(hub: Hub, templates: Sequence[tuple[str, int]]) -> list[ValueNames]:
    found = []
    for name, version in templates[:MAX_TEMPLATES]:
        try:
            found.append(hub.templates.get(name, version).names)
        except ArmillaryError:  # deleted since, or of a newer program: its values have machine names
            continue
    return found

# SPDX-License-Identifier: Apache-2.0
"""What the hub has for equipment behind guardians: a device template, dashboards, rules and groups for each profile.

::

    guardians/NAME/
      content.toml        title, one line, the profile; the device template with cloud properties and views
      README.md           what it is, and what each rule and group is for
      models/ID.json      the template's DTDL: written from the profile by ``make docs``
      dashboards/ rules/ groups/ jobs/    documents as the document store keeps them

The form is that of application templates, without simulated devices: what plays there is equipment
(``sim/equipment``). What it is not: its validation (``sim/check/template.py``).
"""

from __future__ import annotations

from armillary import content
from armillary.content.application_templates import ApplicationTemplate, read
from armillary.errors import NotFoundError

FOLDER = "guardians"


def names() -> tuple[str, ...]:
    """All of them, sorted: ``cable``, ``coffee``, ``dispenser``."""
    return content.folder_names(FOLDER)


def load(name: str) -> ApplicationTemplate:
    """The content for one kind of equipment, decoded, not checked. Raises NotFoundError if there is none."""
    if name not in names():
        raise NotFoundError(
            f"there is no content for {name[:64]!a} behind a guardian", remedy=f"Use one of: {', '.join(names())}."
        )
    return read(name, content.folder(FOLDER) / name, "content.toml")

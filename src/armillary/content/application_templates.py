# SPDX-License-Identifier: Apache-2.0
"""Application templates: whole applications as folders of data.

::

    templates/NAME/
      template.toml       title, one line, sector, operator; the device templates with cloud properties and views
      models/ID.json      DTDL, one interface or an array of them
      devices.toml        simulated devices: how many, what they do, what befalls them (sim/templates/behaviour.py)
      dashboards/ID.json  rules/ID.json  groups/ID.json  jobs/ID.json     documents as the document store keeps them
      images/             images that dashboards show
      README.md           what it is, what follows the public template, how to adapt it

What it is: the list of templates and their loader. What it is not: their validation (``sim/check/template.py``), nor
what makes a running application from one (``sim/templates/applications.py``).
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from typing import Any, Final

from armillary import content
from armillary.errors import NotFoundError

# Folder -> kind of document in it.
DOCUMENT_FOLDERS: Final = {"dashboards": "dashboard", "groups": "group", "jobs": "job", "rules": "rule"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationTemplate:
    """One application template."""

    name: str  # its folder's name
    head: Mapping[str, Any]  # ``template.toml``: title, line, sector, operator, product, template
    models: Mapping[str, bytes]  # id of a device template -> DTDL document
    devices: tuple[Mapping[str, Any], ...]  # the tables of ``devices.toml``
    documents: Mapping[tuple[str, str], Mapping[str, Any]]  # (kind, id) -> body, of dashboards, groups, jobs and rules
    images: Mapping[str, bytes]  # file name -> content
    readme: str


def names() -> tuple[str, ...]:
    """All application templates, sorted."""
    return content.folder_names("templates")


def head(name: str) -> Mapping[str, Any]:
    """``template.toml`` of one template: its title and description. Raises NotFoundError if there is none."""
    return tomllib.loads((_folder(name) / "template.toml").read_text("utf-8"))


def load(name: str) -> ApplicationTemplate:
    """One application template, decoded but not checked.

    Raises:
        NotFoundError: there is none of this name; lists those there are.
    """
    return read(name, _folder(name))


def read(name: str, folder: Traversable, head_file: str = "template.toml") -> ApplicationTemplate:
    """An application template, or content of the same form, from its folder; without devices where there are none."""
    documents = {
        (kind, each.name.removesuffix(".json")): json.loads(each.read_text("utf-8"))
        for below, kind in DOCUMENT_FOLDERS.items()
        for each in _files(folder / below)
    }
    devices = folder / "devices.toml"
    return ApplicationTemplate(
        name=name,
        head=tomllib.loads((folder / head_file).read_text("utf-8")),
        models={each.name.removesuffix(".json"): each.read_bytes() for each in _files(folder / "models")},
        devices=tuple(tomllib.loads(devices.read_text("utf-8"))["device"]) if devices.is_file() else (),
        documents=documents,
        images={each.name: each.read_bytes() for each in _files(folder / "images")},
        readme=(folder / "README.md").read_text("utf-8"),
    )


def device_names(table: Mapping[str, Any], count: int) -> list[tuple[str, Mapping[str, Any]]]:
    """Names of ``count`` devices of a kind, with what is their own: (name, table of ``each``).

    Beyond those that have a table of their own, they are called as these again with a number.
    """
    own_names = max(1, len(table.get("each", ())))
    found: list[tuple[str, Mapping[str, Any]]] = []
    for number in range(1, count + 1):
        own = own_table(table, number)
        again = (number - 1) // own_names
        found.append((f"{own['name']} ({again + 1})" if again else own["name"], own))
    return found


def own_table(table: Mapping[str, Any], number: int) -> Mapping[str, Any]:
    """The options of one device in its kind's table, by its number from 1."""
    tables = table.get("each") or [{"name": str(table["role"])}]
    found: Mapping[str, Any] = tables[(number - 1) % len(tables)]
    return found


def device_table(table: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """A device's description: its kind's, with what is its own of signals (option by option) on top."""
    signals = {name: dict(each) for name, each in table.get("signals", {}).items()}
    for name, changed in own.get("signals", {}).items():
        signals[name] = {**signals.get(name, {}), **changed}
    return {"signals": signals, "incidents": table.get("incidents", ()), "commands": table.get("commands", {})}


def _folder(name: str) -> Traversable:
    if name not in names():
        raise NotFoundError(
            f"there is no application template {name[:64]!a}", remedy=f"Use one of: {', '.join(names())}."
        )
    return content.folder("templates") / name


def _files(folder: Traversable) -> list[Traversable]:
    if not folder.is_dir():
        return []
    return sorted((each for each in folder.iterdir() if each.is_file()), key=lambda each: each.name)

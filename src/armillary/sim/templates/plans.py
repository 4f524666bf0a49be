# SPDX-License-Identifier: Apache-2.0
"""Plans what is made from an application template: its documents and each simulated device. Pure functions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from armillary.content.application_templates import ApplicationTemplate, device_names, device_table, own_table
from armillary.errors import InvalidArgumentError
from armillary.sim.templates.behaviour import Behaviour, Observation, device_seed, observe, parse
from armillary.sim.templates.shape import Shape, shape_of
from armillary.twin.template.name import published_id
from armillary.wire.dtdl.model import parse_model

# Published version of a device template that simulated devices have.
VERSION: Final = 1
DEFAULT_EVERY_S: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DevicePlan:
    """Everything that decides what one simulated device sends.

    Attributes:
        number: Its number among its kind, from 1.
        seed: Of ``behaviour.device_seed``.
        origin_s: When the simulation began, Unix seconds.
        every_s: Seconds between messages.
    """

    device_id: str
    role: str
    number: int
    behaviour: Behaviour
    shape: Shape
    seed: bytes
    origin_s: float
    every_s: float

    def observe(self, at_s: float, settings: Mapping[str, Any]) -> Observation:
        """What it measures at a moment."""
        return observe(
            self.behaviour,
            seed=self.seed,
            number=self.number,
            origin_s=self.origin_s,
            at_s=at_s,
            settings=settings,
        )


def shapes(template: ApplicationTemplate) -> Mapping[str, Shape]:
    """Id of a device template -> what its devices may send; ModelError if its model is none."""
    return {
        head["id"]: shape_of(parse_model([(head["id"], template.models[head["id"]])]), head["interface"])
        for head in template.head["template"]
    }


def wanted_devices(template: ApplicationTemplate, total: int | None) -> list[tuple[str, int, str]]:
    """(role, number, name) of the devices of an application with ``total`` devices; None: as many as it says.

    Raises:
        InvalidArgumentError: fewer devices than kinds of them.
    """
    counts = {table["role"]: int(table["count"]) for table in template.devices}
    if total is not None:
        if total < len(counts):
            raise InvalidArgumentError(
                f"devices: expected at least {len(counts)}, one of each kind ({', '.join(counts)}), got {total}"
            )
        counts = _shared(total, counts)
    return [
        (table["role"], number, name)
        for table in template.devices
        for number, (name, _) in enumerate(device_names(table, counts[table["role"]]), 1)
    ]


def _shared(total: int, weights: Mapping[str, int]) -> dict[str, int]:
    """``total`` by weights: one each, the rest to whoever is furthest below its share."""
    found = dict.fromkeys(weights, 1)
    for _ in range(total - len(weights)):
        role = min(weights, key=lambda each: found[each] / weights[each])
        found[role] += 1
    return found


def documents_of(template: ApplicationTemplate, catalog: str) -> dict[tuple[str, str], Mapping[str, Any]]:
    """Every document of an application, device templates first."""
    found: dict[tuple[str, str], Mapping[str, Any]] = {}
    for head in template.head["template"]:
        model = json.loads(template.models[head["id"]])
        found["template", head["id"]] = template_body(head, model)
        found["template", published_id(head["id"], VERSION)] = template_body(head, model, version=VERSION)
    found |= template.documents
    return {key: {**body, "catalog": catalog} for key, body in found.items()}


def plans_of(template: ApplicationTemplate, simulation: Mapping[str, Any]) -> list[DevicePlan]:
    """Plans of the devices that a ``simulation`` document lists."""
    tables = {table["role"]: table for table in template.devices}
    shaped = shapes(template)
    devices: Sequence[Mapping[str, Any]] = simulation["devices"]
    behaviours: dict[tuple[str, str], Behaviour] = {}
    found = []
    for device in devices:
        table = tables[device["role"]]
        own = own_table(table, device["number"])
        key = (device["role"], str(own.get("name", "")))
        if key not in behaviours:
            behaviours[key] = parse(device_table(table, own))
        found.append(
            DevicePlan(
                device_id=device["id"],
                role=device["role"],
                number=device["number"],
                behaviour=behaviours[key],
                shape=shaped[table["template"]],
                seed=device_seed(simulation["seed"], device["role"], device["number"]),
                origin_s=simulation["began_ms"] / 1000.0,
                every_s=float(table.get("every_s", DEFAULT_EVERY_S)),
            )
        )
    return found


def cloud_of(table: Mapping[str, Any], number: int) -> dict[str, Any]:
    """Cloud properties of a device of a kind."""
    return {**table.get("cloud", {}), **own_table(table, number).get("cloud", {})}


def template_body(head: Mapping[str, Any], model: Any, *, version: int = 0) -> dict[str, Any]:
    """The body of a ``template`` document (``twin/template/json_form.py``): the draft, or a published version."""
    body = {
        "display_name": head["name"],
        "root": head["interface"],
        "models": model if isinstance(model, list) else [model],
        "cloud_properties": [dict(each) for each in head.get("cloud", ())],
        "views": [dict(each) for each in head.get("view", ())],
    }
    return {**body, "version": version} if version else body

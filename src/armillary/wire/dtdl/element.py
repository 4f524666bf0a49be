# SPDX-License-Identifier: Apache-2.0
"""Elements of a model as they stand in documents, before the model is judged as a whole and built.

Source: DTDL v2 and v3 §DTDL element.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from armillary.wire.dtdl.fault import Document, Faults
from armillary.wire.dtdl.json_text import Node
from armillary.wire.dtdl.names import Context


@dataclass(slots=True)
class Reference:
    """What a member names: an element, or a schema of the language by its word."""

    node: Node  # where it stands
    path: str  # the same, for people
    word: str = ""  # a standard schema (``double``, ``point``, ``vector``)
    identifier: str = ""  # DTMI of an element
    element: Element | None = None  # where it stands here itself, or was found


@dataclass(slots=True, eq=False)
class Element:
    """An element of a model."""

    kind: str  # its class, such as ``Telemetry``
    context: Context
    document: Document  # where it stands, as are ``node`` and ``path``
    node: Node
    path: str  # for people
    members: dict[str, Node]  # its JSON members
    partition: Element | None = None  # the interface or top-level element it belongs to; itself for those
    identifier: str = ""  # its ``@id``
    types: tuple[str, ...] = ()  # besides its class: semantic, of extensions, undefined
    # Member -> text, number, truth value, choice, or text by language.
    literals: dict[str, Any] = field(default_factory=dict)
    links: dict[str, list[Reference]] = field(default_factory=dict)  # member -> elements and schemas it names
    unit: str | None = None
    # Undefined members as plain JSON, if an undefined type allows them.
    others: dict[str, Any] = field(default_factory=dict)

    @property
    def version(self) -> int:
        """Version of DTDL it is written in."""
        return self.context.version

    def linked(self, member: str) -> list[Element]:
        """The elements that a member names, without those that are missing."""
        return [link.element for link in self.links.get(member, ()) if link.element is not None]

    def rule(self, name: str, member: str = "") -> str:
        """Name of a rule of this element, or of a member of it."""
        return rule_name(self.kind, name, member)

    def member_path(self, member: str) -> str:
        """Path of a member; of the element itself for no name."""
        return joined(self.path, member)

    def note(
        self, faults: Faults, node: Node, rule: str, expected: str, got: str, *, member: str = "", at: str = ""
    ) -> bool:
        """Note a broken rule at ``node``; False where it is only a warning, because the caller tolerates it.

        ``rule`` is its name within the class, or within ``member``. ``at`` is a member for the path of a class's rule.
        """
        path = self.member_path(member or at)
        return faults.add(self.document, node, path, self.rule(rule, member), self.version, expected=expected, got=got)


def rule_name(kind: str, name: str, member: str = "") -> str:
    """A rule's name as the specification has it: ``ClassTelemetryPropertyNamePattern``."""
    part = f"Property{member[:1].upper()}{member[1:]}" if member else ""
    return f"Class{kind}{part}{name}"


def joined(path: str, member: str) -> str:
    """Path of a member below a path."""
    if not member:
        return path
    return f"{path}.{member}" if path else member


def texts_of(node: Node) -> list[str] | None:
    """A string or an array of strings; None when it is neither."""
    if isinstance(node.value, str):
        return [node.value]
    if not isinstance(node.value, list):
        return None
    texts = [item.value for item in node.value if isinstance(item.value, str)]
    return texts if len(texts) == len(node.value) else None

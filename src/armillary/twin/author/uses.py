# SPDX-License-Identifier: Apache-2.0
"""Finds what uses a document, or a value of a device template, before it is deleted.

======== ==========================================================================================================
used     by
======== ==========================================================================================================
group    tiles of dashboards (``source.group``), rules (``target.group``), jobs and data exports (``group``)
job      actions of rules (``job``)
picture  tiles of dashboards (``image``)
template dashboards and their tiles, rules (``target.template``), groups
======== ==========================================================================================================

Documents are read as they are stored: one that cannot be parsed uses nothing and prevents no deletion.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from armillary.twin.author.picture import image_of
from armillary.twin.template.name import split_id

# Kinds of documents that use others.
USERS: Final = ("dashboard", "export", "group", "job", "rule")
# Tiles and actions of one document that :meth:`Use.words` names; the rest is a number.
MAX_PARTS: Final = 4


class Named(NamedTuple):
    """A document with its kind and id."""

    kind: str
    id: str
    content: Mapping[str, Any]


@dataclass(frozen=True, slots=True, order=True)
class Use:
    """One document that uses another."""

    kind: str  # one of USERS
    id: str  # of the document
    name: str  # for people
    where: tuple[str, ...] = ()  # tiles or actions that use it; empty where the document as a whole does

    def words(self) -> str:
        """The use as people read it: ``dashboard "Water" (tiles "Flow", "Map")``."""
        word = "tile" if self.kind == "dashboard" else "action"
        parts = ", ".join(f'"{each}"' for each in self.where[:MAX_PARTS])
        more = f" and {len(self.where) - MAX_PARTS} more" if len(self.where) > MAX_PARTS else ""
        said = f" ({word}{'s' if len(self.where) > 1 else ''} {parts}{more})" if parts else ""
        return f'{"segment" if self.kind == "group" else self.kind} "{self.name}"{said}'


def uses_of(kind: str, document_id: str, documents: Iterable[Named]) -> tuple[Use, ...]:
    """Which of ``documents`` use the one of this kind and id (of a template its name), sorted by kind and id.

    Groups, jobs, pictures and templates are used; nothing uses a document of another kind.
    """
    look = _LOOKS.get(kind)
    if look is None:
        return ()
    return tuple(sorted(_found(documents, lambda each: look(each, document_id))))


def uses_of_value(template: str, name: str, documents: Iterable[Named]) -> tuple[Use, ...]:
    """Which of ``documents`` use a telemetry, property or command of a device template.

    They are rules, groups, and dashboards with tiles that show it.
    """

    def look(each: Named) -> Iterator[str]:
        content = each.content
        if each.kind == "dashboard":
            for tile in _objects(content.get("tiles")):
                if _is_of({"template": _template_of_tile(tile, content)}, template) and _has(_of_tile(tile), name):
                    yield _tile_name(tile)
        elif (each.kind == "rule" and _is_of(content.get("target"), template) and _has(_of_rule(content), name)) or (
            each.kind == "group" and _is_of(content, template) and _has(_of_filters(content), name)
        ):
            yield ""

    return tuple(sorted(_found(documents, look)))


def _found(documents: Iterable[Named], look: Callable[[Named], Iterator[str]]) -> Iterator[Use]:
    for each in documents:
        parts = tuple(look(each))
        if parts:
            name = str(each.content.get("name") or each.id)
            yield Use(each.kind, each.id, name, tuple(part for part in parts if part))


def _of_group(each: Named, group_id: str) -> Iterator[str]:
    if each.kind == "dashboard":
        yield from _tiles_of(each.content, "group", group_id)
    elif each.kind == "rule":
        target = each.content.get("target")
        if isinstance(target, Mapping) and target.get("group") == group_id:
            yield ""
    elif each.kind in ("job", "export") and each.content.get("group") == group_id:
        yield ""


def _of_job(each: Named, job_id: str) -> Iterator[str]:
    if each.kind == "rule":
        for number, action in enumerate(_objects(each.content.get("actions")), 1):
            if action.get("kind") == "job" and action.get("job") == job_id:
                yield str(action.get("name", number))


def _of_picture(each: Named, picture_id: str) -> Iterator[str]:
    if each.kind == "dashboard":
        shown = (tile for tile in _objects(each.content.get("tiles")) if tile.get("image") == image_of(picture_id))
        yield from map(_tile_name, shown)


def _of_template(each: Named, name: str) -> Iterator[str]:
    content = each.content
    if each.kind == "dashboard":
        if _is_of(content, name):
            yield ""
        yield from _tiles_of(content, "template", name)
    elif (each.kind == "rule" and _is_of(content.get("target"), name)) or (
        each.kind == "group" and _is_of(content, name)
    ):
        yield ""


_LOOKS: Final[Mapping[str, Callable[[Named, str], Iterator[str]]]] = {
    "group": _of_group,
    "job": _of_job,
    "picture": _of_picture,
    "template": _of_template,
}


def _tiles_of(content: Mapping[str, Any], kind: str, source_id: str) -> Iterator[str]:
    for tile in _objects(content.get("tiles")):
        source = tile.get("source")
        if not isinstance(source, Mapping):
            continue
        if source.get(kind) == source_id or (kind == "template" and _is_of(source, source_id)):
            yield _tile_name(tile)


def _template_of_tile(tile: Mapping[str, Any], content: Mapping[str, Any]) -> object:
    """The template that a tile's values are of; a tile of a device or a group is of its dashboard's."""
    source = tile.get("source")
    own = source.get("template") if isinstance(source, Mapping) else None
    return own or content.get("template")


def _of_tile(tile: Mapping[str, Any]) -> Iterator[object]:
    """Names of the values that a tile shows, and of the command that it sends."""
    for field in ("values", "names"):
        many = tile.get(field)
        yield from many if isinstance(many, list) else ()
    for field in ("value", "state", "location", "command"):
        yield tile.get(field)
    for button in _objects(tile.get("buttons")):
        yield button.get("command")


def _of_rule(content: Mapping[str, Any]) -> Iterator[object]:
    """Names of the values that a rule looks at, and of the commands that it sends."""
    target = content.get("target")
    filters = target.get("filters") if isinstance(target, Mapping) else ()
    for each in (*_objects(content.get("conditions")), *_objects(filters)):
        yield each.get("telemetry")
        yield str(each.get("property") or "").partition(".")[2]
    for action in _objects(content.get("actions")):
        yield action.get("method")


def _of_filters(content: Mapping[str, Any]) -> Iterator[object]:
    """Paths that a group's filters look at."""
    return (str(each.get("field") or "").partition(":")[2] for each in _objects(content.get("filters")))


def _has(names: Iterable[object], name: str) -> bool:
    """Whether one of these is a value of this name, or goes into it; ``*`` and ``.`` both lead into a component."""
    wanted = name.replace("*", ".")
    found = (each.replace("*", ".") for each in names if isinstance(each, str))
    return any(each == wanted or each.startswith(f"{wanted}.") for each in found)


def _is_of(content: object, template: str) -> bool:
    """Whether a part is about a template, or about one of its versions."""
    found = content.get("template") if isinstance(content, Mapping) else None
    return isinstance(found, str) and template in (found, split_id(found)[0])


def _tile_name(tile: Mapping[str, Any]) -> str:
    return str(tile.get("title") or tile.get("label") or tile.get("id"))


def _objects(found: object) -> list[Mapping[str, Any]]:
    return [each for each in found if isinstance(each, Mapping)] if isinstance(found, list) else []

# SPDX-License-Identifier: Apache-2.0
"""One request to the device's API as its answers see it, and the table's row that leads to an answer."""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from armillary.device.rest.attached import AttachedDevice
from armillary.device.state.request_refused import RequestRefusedError
from armillary.wire.device.azure_error import INVALID_PARAMETER


class Need(enum.Enum):
    """What the device's state must allow for a request."""

    NOTHING = "nothing"  # whoever may connect
    OPEN = "open"  # not DeviceComplete, or with a capability for development or servicing
    LOADING = "loading"  # applications may be loaded by hand
    DEVELOPMENT = "development"  # what only a developer signed runs


class Body(enum.Enum):
    """What a request brings."""

    NONE = "none"
    JSON = "json"
    PACKAGE = "package"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request: the device, the part of the path that names something, and what came with it."""

    device: AttachedDevice
    name: str = ""
    body: Any = None  # decoded JSON
    chunks: AsyncIterator[bytes] = field(repr=False)

    @property
    def component_id(self) -> UUID:
        """The component that the path names; RequestRefusedError if it is no id."""
        try:
            return UUID(self.name)
        except ValueError as error:
            raise RequestRefusedError(INVALID_PARAMETER, f"expected a component id, got {self.name!r:.50}") from error

    def value(self, name: str, kind: type, *, default: Any = None) -> Any:
        """A field of the body, which must be of this kind; ``default`` where it is absent.

        RequestRefusedError if the body is no object, or the field is of another kind.
        """
        if not isinstance(self.body, dict):
            raise RequestRefusedError(INVALID_PARAMETER, "expected a JSON object")
        found = self.body.get(name, default)
        if found is not default and type(found) is not kind:
            raise RequestRefusedError(
                INVALID_PARAMETER, f"{name}: expected {kind.__name__}, got {type(found).__name__}"
            )
        return found

    def word(self, name: str, words: tuple[str, ...], *, default: str | None = None) -> str:
        """A field of the body, which must be one of these words; RequestRefusedError if it is another, or absent."""
        found = self.value(name, str, default=default)
        if found not in words:
            raise RequestRefusedError(INVALID_PARAMETER, f"{name}: expected {', '.join(words)}, got {found!r:.50}")
        return str(found)


# What a call is answered with: an object or list as JSON, bytes as they are.
Answer = Callable[[Call], Awaitable[object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A method and path, what it needs, and who answers. The last part of a path may be ``{}``: a name."""

    method: str
    path: str
    answer: Answer
    needs: Need
    body: Body = Body.NONE
    # Azure Sphere's number for who may not, where it has one of its own
    denied: int | None = None

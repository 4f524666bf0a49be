# SPDX-License-Identifier: Apache-2.0
"""What the platform needs of the hub and the security service, as protocols: neither of them knows the platform."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, Protocol

from armillary.engines.database.outbox import AuditEntry
from armillary.errors import InvalidArgumentError
from armillary.twin.author.data_export import DeviceEvent
from armillary.twin.author.group import Value
from armillary.twin.author.job import UpdateStatus
from armillary.twin.document.document import Twin

Fields = Mapping[str, Value | None]


class Directory(Protocol):
    """What the security service knows of devices. From any thread."""

    def page(self, *, catalog: str | None, after: str, limit: int) -> Sequence[tuple[str, Fields]]:
        """Devices by id, those of a catalog or all; ``fields`` as in ``twin/author/group.py``."""

    def of(self, device_ids: Sequence[str]) -> Mapping[str, Fields]:
        """Fields of those of some devices that it knows; also ``claimed_at``, since when they have their owner."""

    def names(self, device_ids: Sequence[str]) -> Mapping[str, str]:
        """Names of those of some devices that it knows."""

    def second_hand(self, catalog: str | None) -> Mapping[str, int]:
        """Devices of a catalog, or of all, that had an earlier owner: id -> claimed when (Unix milliseconds)."""

    def events(self, after: int, limit: int) -> Sequence[DeviceEvent]:
        """Events of devices with higher numbers than ``after``, in order."""

    def last_event(self) -> int:
        """The newest number; 0 before the first."""


class NoDirectory:
    """The directory of a hub without a security service: it knows no device."""

    def page(self, *, catalog: str | None, after: str, limit: int) -> Sequence[tuple[str, Fields]]:  # noqa: ARG002
        """None."""
        return ()

    def of(self, device_ids: Sequence[str]) -> Mapping[str, Fields]:  # noqa: ARG002
        """Nothing."""
        return {}

    def names(self, device_ids: Sequence[str]) -> Mapping[str, str]:  # noqa: ARG002
        """Nothing."""
        return {}

    def second_hand(self, catalog: str | None) -> Mapping[str, int]:  # noqa: ARG002
        """None."""
        return {}

    def events(self, after: int, limit: int) -> Sequence[DeviceEvent]:  # noqa: ARG002
        """None."""
        return ()

    def last_event(self) -> int:
        """None."""
        return 0


class MethodAnswer(Protocol):
    """What a device answered to a direct method."""

    @property
    def status(self) -> int:
        """The device's own status; 200 to 299 is success."""

    @property
    def payload(self) -> object:
        """JSON."""


class Twins(Protocol):
    """Device twins."""

    def get(self, device_id: str) -> Twin:
        """A device's twin; an empty one when nobody has written it yet."""

    def change(
        self, device_id: str, *, desired: object, if_match: str | None = None, entry: AuditEntry | None = None
    ) -> Twin:
        """Merge a patch into the desired properties and send it to the device if connected. Blocks for the commit.

        Raises:
            ConflictError: the twin's ETag is another one than ``if_match``.
            InvalidArgumentError: the patch breaks a limit.
        """

    def submit_desired(self, device_id: str, patch: object, *, if_match: str | None = None) -> Future[Twin]:
        """Merge a patch into the desired properties without waiting for the commit."""


class Devices(Protocol):
    """The data plane. From any thread unless it says otherwise."""

    @property
    def twins(self) -> Twins:
        """Device twins."""

    def connected(self) -> frozenset[str]:
        """Ids of the devices that are connected."""

    def name_of(self, number: int) -> str | None:
        """Id of the device with this number, if it has connected since the hub's start. In the hub's loop."""

    def names(self) -> Collection[str]:
        """Ids of all devices that have connected since the hub's start. In the hub's loop."""

    def has_undecoded(self) -> bool:
        """Whether messages are on their way from connections to the decoder. In the hub's loop."""

    def soon(self, act: Callable[[], object]) -> None:
        """Run something in the hub's loop soon; nothing when the hub has not started."""

    def begin_connectivity(self) -> None:
        """Record connects and disconnects from now on. Blocks."""

    async def invoke_method(
        self, device_id: str, name: str, payload: object = None, timeout_s: float = 30.0
    ) -> MethodAnswer:
        """Call a direct method of a connected device and wait for its answer."""


class Updates(Protocol):
    """Moves devices between device groups, and knows what they run."""

    def move(self, device_id: str, catalog: str, device_group: str, *, by: str) -> int:
        """Move a device to a device group (``PRODUCT/GROUP``) to take its deployment; when that was, Unix seconds.

        Raises:
            ArmillaryError: no such device or group, nothing is deployed there, or it takes no updates.
        """

    def standings(self, device_group: str, moved: Mapping[str, tuple[str, int]]) -> Mapping[str, UpdateStatus]:
        """The update status of devices in a group; ``moved``: device id -> catalog, and when it was moved."""


class NoUpdates:
    """Refuses updates by device group: there is no security service."""

    def move(self, device_id: str, catalog: str, device_group: str, *, by: str) -> int:  # noqa: ARG002
        """Refuse."""
        raise InvalidArgumentError(
            "update: the hub runs without a security service, which knows device groups", remedy="Update by package."
        )

    def standings(self, device_group: str, moved: Mapping[str, tuple[str, int]]) -> Mapping[str, UpdateStatus]:  # noqa: ARG002
        """Nothing."""
        return {}


class AlertChannels(Protocol):
    """Notification channels of the security service, which tell of alerts."""

    def tell(self, channel: str, catalog: str, whole: bool, delivery: str, said: Mapping[str, Any]) -> int:  # noqa: FBT001
        """Have the channels of a name tell of an alert; how many there are. Raises HostError of the disk.

        Those of the ``catalog``, and with ``whole`` those of the whole service. ``delivery`` is the same for the same
        firing, however often it is told.
        """

    def tell_choosers(
        self,
        named: Sequence[str],
        catalog: str,
        whole: bool,  # noqa: FBT001
        delivery: str,
        said: Mapping[str, Any],
    ) -> int:
        """Have the channels tell of an alert that chose alerts, of its catalog and of the whole service; how many.

        Those that the rule's actions name (``named``) are told by these; arguments as for :meth:`tell`.
        """

    def is_heard(self, catalog: str | None, severity: str) -> bool:
        """Whether a channel chose such alerts, of a catalog or with None of all; quick, so that loops can ask."""

    def is_there(self, channel: str, catalog: str | None) -> bool:
        """Whether a rule of a catalog, or with None one of all catalogs, has such a channel."""


class Registry(Protocol):
    """Catalogs and tokens of the security service."""

    def catalog_name(self, given: str) -> str:
        """The name of a catalog as its owner writes it; raises NotFoundError if there is none."""

    def has_tokens_of(self, organisation: str) -> bool:
        """Whether an organisation has a token that is not revoked."""


class NoRegistry:
    """The registry of a platform that runs without a security service: any catalog, no tokens."""

    def catalog_name(self, given: str) -> str:
        """The same."""
        return given

    def has_tokens_of(self, organisation: str) -> bool:  # noqa: ARG002
        """None."""
        return False

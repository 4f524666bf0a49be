# SPDX-License-Identifier: Apache-2.0
"""Callbacks for changes that other parts must know of at once, called in the thread of the change after its commit."""

from __future__ import annotations

from collections.abc import Callable, Sequence


class Notices:
    """Lists of callbacks. They must be quick, must not raise, and may be called from any thread.

    Attributes:
        on_device: A device changed; with its id.
        on_asked: Devices were asked to check in at once, and nothing else of them changed; with their ids.
        on_revoked: A device may not stay connected anywhere; with its id.
        on_held: Connections that a device made with its client certificate must close; with its id.
        on_cut: A client may not stay connected to the hub, for any reason; with its identity.
        on_hub_trust: TLS of the hub has to trust more certificates, or fewer.
        on_bridge_trust: TLS of the bridge's port has to trust more authorities, or fewer.
        on_groups: What devices are offered has to be computed again.
        on_artifacts: Images or OS releases were added, taken back or deleted.
        on_releases: A roll-out has promoted an OS release.
        on_news: Devices reported something for the watch and the planner.
        on_catalog_deleted: A catalog was deleted, with all that was of it.

    Those of device workers return only when every worker has reacted; so the thread that reads workers' answers must
    not send a notice: it would wait for itself.
    """

    def __init__(self) -> None:
        self.on_device: list[Callable[[str], None]] = []
        self.on_asked: list[Callable[[Sequence[str]], None]] = []
        self.on_revoked: list[Callable[[str], None]] = []
        self.on_held: list[Callable[[str], None]] = []
        self.on_groups: list[Callable[[], None]] = []
        self.on_cut: list[Callable[[str], None]] = []
        self.on_hub_trust: list[Callable[[], None]] = []
        self.on_bridge_trust: list[Callable[[], None]] = []
        self.on_releases: list[Callable[[], None]] = []
        self.on_news: list[Callable[[], None]] = []
        self.on_artifacts: list[Callable[[], None]] = []
        self.on_catalog_deleted: list[Callable[[], None]] = []

    def device_changed(self, device_id: str) -> None:
        """Owner, group or state of a device changed: caches of it are read again."""
        for call in self.on_device:
            call(device_id)

    def devices_asked(self, device_ids: Sequence[str]) -> None:
        """Devices were asked to check in: what is known of them is read again, and who waits for a hint is told."""
        for call in self.on_asked:
            call(device_ids)

    def device_revoked(self, device_id: str) -> None:
        """A device was revoked, or has another owner: caches of it are read again, then its connections are closed."""
        self.device_changed(device_id)
        for call in (*self.on_revoked, *self.on_cut):
            call(device_id)

    def device_held(self, device_id: str) -> None:
        """A device is held or in quarantine: connections by its client certificate are closed."""
        self.device_changed(device_id)
        for call in (*self.on_held, *self.on_cut):
            call(device_id)

    def hub_client_closed(self, identity: str) -> None:
        """A hub device or module may not stay connected."""
        for call in self.on_cut:
            call(identity)

    def hub_trust_changed(self) -> None:
        """Catalogs admit other hub devices or services than before; a deleted catalog admits none."""
        for call in self.on_hub_trust:
            call()

    def bridge_trust_changed(self) -> None:
        """Catalogs admit client certificates of other authorities than before to the bridge."""
        for call in self.on_bridge_trust:
            call()

    def groups_changed(self) -> None:
        """A deployment, roll-out, policy or group changed: what devices are offered is computed again."""
        for call in self.on_groups:
            call()

    def artifacts_changed(self) -> None:
        """Images or OS releases changed: the repository serves others."""
        for call in self.on_artifacts:
            call()

    def releases_changed(self) -> None:
        """An OS release is in another feed: what is known of releases is read again."""
        for call in self.on_releases:
            call()

    def catalog_deleted(self) -> None:
        """A catalog is there no more: what is remembered of its like is read again."""
        for call in self.on_catalog_deleted:
            call()

    def news(self) -> None:
        """Devices reported something that the watch and the planner should read soon."""
        for call in self.on_news:
            call()

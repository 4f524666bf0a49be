# SPDX-License-Identifier: Apache-2.0
"""The service's metrics for Prometheus, read from the records at each scrape, so that no counter can drift."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from armillary import __version__
from armillary.engines.records.schema.rows import FleetSummary

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True, eq=False)
class FleetCollector(Collector):
    """Gauges at the time of a scrape, of what the fleet, the hub, the roll-outs and the device workers count.

    The hub's names that end in ``_now`` go up and down; ``refused`` are the API's refused requests, by the limit that
    was reached.
    """

    fleet: FleetSummary
    hub: Mapping[str, int]
    rollouts: Mapping[str, int]
    workers: Sequence[Mapping[str, object]]
    refused: Mapping[str, int]
    dropped: Mapping[str, int]  # events that the watch could not take, by where they came
    notifications: Mapping[str, int]  # of all channels, as ``engines/records/notifications/channels.py`` counts

    def collect(self) -> Iterator[Metric]:
        """The gauges."""
        fleet = self.fleet
        yield InfoMetricFamily("armillary_build", "The running service.", value={"version": __version__})
        yield _by("armillary_devices", "Devices by how they are doing.", "health", fleet.health)
        yield _by("armillary_devices_by_tier", "Devices by trust tier.", "tier", fleet.tiers)
        versions = {version or "unknown": count for version, count in fleet.os_versions.items()}
        yield _by("armillary_devices_by_os", "Devices by OS version.", "os_version", versions)
        yield _by("armillary_findings", "Findings that are not closed.", "severity", fleet.open_findings)
        yield _by("armillary_rollouts", "Roll-outs that are not finished.", "state", self.rollouts)
        yield GaugeMetricFamily("armillary_devices_unclaimed", "Devices of no catalog.", value=fleet.unclaimed)
        yield from self._of_workers()
        text = "Requests that there was no place for, since the start."
        yield _by("armillary_api_refused", text, "place", self.refused, CounterMetricFamily)
        text = "Events that the watch could not take because too many came at once, since the start."
        yield _by("armillary_watch_events_dropped", text, "source", self.dropped, CounterMetricFamily)
        for name, count in self.notifications.items():
            kind = GaugeMetricFamily if name in ("channels", "failing", "waiting") else CounterMetricFamily
            yield kind(f"armillary_notifications_{name}", "Of notification channels and their events.", value=count)
        for name, count in self.hub.items():
            if name.endswith("_now"):
                yield GaugeMetricFamily(f"armillary_hub_{name.removesuffix('_now')}", "Of the hub, now.", value=count)
            else:
                yield CounterMetricFamily(f"armillary_hub_{name}", "Of the hub, since its start.", value=count)

    def _of_workers(self) -> Iterator[Metric]:
        """One value for each worker; a stopped worker shows by its state and by check-ins that no longer rise."""
        states = Counter(str(each["state"]) for each in self.workers)
        yield _by("armillary_device_workers", "Device workers by state.", "state", {"ready": 0, **states})
        for name, text, kind in (
            ("connections", "Connections of a device worker.", GaugeMetricFamily),
            ("restarts", "Times it was begun again.", GaugeMetricFamily),
            ("check_ins", "Check-ins that a device worker has answered.", CounterMetricFamily),
        ):
            counts = {str(each["number"]): _number(each[name]) for each in self.workers}
            yield _by(f"armillary_device_worker_{name}", text, "worker", counts, kind)


def exposition(collector: FleetCollector) -> bytes:
    """The text that Prometheus scrapes: the process's own metrics, then the fleet's."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    return generate_latest(REGISTRY) + generate_latest(registry)


def _by(
    name: str,
    text: str,
    label: str,
    counts: Mapping[str, int],
    kind: type[GaugeMetricFamily | CounterMetricFamily] = GaugeMetricFamily,
) -> Metric:
    family = kind(name, text, labels=[label])
    for word, count in counts.items():
        family.add_metric([word], count)
    return family


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0

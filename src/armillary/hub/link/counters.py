# SPDX-License-Identifier: Apache-2.0
"""What the hub counts; every name is a metric."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Counters:
    """Counts since the start."""

    connections_accepted: int = 0  # CONNECTs accepted
    connectivity_dropped: int = 0  # Connects and disconnects missing in the journal: the disk was too busy
    connections_refused: int = 0  # CONNECTs refused
    connections_taken_over: int = 0  # Connections closed because the device connected again
    connections_expired: int = 0  # Connections closed because their certificate ran out
    connections_silent: int = 0  # Connections closed for silence: keep alive, no CONNECT, or a packet never finished
    protocol_violations: int = 0  # Connections closed because of what they sent
    slow_consumers_shed: int = 0  # Connections closed because the device did not take what was sent to it
    handshakes_failed: int = 0  # TLS handshakes that failed
    messages_received: int = 0  # Telemetry messages received
    bytes_received: int = 0  # Their bytes, topics included
    messages_kept: int = 0  # Telemetry messages committed; those with QoS 1 were acknowledged
    commits_failed: int = 0  # Batches of messages the disk refused; none of them was acknowledged
    reads_held: int = 0  # Times a connection was not read from because disk or decoder had enough to do
    subscriptions_refused: int = 0  # Topic filters refused
    twin_reads: int = 0  # Twins read by devices
    twin_reports: int = 0  # Reported properties changed
    twin_reports_refused: int = 0  # Reported properties refused
    desired_notices: int = 0  # Desired properties sent to connected devices
    methods_invoked: int = 0  # Direct methods sent
    methods_timed_out: int = 0  # Direct methods without an answer in time
    broker_messages_received: int = 0  # Messages that clients of the general broker published and it took
    broker_messages_sent: int = 0  # Messages sent to its clients, each delivery counted
    broker_messages_dropped: int = 0  # Deliveries given up: queue full, or QoS 0 to a client that took nothing
    broker_publishes_refused: int = 0  # Messages it did not take: a topic closed to clients, or no room to retain
    broker_wills_published: int = 0  # Wills it published
    broker_commits_failed: int = 0  # Times its disk refused; all were disconnected, nothing was acknowledged
    live_values_dropped: int = 0  # Live values a listener was too slow for
    live_readers_shed: int = 0  # Live streams and exports of values whose reader took nothing for too long
    cloud_messages_sent: int = 0  # Cloud-to-device messages sent, each delivery counted
    cloud_messages_completed: int = 0  # Those that devices have acknowledged
    provisioning_connections: int = 0  # Authenticated clients that asked for registration
    provisioning_registrations: int = 0  # Devices assigned to this hub by a registration
    uploads_begun: int = 0  # File uploads of devices begun

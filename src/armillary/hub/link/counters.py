# SPDX-License-Identifier: Apache-2.0
"""What the hub counts; every name is a metric."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Counters:
    """Counts since the start.

    Attributes:
        connections_accepted: CONNECTs accepted.
        connections_refused: CONNECTs refused.
        connections_taken_over: Connections closed because the device connected again.
        connections_expired: Connections closed because their certificate ran out.
        connections_silent: Connections closed for silence: keep alive, no CONNECT, or a packet never finished.
        protocol_violations: Connections closed because of what they sent.
        slow_consumers_shed: Connections closed because the device did not take what was sent to it.
        handshakes_failed: TLS handshakes that failed.
        messages_received: Telemetry messages received.
        bytes_received: Their bytes, topics included.
        messages_kept: Telemetry messages committed; those with QoS 1 were acknowledged.
        commits_failed: Batches of messages the disk refused; none of them was acknowledged.
        reads_held: Times a connection was not read from because disk or decoder had enough to do.
        subscriptions_refused: Topic filters refused.
        twin_reads: Twins read by devices.
        twin_reports: Reported properties changed.
        twin_reports_refused: Reported properties refused.
        desired_notices: Desired properties sent to connected devices.
        methods_invoked: Direct methods sent.
        methods_timed_out: Direct methods without an answer in time.
        broker_messages_received: Messages that clients of the general broker published and it took.
        broker_messages_sent: Messages sent to its clients, each delivery counted.
        broker_messages_dropped: Deliveries given up: the client's queue was full, or it took nothing and QoS was 0.
        broker_publishes_refused: Messages it did not take: a topic closed to clients, or no room to retain.
        broker_wills_published: Wills it published.
        broker_commits_failed: Times its disk refused; everybody was disconnected and nothing of it acknowledged.
        live_values_dropped: Live values a listener was too slow for.
        live_readers_shed: Live streams and exports of values whose reader took nothing for too long.
        cloud_messages_sent: Cloud-to-device messages sent, each delivery counted.
        cloud_messages_completed: Those that devices have acknowledged.
        provisioning_connections: Clients let in to ask for registration.
        uploads_begun: Places given to files of devices.
        connectivity_dropped: Connects and disconnects that are not in the journal, as the disk had too much to do.
        provisioning_registrations: Devices assigned to this hub by a registration.
    """

    connections_accepted: int = 0
    connectivity_dropped: int = 0
    connections_refused: int = 0
    connections_taken_over: int = 0
    connections_expired: int = 0
    connections_silent: int = 0
    protocol_violations: int = 0
    slow_consumers_shed: int = 0
    handshakes_failed: int = 0
    messages_received: int = 0
    bytes_received: int = 0
    messages_kept: int = 0
    commits_failed: int = 0
    reads_held: int = 0
    subscriptions_refused: int = 0
    twin_reads: int = 0
    twin_reports: int = 0
    twin_reports_refused: int = 0
    desired_notices: int = 0
    methods_invoked: int = 0
    methods_timed_out: int = 0
    broker_messages_received: int = 0
    broker_messages_sent: int = 0
    broker_messages_dropped: int = 0
    broker_publishes_refused: int = 0
    broker_wills_published: int = 0
    broker_commits_failed: int = 0
    live_values_dropped: int = 0
    live_readers_shed: int = 0
    cloud_messages_sent: int = 0
    cloud_messages_completed: int = 0
    provisioning_connections: int = 0
    provisioning_registrations: int = 0
    uploads_begun: int = 0

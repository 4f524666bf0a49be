# SPDX-License-Identifier: Apache-2.0
"""Limits of the hub, each with its reason."""

from __future__ import annotations

# From accepting a connection to its CONNECT, TLS handshake included (seconds): devices on slow radio links need
# some, and an idle client must not hold one of the following longer.
CONNECT_TIMEOUT_S = 20.0

# Connections whose CONNECT has not come yet; others wait with the system. A handshake takes 2 ms of work, so the last
# of these is done in a tenth of its time.
MAX_UNAUTHENTICATED = 1000

# A packet, once begun, must be complete within this time (seconds): a client that drips bytes holds memory.
PACKET_TIMEOUT_S = 60.0

# MQTT 3.1.1 §3.1.2.10: a client is gone after one and a half times its keep alive.
KEEPALIVE_FACTOR = 1.5

# How often connections are looked at for the times above (seconds).
SWEEP_INTERVAL_S = 1.0

# Connections looked at in one go, so that the sweep never delays packets for long.
SWEEP_SLICE = 2000

# A client that broke the protocol may still be sending: for so long its bytes are discarded before the connection is
# aborted (seconds), so that it can read the reason.
LINGER_S = 2.0

# Bytes waiting to be sent to one device before it counts as slow. Answers and notices are small: a twin is 100 KB.
MAX_SEND_BUFFER_BYTES = 256 * 1024

# The connection of a device that takes nothing for this long while bytes wait for it is aborted (seconds).
STALLED_SEND_S = 30.0

# Runs and requests of one connection that are received and not answered yet; beyond, it is not read from.
MAX_RUNS_IN_FLIGHT = 64

# Weight (see WEIGHT_BYTES) waiting for the disk above which connections are not read from, and below which again.
HOLD_ABOVE_WEIGHT = 50_000
RELEASE_BELOW_WEIGHT = 25_000

# Messages and bytes are weighed alike: a message counts one, or one per this many bytes.
WEIGHT_BYTES = 256

# Log bytes not decoded yet above which connections are not read from: a burst of two million small messages fits, and
# is decoded in ten seconds. Above half of it decoding no longer waits for acknowledging.
HOLD_ABOVE_BACKLOG_BYTES = 512 * 1024 * 1024

# Weight waiting for the disk above which acknowledging goes before decoding.
BUSY_ABOVE_WEIGHT = 200

# Decoding takes at most this long at a time (seconds), and pauses this long while that much waits.
DECODE_SLICE_S = 0.004
DECODE_SLICE_BUSY_S = 0.001
DECODE_PAUSE_BUSY_S = 0.02

# When the log cannot be read, it is tried again after this time (seconds).
DECODE_RETRY_S = 1.0

# IoT Hub: payload of a direct method, and how long its answer may take.
MAX_METHOD_PAYLOAD_BYTES = 128 * 1024
# Levels of an answer in JSON; a deeper one is text: what writes it again would run out of stack.
MAX_ANSWER_DEPTH = 100
MAX_METHOD_TIMEOUT_S = 300.0

# Calls one device may have open at a time; IoT Hub throttles by bytes, this keeps the table small.
MAX_OPEN_METHODS = 16

# Between two slices of sealing hours and deleting old ones (seconds): acknowledgements pass.
MAINTENANCE_PAUSE_S = 0.05

# Live values waiting for one listener; the oldest go first, and are counted.
MAX_LIVE_QUEUE = 256

# How often the times devices were last seen are written down (seconds).
SEEN_INTERVAL_S = 15.0

# One message of WebSocket: a client may put several MQTT packets into it.
MAX_WEBSOCKET_MESSAGE_BYTES = 1024 * 1024

# Topic aliases of one connection (MQTT 5): a device has one telemetry topic and a few bags.
MAX_TOPIC_ALIASES = 8

# SPDX-License-Identifier: Apache-2.0
"""Limits of the general broker, each with its reason. What the front has too is in ``hub/link/limits.py``."""

from __future__ import annotations

# Sessions, connected or kept: 100,000 idle ones would be a process of their own.
MAX_SESSIONS = 10_000

# Those of one device: its applications and what it speaks for.
MAX_SESSIONS_OF_ONE = 64

# Subscriptions of one session: applications use a few, a gateway some dozens.
MAX_SUBSCRIPTIONS = 256

# Levels of a topic and of a filter, and bytes of each: a filter of 65,535 slashes would cost a megabyte of tree.
MAX_TOPIC_LEVELS = 32
MAX_TOPIC_BYTES = 1024

# Messages (QoS 1 and 2) and their bytes that wait for one session, in flight or not; more are dropped and counted.
# Packet identifiers are given to waiting messages already, so this must stay well below 65,535.
MAX_QUEUED_MESSAGES = 1_000
MAX_QUEUED_BYTES = 8 * 1024 * 1024

# Bytes that wait for all sessions together, a message that waits for several counted for each.
MAX_BROKER_QUEUED_BYTES = 256 * 1024 * 1024

# Retained messages of one catalog and their bytes; a message that would be one more is refused.
MAX_RETAINED_MESSAGES = 10_000
MAX_RETAINED_BYTES = 64 * 1024 * 1024

# MQTT 5: messages (QoS 1 and 2) that a client may have sent without their exchange being over.
RECEIVE_MAXIMUM = 100

# Retained messages that one SUBSCRIBE brings; more are dropped and counted. Each so many count as one more thing in
# flight, so that a client that subscribes to everything again and again is not read from.
MAX_RETAINED_AT_ONCE = 10_000
RETAINED_IN_FLIGHT = 1_000

# Messages that are sent to a client before it acknowledges the first, also when it names no receive maximum.
SEND_WINDOW = 100

# MQTT 5: a client that asks for a longer keep alive is given this one (seconds). A client that wants none gets none.
MAX_KEEPALIVE_S = 60

# Topic aliases of one connection, each way.
MAX_TOPIC_ALIASES = 16

# MQTT 5: a session is kept no longer than this after its connection (seconds: 30 days), whatever the client asks;
# the sessions of MQTT 3.1.1 that are not clean are kept as long.
MAX_SESSION_EXPIRY_S = 30 * 24 * 3600

# How often sessions and wills are looked at (seconds): wills are late by no more.
TICK_S = 0.25

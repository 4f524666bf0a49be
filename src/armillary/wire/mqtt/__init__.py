# SPDX-License-Identifier: Apache-2.0
"""MQTT 3.1.1 and 5: packets, streams of packets, the state table of a connection.

Not here: sockets, and the meaning of topics (``armillary.wire.hub``). Specification: MQTT 3.1.1 and 5.0 (OASIS).
"""

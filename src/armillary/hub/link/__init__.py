# SPDX-License-Identifier: Apache-2.0
"""One MQTT connection, whoever it talks to: TLS, WebSocket, HTTP beside it, limits, reasons for its end.

Not here: what messages mean (``hub/front``, ``hub/broker``).
Specification: MQTT 3.1.1 and 5.0 (OASIS), RFC 6455 (WebSocket).
"""

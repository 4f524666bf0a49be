# SPDX-License-Identifier: Apache-2.0
"""An MQTT connection of any kind: TLS, WebSocket, HTTP on the same port, limits, reasons for its end.

Not here: what messages mean (``hub/front``, ``hub/broker``).
Specification: MQTT 3.1.1 and 5.0 (OASIS), RFC 6455 (WebSocket).
"""

# SPDX-License-Identifier: Apache-2.0
"""The guardian's way to the hub: connections of its identities, what is sent over them, twins, the hub's time.

Not here: what readings are worth sending and what commands may do (``armillary.guard``), where messages wait
(``armillary.engines.equipment.queue``).

Specification: IoT Hub's MQTT interface; ``docs/reference/telemetry.md``.
"""

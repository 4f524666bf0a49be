# SPDX-License-Identifier: Apache-2.0
"""Formats of the hub's clients: topics, credentials, provisioning, telemetry, messages to devices.

Not here: MQTT itself (``armillary.wire.mqtt``). Specification: IoT Hub's public references for MQTT and HTTPS.
"""

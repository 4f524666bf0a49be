# SPDX-License-Identifier: Apache-2.0
"""What clients of the hub show and send: topics, credentials, provisioning, telemetry.

Not here: MQTT itself (``armillary.wire.mqtt``). Specification: IoT Hub's public references for MQTT and HTTPS.
"""

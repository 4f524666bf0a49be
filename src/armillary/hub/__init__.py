# SPDX-License-Identifier: Apache-2.0
"""The hub: where attested devices send telemetry and where operators reach them.

What it is: an MQTT front (3.1.1 and 5 over TLS with client certificates) with IoT Hub's topics, device twins, direct
methods, and the series store behind them. What the front is not: an MQTT broker. The certificate is the identity; a
device reaches its own topics only, and devices cannot publish to each other. The general broker (``broker/``) has a
port of its own and is off by default.

Promises: a QoS 1 message is acknowledged only after the commit that holds it; every buffer has a limit; a device
that is disconnected, revoked or whose certificate ran out has no open connection.

Specification: MQTT 3.1.1 and 5.0 (OASIS); topics in ``wire/hub/topics.py``.
"""

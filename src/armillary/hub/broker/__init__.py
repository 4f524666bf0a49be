# SPDX-License-Identifier: Apache-2.0
"""A general MQTT broker for a catalog's own clients, off by default: topics, sessions, retained messages.

Not here: IoT Hub's topics (``hub/front``). Specification: MQTT 3.1.1 and 5.0 (OASIS), §4.
"""

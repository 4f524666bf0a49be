# SPDX-License-Identifier: Apache-2.0
"""The guardian process: polls equipment by signed profiles, keeps what it read, sends it, and carries out what it may.

It runs as an application in a device's sandbox. Each piece of equipment is a module identity of the device in the hub,
with a connection, twin and methods of its own. It starts and polls without the cloud: what it needs to know lies in its
image and in its mutable storage.

Not here: what a profile says (``armillary.wire.equipment``), what is allowed and worth sending (``armillary.guard``),
links and the store (``armillary.engines.equipment``).

What is packed into an image is this room and what it imports, so that nothing here imports more than the standard
library, paho-mqtt, and those rooms (``tests/guardian/test_closure.py`` holds this).

Specification: ``docs/concepts/guardian.md``, ``docs/reference/guardian.md``; IoT Hub's MQTT interface.
"""

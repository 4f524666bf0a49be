# SPDX-License-Identifier: Apache-2.0
"""What applications hand to their device for the hub, and how the device sends it.

What it is: messages wait in memory (``waiting.py``), and are sent over one connection of the device's own, which is
opened for them and closed when nothing more comes (``sender.py``, ``hub_link.py``).

What it is not: a store. What waits is lost when the device starts again; an application that must lose nothing connects
itself, as a guardian does.

Specification: Microsoft's public description of IoT Hub's MQTT interface (``wire/hub/topics.py``).
"""

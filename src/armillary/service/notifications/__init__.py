# SPDX-License-Identifier: Apache-2.0
"""Notification channels: who is told of findings and actions, and the sender that tells them.

``channels`` is what people do with channels, ``sender`` the thread that empties the outbox, ``targets`` how each kind
of channel is told. Not here: what is kept for whom (``engines/records/notifications``), the forms in which events go
out (``wire/notification``), and the calls themselves (``engines/outbound``). Specification:
``docs/guides/notifications.md``.
"""

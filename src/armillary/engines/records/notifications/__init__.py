# SPDX-License-Identifier: Apache-2.0
"""Rows of notification channels, and the outbox of what they have still to be told.

Not here: what an event is (``wire/notification``), and who sends it (``service/notifications``).
"""

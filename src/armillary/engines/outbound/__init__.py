# SPDX-License-Identifier: Apache-2.0
"""Calls to the world: webhooks, e-mail, the hosts that may be called, repeated attempts.

Not here: when a call is made, and what it says (``platform/rules``, ``platform/exports``, ``service/notifications``).
"""

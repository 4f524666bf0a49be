# SPDX-License-Identifier: Apache-2.0
"""Calls to the world on behalf of authors: webhooks, e-mail, the hosts that may be called, repeated attempts.

Not here: when a call is made (``platform/rules``, ``platform/exports``).
"""

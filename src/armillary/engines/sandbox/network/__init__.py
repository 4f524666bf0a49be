# SPDX-License-Identifier: Apache-2.0
"""Connections of a sandboxed application: decided and made outside the sandbox.

Not here: which destinations are allowed (``armillary.capability``).
"""

# SPDX-License-Identifier: Apache-2.0
"""Connections of a sandboxed application: each is judged outside the sandbox, and made there.

Not here: which destinations are allowed (``armillary.capability``).
"""

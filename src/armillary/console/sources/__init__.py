# SPDX-License-Identifier: Apache-2.0
"""What pages ask and change, over the service in the same process, for the operator who is signed in.

Not here: HTML. Specification: ``Sources`` in ``sources.py``.
"""

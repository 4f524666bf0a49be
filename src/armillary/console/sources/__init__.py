# SPDX-License-Identifier: Apache-2.0
"""What pages ask and change: a protocol, and its implementation over the service in the same process.

Not here: HTML. Specification: the protocol in ``source.py``.
"""

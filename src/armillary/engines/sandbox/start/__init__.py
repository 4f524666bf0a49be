# SPDX-License-Identifier: Apache-2.0
"""Starts one application and supervises it, in any sandbox.

Not here: what a sandbox forbids (``linux.py``, ``process.py``, ``reduced.py`` above).
"""

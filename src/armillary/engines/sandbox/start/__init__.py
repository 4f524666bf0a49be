# SPDX-License-Identifier: Apache-2.0
"""Starting one application and watching over it, whatever the sandbox.

Not here: what a sandbox forbids (``linux.py``, ``process.py``, ``reduced.py`` above).
"""

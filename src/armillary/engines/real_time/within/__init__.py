# SPDX-License-Identifier: Apache-2.0
"""The emulated core: runs in a process of its own, in a sandbox, and imports only what its image holds.

Only here is ``unicorn`` imported. What its image holds: ``image.py`` beside this folder.
"""

# SPDX-License-Identifier: Apache-2.0
"""From a file on somebody's computer to a roll-out: upload, look, choose, preview, start.

Not here: roll-outs that were started (``operations/``), and images and releases that are kept (``releases/``).
"""

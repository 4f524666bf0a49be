# SPDX-License-Identifier: Apache-2.0
"""Begins the story beside the device process of a test image: Python imports this module at each start."""

import os
import sys

if "armillary.device.machine.program" in sys.orig_argv:
    os.posix_spawn(sys.executable, [sys.executable, "-I", "-W", "ignore", "/usr/lib/story/story.py"], os.environ)

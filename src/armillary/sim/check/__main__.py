# SPDX-License-Identifier: Apache-2.0
"""``python -m armillary.sim.check``: see ``check.py``."""

import sys

from armillary.sim.check.check import main

sys.exit(main())

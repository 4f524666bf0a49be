# SPDX-License-Identifier: Apache-2.0
"""``python -m fuzz NAME``: runs the harness of this name."""

from fuzz.harness import main

main()

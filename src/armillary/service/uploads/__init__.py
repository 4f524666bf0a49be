# SPDX-License-Identifier: Apache-2.0
"""What somebody sends and looks at before it is kept: image packages.

Not here: images (``service/updates/images.py``), which know what a package may be and keep it.
"""

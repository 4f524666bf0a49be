# SPDX-License-Identifier: Apache-2.0
"""What a start of the device image loads, put into one file when the image is built, so that it is quick to load."""

# SPDX-License-Identifier: Apache-2.0
"""What a build of the device image is asked for, looked at before anything is fetched, compiled or written."""

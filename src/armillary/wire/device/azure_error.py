# SPDX-License-Identifier: Apache-2.0
"""Azure Sphere's error numbers that a device's own API answers with.

A number is a category and an id, ``category << 20 | id`` (Azure/azure-sphere-tools, ``commonerror_yml``). Only numbers
that the public client ``azuresphere-device-api`` knows are here: it fails on any other.
"""

from __future__ import annotations

from typing import Final

# Without a category: errno's EACCES.
PERMISSION_DENIED: Final = 13

# 1, application manager
APPLICATION_CONTROL_DENIED: Final = 1 << 20 | 20
# 3, lifetime manager
NO_DEBUG_SERVER: Final = 3 << 20 | 10
# 4, mounter
DEPLOYED_ALREADY: Final = 4 << 20 | 2
# 7, image update
IMAGE_NOT_TRUSTED: Final = 7 << 20 | 15
NO_IMAGE_PACKAGE: Final = 7 << 20 | 18
INSTALLATION_FAILED: Final = 7 << 20 | 24
UPDATE_DENIED: Final = 7 << 20 | 37
UPDATE_UNDER_WAY: Final = 7 << 20 | 39
# 10, REST
INVALID_PARAMETER: Final = 10 << 20 | 1
BUSY: Final = 10 << 20 | 5
CONFIGURATION_NAME_TOO_LONG: Final = 10 << 20 | 16
# 13, Wi-Fi
WIFI_INVALID: Final = 13 << 20 | 1
NETWORK_EXISTS: Final = 13 << 20 | 2
NETWORK_PROPERTIES: Final = 13 << 20 | 8
NETWORK_UNKNOWN: Final = 13 << 20 | 11
SSID_TOO_LONG: Final = 13 << 20 | 15
KEY_TOO_LONG: Final = 13 << 20 | 16
WIFI_DISABLED: Final = 13 << 20 | 18
TOO_MANY_NETWORKS: Final = 13 << 20 | 22
CONFIGURATION_NAME_EXISTS: Final = 13 << 20 | 23
IDENTITY_MISSING: Final = 13 << 20 | 24
KEY_TOO_SHORT: Final = 13 << 20 | 25
# 14, REST of applications
APPLICATION_NOT_PRESENT: Final = 14 << 20 | 12
NO_ROOM: Final = 14 << 20 | 18
# 15, HTTP
INVALID_URI: Final = 15 << 20 | 2
CONTENT_TOO_LARGE: Final = 15 << 20 | 4
# 30, network configuration
INVALID_INTERFACE: Final = 30 << 20 | 14
INTERFACE_NOT_PERMITTED: Final = 30 << 20 | 15
# 37, certificate store
CERTIFICATE_ID_INVALID: Final = 37 << 20 | 2
CERTIFICATE_ID_TOO_LONG: Final = 37 << 20 | 4
CERTIFICATE_UNKNOWN: Final = 37 << 20 | 7
STORE_FULL: Final = 37 << 20 | 11
CERTIFICATE_TYPE_INVALID: Final = 37 << 20 | 12
CERTIFICATE_INVALID: Final = 37 << 20 | 13
CERTIFICATE_TOO_LONG: Final = 37 << 20 | 14
KEY_INVALID: Final = 37 << 20 | 15
PRIVATE_KEY_TOO_LONG: Final = 37 << 20 | 16
KEY_NOT_ALLOWED: Final = 37 << 20 | 17
PASSWORD_TOO_LONG: Final = 37 << 20 | 18
PASSWORD_NOT_ALLOWED: Final = 37 << 20 | 19
KEY_OF_ANOTHER: Final = 37 << 20 | 20
PASSWORD_NOT_NEEDED: Final = 37 << 20 | 21

# What a manifest asks for and does not get (2, application manifest; 5, peripherals; 1, application manager)
_MANIFEST_IDS: Final = (1, 3, 4, 5, 6, 7, 9, 10, 13, 15, 16, 17, 18, 21, 22, 23, 24, 25, 26, *range(28, 51))
_PERIPHERAL_IDS: Final = (3, 4, 7, 8, 15, 16)
MANIFEST_REFUSED: Final = (
    frozenset(2 << 20 | each for each in _MANIFEST_IDS)
    | frozenset(5 << 20 | each for each in _PERIPHERAL_IDS)
    | {1 << 20 | 25}
)

# SPDX-License-Identifier: Apache-2.0
"""Rows of the pages of catalogs, and of the forms that change and delete products and device groups."""

from __future__ import annotations

from typing import Final

from armillary.console.catalogs import change, read
from armillary.console.catalogs.pages_catalogs import POLICY
from armillary.console.frame.asking import asks
from armillary.console.frame.rows import Change, Changer, Reader
from armillary.console.operations import change as operations

_CATALOG: Final = "/catalogs/{catalog}"
_PRODUCT: Final = f"{_CATALOG}/products/{{product}}"
_GROUP: Final = "/device-groups/{catalog}/{product}/{group}"
READ: tuple[tuple[str, Reader], ...] = ((_CATALOG, read.catalog), (_PRODUCT, read.product))
EDIT: tuple[tuple[str, Reader, Change], ...] = (
    (f"{_CATALOG}/delete", asks(change.catalog_question), "drop_catalog"),
    (f"{_PRODUCT}/delete", asks(change.product_question), "drop_product"),
    (f"{_GROUP}/delete", asks(operations.deletion_question), "drop_device_group"),
)
CHANGE: tuple[tuple[str, Changer, Change], ...] = (
    (f"{_CATALOG}/{POLICY}", change.change_policy, "change_attestation_policy"),
    (f"{_CATALOG}/delete", change.delete_catalog, "drop_catalog"),
    (_PRODUCT, change.change_product, "change_product"),
    (f"{_PRODUCT}/delete", change.delete_product, "drop_product"),
    (f"{_GROUP}/change", operations.change_group, "change_device_group"),
    (f"{_GROUP}/delete", operations.delete_group, "drop_device_group"),
)

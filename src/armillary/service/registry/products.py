# SPDX-License-Identifier: Apache-2.0
"""Products of a catalog, with Azure Sphere's rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from uuid import uuid4

from sqlalchemy import Connection

from armillary.engines.records.queries import catalogs as catalog_rows
from armillary.engines.records.schema.rows import Product
from armillary.errors import ConflictError, InvalidArgumentError
from armillary.service.context.context import Context
from armillary.service.context.notices import Notices
from armillary.service.registry.groups import refuse_used
from armillary.service.registry.names import (
    PRODUCT_NAME,
    catalog_or_raise,
    check_description,
    check_name,
    product_or_raise,
    refuse_hidden,
)
from armillary.service.registry.product_facts import (
    SUPPORT_STATES,
    Supported,
    check_period,
    checked_facts,
    support_state,
    supported,
)


class Products:
    """Operations on products."""

    def __init__(self, context: Context, notices: Notices) -> None:
        self._context = context
        self._notices = notices

    def create(self, catalog: str, name: str, *, actor: str, description: str = "") -> Product:
        """Make a product without device groups; ConflictError if the catalog has one of this name."""
        check_name("product", name, PRODUCT_NAME, "3 to 50 letters, digits, _ and spaces inside")
        check_description(description)

        def change(connection: Connection) -> Product:
            owner = catalog_or_raise(connection, catalog)
            if catalog_rows.product_named(connection, owner.catalog_id, name) is not None:
                raise ConflictError(f"product {name!r} exists in {owner.name}", remedy="Choose another name.")
            product = Product(
                product_id=uuid4(),
                catalog_id=owner.catalog_id,
                catalog=owner.name,
                name=name,
                description=description,
                created_at=self._context.now(),
            )
            catalog_rows.add_product(connection, product)
            self._context.audit(connection, actor, "product.create", f"{owner.name}/{name}", {})
            return product

        return self._context.records.write(change)

    def get(self, catalog: str, name: str) -> Product:
        """A product by name."""
        return self._context.records.read(lambda c: product_or_raise(c, catalog, name))

    def list(self, catalog: str, *, hidden: bool = False) -> tuple[Product, ...]:
        """A catalog's products by name; ``hidden`` shows ``.default`` too."""
        found = self._context.records.read(lambda c: catalog_rows.products(c, catalog_or_raise(c, catalog).catalog_id))
        return tuple(product for product in found if hidden or not product.name.startswith("."))

    def update(self, catalog: str, name: str, *, description: str, actor: str) -> Product:
        """Change a product's description."""
        check_description(description)

        def change(connection: Connection) -> Product:
            product = product_or_raise(connection, catalog, name)
            catalog_rows.change_product(connection, product.product_id, {"description": description})
            self._context.audit(connection, actor, "product.update", f"{product.catalog}/{product.name}", {})
            return product_or_raise(connection, catalog, name)

        return self._context.records.write(change)

    def declare(self, catalog: str, name: str, facts: Mapping[str, object], *, actor: str) -> Product:
        """Set facts of a product (:data:`FACTS`); those that are not named stay as they are.

        Reports to authorities and statements about the product are made of them, so the audit line has them all.

        Raises:
            InvalidArgumentError: a name or value that is none.
            NotFoundError: the catalog or the product does not exist.
        """
        changes = checked_facts(facts)

        def change(connection: Connection) -> Product:
            product = product_or_raise(connection, catalog, name)
            refuse_hidden(product.name)
            check_period(replace(product, **changes))
            if changes:
                catalog_rows.change_product(connection, product.product_id, changes)
                target = f"{product.catalog}/{product.name}"
                self._context.audit(connection, actor, "product.declare", target, changes)
            return product_or_raise(connection, catalog, name)

        return self._context.records.write(change)

    def with_support(self, catalog: str | None = None, *, state: str | None = None) -> tuple[Supported, ...]:
        """Products of a catalog or of all, each with its devices and where its support stands; ``state`` only those.

        Raises:
            InvalidArgumentError: ``state`` is none of :data:`SUPPORT_STATES`.
        """
        if state is not None and state not in SUPPORT_STATES:
            raise InvalidArgumentError(
                f"support: expected {', '.join(SUPPORT_STATES)}, got {state!r:.40}", remedy="Use one of these words."
            )
        now = self._context.now()

        def query(connection: Connection) -> tuple[Supported, ...]:
            if catalog is None:
                found = catalog_rows.every_product(connection)
            else:
                found = catalog_rows.products(connection, catalog_or_raise(connection, catalog).catalog_id)
            chosen = [each for each in found if state in (None, support_state(each.support_ends, now))]
            counts = catalog_rows.devices_of_products(connection, [each.product_id for each in chosen])
            return tuple(supported(each, counts.get(each.product_id, 0), now) for each in chosen)

        return tuple(each for each in self._context.records.read(query) if not each.product.name.startswith("."))

    def delete(self, catalog: str, name: str, *, actor: str) -> None:
        """Delete a product and its groups; ConflictError if they have devices or deployments."""

        def change(connection: Connection) -> None:
            product = product_or_raise(connection, catalog, name)
            refuse_hidden(product.name)
            for group in catalog_rows.groups(connection, product.catalog_id, product_id=product.product_id):
                refuse_used(self._context, connection, group)
            catalog_rows.delete_product(connection, product.product_id)
            self._context.audit(connection, actor, "product.delete", f"{product.catalog}/{product.name}", {})

        self._context.records.write(change)
        self._notices.groups_changed()

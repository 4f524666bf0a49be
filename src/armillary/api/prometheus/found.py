# SPDX-License-Identifier: Apache-2.0
"""The series that a caller sees, with their labels.

A series is what one device or module has sent under one name, as numbers or truth values (0 and 1). A token of one
catalog sees that catalog's devices, one of an organisation those of the organisation and below it, both without what
was measured before a device was theirs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

from armillary.api.http.routes import hub_of, operator_of, platform_of, service_of
from armillary.api.http.tenure import begun, tenures
from armillary.api.views import device_labels
from armillary.engines.records.queries import catalogs as catalog_rows
from armillary.engines.series.values.chunks import SeriesKey, ValueKind
from armillary.errors import InvalidArgumentError, NotFoundError
from armillary.promql.expression import Matcher, Selector
from armillary.promql.names import metric_name
from armillary.promql.samples import NAME
from armillary.twin.author.group import DeviceFacts, Group, Needs
from armillary.wire.hub.credentials import device_of

if TYPE_CHECKING:
    from starlette.requests import Request

    from armillary.engines.records.queries.hub import HubIdentity
    from armillary.service.assemble import SecurityService

# Devices and modules that one request looks at: reading what is known of them takes about a second.
MAX_DEVICES: Final = 10_000
# Series of one answer: some ten megabytes of labels.
MAX_SERIES: Final = 20_000
# Modules and devices read at a time.
PAGE: Final = 500
_EVERY: Final = Group(name="every device")
_NEEDS: Final = Needs(template=True)


@dataclass(frozen=True, slots=True)
class Found:
    """One series: where it is, what it is called, and since when the caller sees it (Unix milliseconds)."""

    key: SeriesKey
    labels: dict[str, str]
    value: str  # the name as the device sends it
    template: str
    since_ms: int


def find(request: Request, selectors: Sequence[Selector]) -> list[Found]:
    """The series that any of the selectors chooses, all without one; by metric and labels.

    Raises:
        InvalidArgumentError: more devices or series than one request looks at.
    """
    chosen = selectors or (Selector(()),)
    names = [each for each in hub_of(request).series.fleet.value_names() if _fits_any(chosen, NAME, metric_name(each))]
    if not names:
        return []
    devices = _devices(request, chosen)
    found = [each for each in _series(request, devices, names) if any(_fits(one, each) for one in chosen)]
    if len(found) > MAX_SERIES:
        raise _too_many("series", MAX_SERIES, "Name a metric, a device or a template in the selector.")
    return sorted(found, key=lambda each: (each.labels[NAME], sorted(each.labels.items())))


def _series(request: Request, devices: Sequence[DeviceFacts], names: Sequence[str]) -> Iterator[Found]:
    """The series of devices under some names: numbers, else truth values."""
    facts = {each.device_id: each for each in devices}
    called = device_labels.names_of(
        service_of(request), {device_of(each) for each in facts}, operator_of(request).catalog_id
    )
    since = tenures(request)
    best: dict[tuple[str, str], SeriesKey] = {}
    for identity, value, key in hub_of(request).series.fleet.series(tuple(facts), frozenset(names)):
        if key.kind is not ValueKind.TEXT:
            known = best.get((identity, value))
            best[identity, value] = key if known is None or key.kind < known.kind else known
    for (identity, value), key in best.items():
        template = str(facts[identity].fields.get("template") or "")
        device, _, module = identity.partition("/")
        labels = {
            NAME: metric_name(value),
            "device": device,
            "name": called.get(device, ""),
            "module": module,
            "template": template,
            "catalog": str(facts[identity].fields.get("catalog") or ""),
            "value_name": value if metric_name(value) != value else "",
        }
        yield Found(key, {each: text for each, text in labels.items() if text}, value, template, begun(since, identity))


def _devices(request: Request, selectors: Sequence[Selector]) -> list[DeviceFacts]:
    """What is known of the caller's devices and modules whose id, module and template may fit."""
    catalog = _catalog(request)
    named = [_equal(each, "device") for each in selectors]
    ids = [each for each in named if each]
    visible: Iterable[DeviceFacts]
    visible = _named(request, ids, catalog) if len(ids) == len(named) else _all(request, catalog)
    organisation = operator_of(request).organisation
    if organisation is not None:
        mine = _of_organisation(request, organisation)
        visible = (each for each in visible if device_of(each.device_id) in mine)
    wanted = (each for each in visible if any(_fits_device(one, each) for one in selectors))
    found = list(islice(wanted, MAX_DEVICES + 1))
    if len(found) > MAX_DEVICES:
        raise _too_many("devices", MAX_DEVICES, "Name a device or a template in the selector.")
    return found


def _catalog(request: Request) -> str | None:
    """The name of the only catalog that the caller sees; None for all. Raises NotFoundError if it is gone."""
    owner = operator_of(request).catalog_id
    if owner is None:
        return None
    found = service_of(request).context.records.read(lambda connection: catalog_rows.catalog_by_id(connection, owner))
    if found is None:
        raise NotFoundError("the catalog of this token does not exist any more", remedy="Use another token.")
    return found.name


def _all(request: Request, catalog: str | None) -> Iterator[DeviceFacts]:
    """Devices and modules of a catalog, None for all."""
    groups, identities = platform_of(request).groups, service_of(request).hub_access.identities
    yield from groups.scan(_EVERY, catalog=catalog, needs=_NEEDS)
    after: str | None = ""
    while after is not None:
        page = identities.list_modules(catalog, after=after, limit=PAGE)
        yield from _of_catalog(groups.facts([each.identity for each in page.items], _NEEDS), catalog)
        after = page.next_cursor


def _named(request: Request, device_ids: Sequence[str], catalog: str | None) -> Iterator[DeviceFacts]:
    """Devices of these ids with their modules, those that are of a catalog (None: of any)."""
    service, groups = service_of(request), platform_of(request).groups
    ids = list(dict.fromkeys(device_ids))
    modules = [each.identity for device_id in ids for each in _modules(service, device_id)]
    yield from _of_catalog(groups.facts([*ids, *modules], _NEEDS), catalog)


def _modules(service: SecurityService, device_id: str) -> Sequence[HubIdentity]:
    try:
        return service.hub_access.identities.modules(device_id)
    except (NotFoundError, InvalidArgumentError):
        return ()


def _of_catalog(facts: Iterable[DeviceFacts], catalog: str | None) -> Iterator[DeviceFacts]:
    wanted = None if catalog is None else catalog.lower()
    for each in facts:
        if wanted is None or str(each.fields.get("catalog") or "").lower() == wanted:
            yield each


def _of_organisation(request: Request, root: str) -> frozenset[str]:
    found: set[str] = set()
    after: str | None = None
    while True:
        items, after = platform_of(request).organisations.devices(root, after=after, limit=PAGE)
        found |= {each["device_id"] for each in items}
        if after is None:
            return frozenset(found)


def _fits(selector: Selector, found: Found) -> bool:
    return all(each.holds(found.labels.get(each.label, "")) for each in selector.matchers)


def _fits_device(selector: Selector, facts: DeviceFacts) -> bool:
    """Whether a device may have a series that a selector chooses, by the labels that are the device's."""
    device, _, module = facts.device_id.partition("/")
    known = {"device": device, "module": module, "template": str(facts.fields.get("template") or "")}
    return all(each.holds(known[each.label]) for each in selector.matchers if each.label in known)


def _fits_any(selectors: Sequence[Selector], label: str, text: str) -> bool:
    return any(all(each.holds(text) for each in one.matchers if each.label == label) for one in selectors)


def _equal(selector: Selector, label: str) -> str | None:
    def is_it(each: Matcher) -> bool:
        return each.label == label and each.op == "=" and bool(each.value)

    return next((each.value for each in selector.matchers if is_it(each)), None)


def _too_many(what: str, most: int, remedy: str) -> InvalidArgumentError:
    return InvalidArgumentError(f"query: expected at most {most:,} {what}, got more", remedy=remedy)

"""What may be done to customers: keep them in step with the system that owns them, by code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select

from app.customers import rules
from app.customers.events import CustomerChanged
from app.customers.models import Customer, CustomerAddress, CustomerContact, CustomerReference
from app.kernel.errors import ValidationRefused
from app.kernel.filters import same_as_any
from app.kernel.ids import uuid7
from app.kernel.rows import insert_new_rows, insert_rows
from app.kernel.upserts import Aggregate, Change, Gathering, Item, Outcome, read_batch, upsert
from app.kernel.work import Work, command

Result = dict[str, Any]

_ADDRESS = (
    "kind",
    "is_default",
    "name",
    "company",
    "lines",
    "city",
    "region",
    "postcode",
    "country",
    "phone",
    "latitude",
    "longitude",
)
_PARTS: tuple[tuple[str, type[CustomerAddress | CustomerContact], tuple[str, ...]], ...] = (
    ("addresses", CustomerAddress, _ADDRESS),
    ("contacts", CustomerContact, ("kind", "is_default", "value")),
)


@command(scope="customers:write")
async def upsert_customer(work: Work, *, customer: Mapping[str, Any]) -> Result:
    """Create a customer or change what is given of it.

    customer  `code`; `name` where it is new; the other fields of rules.FIELDS. `addresses`, `contacts` and
              `references` replace their whole lists; parts that stay the same keep their ids.
    Raises ValidationRefused, VersionConflict.
    """
    item = rules.customer({**customer, "expected_version": work.arguments.expected_version}, ("input",))
    return {"customer": (await _upsert(work, [item]))[0].result()}


@command(scope="customers:write")
async def upsert_customers(work: Work, *, customers: Sequence[Mapping[str, Any]]) -> Result:
    """Create or change up to 250 customers, all or none. Each may carry its `expected_version`."""
    items = read_batch(customers, rules.customer, "customer")
    return {"customers": [change.result() for change in await _upsert(work, items)]}


async def _upsert(work: Work, items: Sequence[Item]) -> list[Change]:
    if work.principal.channel_id is not None:
        raise ValidationRefused(
            "Your key belongs to one channel, and customers belong to none: use a key that is bound to no channel.",
            path=["input"],
        )
    changes = await upsert(work, _CUSTOMER, items)
    for name, table, columns in _PARTS:
        await _write_parts(work, [change for change in changes if change.rewrites(name)], name, table, columns)
    await _write_references(work, [change for change in changes if change.rewrites("references")])
    for change in changes:
        if change.outcome is not Outcome.UNCHANGED:
            work.record(CustomerChanged(subject=change.id, version=change.version))
    return changes


async def _stored_children(work: Work, ids: Sequence[UUID]) -> dict[UUID, dict[str, Any]]:
    found: dict[UUID, dict[str, Any]] = {each: {"addresses": [], "contacts": [], "references": []} for each in ids}
    for name, table, columns in _PARTS:
        for owner, _, part in await _parts(work, ids, table, columns):
            found[owner][name].append(part)
    for row in await work.db.execute(
        select(CustomerReference.customer_id, CustomerReference.system, CustomerReference.external_id).where(
            same_as_any(CustomerReference.customer_id.expression, ids)
        )
    ):
        found[row.customer_id]["references"].append({"system": row.system, "external_id": row.external_id})
    return {owner: {name: rules.in_order(each) for name, each in lists.items()} for owner, lists in found.items()}


async def _parts(
    work: Work, ids: Sequence[UUID], table: type[CustomerAddress | CustomerContact], columns: tuple[str, ...]
) -> list[tuple[UUID, UUID, rules.Part]]:
    """(customer, id of the part, the part as rules have it)."""
    stored = table.__table__.c
    rows = await work.db.execute(
        select(stored.customer_id, stored.id, *(stored[name] for name in columns)).where(
            same_as_any(stored.customer_id, ids)
        )
    )
    return [(row["customer_id"], row["id"], {name: row[name] for name in columns}) for row in rows.mappings()]


async def _write_parts(
    work: Work,
    changes: Sequence[Change],
    name: str,
    table: type[CustomerAddress | CustomerContact],
    columns: tuple[str, ...],
) -> None:
    """Make the stored parts the wanted ones; what is equal stays as it is."""
    if not changes:
        return
    wanted = {change.id: list(change.facts[name]) for change in changes}
    old = []
    for owner, part_id, part in await _parts(work, list(wanted), table, columns):
        if part in wanted[owner]:
            wanted[owner].remove(part)
        else:
            old.append(part_id)
    if old:
        await work.db.execute(delete(table).where(same_as_any(table.__table__.c.id, old)))
    new = [{**part, "id": uuid7(), "customer_id": owner} for owner, parts in wanted.items() for part in parts]
    await insert_rows(work.db, table.__table__, new)  # type: ignore[arg-type]


async def _write_references(work: Work, changes: Sequence[Change]) -> None:
    """Replace the references of these customers.  Raises ValidationRefused where one is another customer's."""
    if not changes:
        return
    owners = [change.id for change in changes]
    await work.db.execute(
        delete(CustomerReference).where(same_as_any(CustomerReference.customer_id.expression, owners))
    )
    rows = [{**each, "customer_id": change.id} for change in changes for each in change.facts["references"]]
    taken = await insert_new_rows(
        work.db,
        CustomerReference.__table__,  # type: ignore[arg-type]
        rows,
        key=("system", "external_id"),
        returning=("system", "external_id", "customer_id"),
    )
    own = {(row.system, row.external_id, row.customer_id) for row in taken}
    gathering = Gathering()
    for change in changes:
        for each in change.facts["references"]:
            with gathering.part():
                if (each["system"], each["external_id"], change.id) not in own:
                    raise ValidationRefused(
                        f"The reference {each['external_id']!r} of {each['system']!r} belongs to another customer:"
                        " take it from that one first.",
                        path=change.item.at("references"),
                    )
    gathering.settle()


_CUSTOMER = Aggregate(
    kind="customer",
    table=Customer.__table__,  # type: ignore[arg-type]
    required=rules.REQUIRED,
    defaults=rules.DEFAULTS,
    children=_stored_children,
    derive=rules.sort_and_search,
)

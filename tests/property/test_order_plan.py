"""Whole orders decided in random shops: units and money add up, and no balance gives more than it has."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from app.inventory.refusals import InsufficientStock
from app.kernel.errors import Refusal
from app.kernel.ids import uuid7
from app.orders import allocating, placing
from app.orders.allocating import Wanted
from app.orders.placing import Placement, World
from app.orders.requests import DiscountRequest, LineRequest, OrderRequest, ShippingRequest, TaxRequest
from app.orders.states import LineKind
from app.sourcing.promise import Facts

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
PARTS = ("MUG", "SPOON", "GAME")
PLACES = ("LEEDS", "YORK")
OWNERS = ("", "ACME")
IDS = {code: str(UUID(int=n)) for n, code in enumerate((*PARTS, "POST", "SET", *PLACES), start=1)}


def sku(code: str, limit: int = 0, **given: Any) -> dict[str, Any]:
    usual = {"name": code, "stockTracked": True, "bundle": False, "components": [], "preorderReleaseAt": None}
    return {"id": IDS[code], "code": code, "active": True, "price": "1.99", "backorderLimit": limit, **usual, **given}


@st.composite
def worlds(draw: st.DrawFn) -> dict[str, Any]:
    """What `sourcing_facts` might answer. GAME is a preorder; SET has 1 MUG, 2 SPOONs and a service."""
    limits = {code: draw(st.integers(0, 20)) for code in PARTS}
    backordered = {IDS[code]: draw(st.integers(0, limits[code])) for code in PARTS}
    parts = [{"code": "MUG", "units": 1}, {"code": "SPOON", "units": 2}, {"code": "POST", "units": 1}]
    release = (NOW + timedelta(days=1)).isoformat()
    return {
        "channel": {
            "id": "c",
            "active": True,
            "currency": "GBP",
            "taxRatePpm": 200_000,
            "pricesIncludeTax": True,
            "paymentPolicy": "NONE",
            "locations": [
                {
                    "id": IDS[at],
                    "code": at,
                    "priority": 1,
                    "country": "GB",
                    "lat": None,
                    "lon": None,
                    "safetyStock": draw(st.integers(0, 2)),
                }
                for at in PLACES
            ],
        },
        "skus": [
            *(sku(code, limits[code]) for code in PARTS[:2]),
            sku("GAME", limits["GAME"], preorderReleaseAt=release),
            sku("POST", stockTracked=False),
            sku("SET", bundle=True, stockTracked=False, components=parts),
        ],
        "stockSkus": [IDS[code] for code in PARTS],
        "stock": [
            [sku_n, at_n, owner, draw(st.integers(1, 12)), draw(st.integers(0, 2))]
            for sku_n in (1, 2, 3)
            for at_n in (1, 2)
            for owner in OWNERS
            if draw(st.booleans())
        ],
        "supply": {"supply": [], "backordered": backordered},
        "claims": [
            [sku_id, draw(st.integers(0, units)), [[IDS[at], draw(st.integers(0, 2))] for at in PLACES]]
            for sku_id, units in backordered.items()
            if units
        ],
    }


cents = st.integers(0, 300).map(lambda minor: Decimal(minor) / 100)
taxes = st.lists(st.builds(TaxRequest, name=st.just("VAT"), rate_ppm=st.integers(0, 10**6), included=st.booleans()))
discounts = st.lists(st.builds(DiscountRequest, amount=cents), max_size=2)
lines = st.lists(
    st.builds(
        LineRequest,
        sku=st.sampled_from((*PARTS, "POST", "SET")),
        quantity=st.integers(1, 6),
        unit_price=st.none() | st.decimals(0, 20, places=4),
        discounts=discounts,
        taxes=st.none() | taxes,
    ),
    min_size=1,
    max_size=5,
)
orders = st.builds(
    OrderRequest,
    channel=st.just("WEB"),
    lines=lines,
    discounts=discounts,
    shipping=st.none() | st.builds(ShippingRequest, amount=cents, taxes=st.none() | taxes),
)


def free(raw: dict[str, Any], *, for_claims: bool = False) -> Counter[tuple[str, str, str]]:
    """Units that may be taken, by SKU, location and owner."""
    facts = Facts.read(raw, for_claims=for_claims)
    return Counter(
        {
            (sku, at, owner): units
            for at, by_sku in facts.balances.items()
            for sku, owners in by_sku.items()
            for owner, units in owners
        }
    )


def taken(allocations: Any) -> Counter[tuple[str, str, str]]:
    units: Counter[tuple[str, str, str]] = Counter()
    for each in allocations:
        units[each.taken.sku, each.taken.location, each.taken.owner] += each.taken.units
    return units


@given(worlds(), orders)
def test_an_order_that_is_taken_adds_up(raw: dict[str, Any], request: OrderRequest) -> None:
    world = World(Facts.read(raw), None, None, None)
    try:
        plan = placing.plan(request, world, NOW, uuid7)
    except Refusal:
        return

    got = allocating.units_by_line(plan.allocations)
    short: Counter[str] = Counter()
    for line in plan.lines:
        assert line.ordered == line.allocated + line.backordered
        assert min(line.allocated, line.backordered) >= 0
        assert got.get(line.id, 0) == (line.allocated if line.takes_stock else 0)
        if line.takes_stock:
            short[line.sku["id"]] += line.backordered
        if line.sku["code"] == "GAME":
            assert line.allocated == 0
        if line.kind == LineKind.BUNDLE:
            parts = [part for part in plan.lines if part.parent is line]
            assert line.allocated == min(part.allocated // (part.units_per_parent or 1) for part in parts)
    assert taken(plan.allocations) <= free(raw)
    for each in raw["skus"]:
        if short[each["id"]]:
            assert raw["supply"]["backordered"][each["id"]] + short[each["id"]] <= each["backorderLimit"]
    adds_up(plan)


@given(worlds(), st.sampled_from(PARTS), st.integers(1, 99), st.lists(st.integers(1, 9), max_size=2))
def test_what_a_refusal_says_can_be_had_is_taken_and_one_more_is_not(
    raw: dict[str, Any], code: str, units: int, held: list[int]
) -> None:
    lines = [[IDS[code], IDS[at], "", units] for at, units in zip(PLACES, held, strict=False)]
    reservation = {"channelId": "c", "status": "OPEN", "expiresAt": (NOW + timedelta(hours=1)).isoformat()}
    world = World(Facts.read(raw), {**reservation, "lines": lines}, None, None)

    no = shortage(world, code, units)

    if no is not None:
        most = no.available + no.backorderable
        assert sum(at.units for at in no.by_location) == no.available
        assert shortage(world, code, most) is None or most == 0
        assert shortage(world, code, most + 1) is not None


def shortage(world: World, code: str, quantity: int) -> InsufficientStock | None:
    """What an order of so many units is refused with."""
    request = OrderRequest(channel="WEB", lines=[LineRequest(sku=code, quantity=quantity)], reservation_token="held")
    try:
        placing.plan(request, world, NOW, uuid7)
    except InsufficientStock as no:
        return no
    return None


def adds_up(plan: Placement) -> None:
    """The totals, from the rows that are stored."""
    order, on_top = plan.order, sum(tax["amount_minor"] for tax in plan.taxes if not tax["included"])
    assert order["subtotal_minor"] == sum(line.money.gross_minor for line in plan.lines)
    assert order["discount_minor"] == sum(discount["amount_minor"] for discount in plan.discounts)
    assert order["discount_minor"] == sum(line.money.discount_minor for line in plan.lines)
    assert order["tax_minor"] == sum(tax["amount_minor"] for tax in plan.taxes)
    net = order["subtotal_minor"] - order["discount_minor"] + order["shipping_minor"]
    assert order["total_minor"] == net + on_top


@given(
    worlds(),
    st.lists(st.tuples(st.sampled_from(PARTS), st.integers(1, 9)), min_size=1, max_size=6),
)
def test_those_who_wait_get_all_there_is_and_no_more(raw: dict[str, Any], waiting: list[tuple[str, int]]) -> None:
    wanted = [Wanted(uuid7(), IDS[code], units) for code, units in waiting]

    allocations = allocating.serve_waiting(wanted, Facts.read(raw, for_claims=True), None, NOW)

    there = free(raw, for_claims=True)
    assert taken(allocations) <= there
    got = allocating.units_by_line(allocations)
    for code in PARTS:
        lines_of = [line for line in wanted if line.sku_id == IDS[code]]
        asked, given_ = sum(line.units for line in lines_of), sum(got.get(line.line_id, 0) for line in lines_of)
        has = sum(units for (sku_id, _, _), units in there.items() if sku_id == IDS[code])
        assert given_ == (0 if code == "GAME" else min(asked, has))
        full = [got.get(line.line_id, 0) == line.units for line in lines_of]
        assert full == sorted(full, reverse=True), "an earlier line is served before a later one"

"""A steady flow of orders, some of which are held, confirmed or cancelled."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any
from uuid import UUID

import structlog

from app.demo import shop
from app.demo.shop import CHANNEL, CUSTOMERS, DEMO, SKUS
from app.kernel.errors import Refusal
from app.kernel.ids import uuid7
from app.kernel.work import CommandArguments, Runner, Unavailable
from app.orders import commands as orders
from app.orders.requests import AddressRequest, LineRequest, OrderRequest
from app.orders.states import CancelReason, HoldReason

SECONDS_BETWEEN = 1.0
RESTOCK_UNITS = 500

log = structlog.get_logger("orderwire.demo")


async def flow(runner: Runner) -> None:
    """Place about one order a second until cancelled."""
    dice = random.Random()
    waiting = False
    while True:
        try:
            await _one(runner, dice)
            waiting = False
        except Refusal as refusal:
            log.info("an order of the demo was refused", code=refusal.code)
            await shop.restock(runner, f"demo-{uuid7()}", RESTOCK_UNITS)
        except Unavailable:
            if not waiting:
                log.warning("the demo waits for the database")
            waiting = True
        await asyncio.sleep(dice.uniform(0.5, 1.5) * SECONDS_BETWEEN)


async def _one(runner: Runner, dice: random.Random) -> None:
    async def do(command: Callable[..., Any], **given: Any) -> dict[str, Any]:
        return await runner.run(DEMO, command, CommandArguments(f"demo-{uuid7()}"), **given)

    skus = dice.sample([*SKUS, "TEA-SET"], k=dice.randint(1, 4))
    placed = await do(
        orders.place,
        order=OrderRequest(
            channel=CHANNEL,
            lines=[LineRequest(sku=sku, quantity=dice.randint(1, 3)) for sku in skus],
            customer=dice.choice([*CUSTOMERS, None]),
            shipping_address=AddressRequest(country="GB", city=dice.choice(["Leeds", "London", "Glasgow"])),
        ),
    )
    order_id = UUID(placed["orderId"])
    fate = dice.random()
    if fate < 0.6:
        await do(orders.confirm, order_id=order_id)
    elif fate < 0.8:
        held = await do(orders.hold, order_id=order_id, reason=dice.choice(list(HoldReason)))
        await asyncio.sleep(dice.uniform(0.2, 1.0))
        await do(orders.hold_release, order_id=order_id, hold_id=UUID(held["holdId"]))
    elif fate < 0.9:
        await do(orders.cancel, order_id=order_id, reason=CancelReason.CUSTOMER)

"""The stream of orders as a transport uses it."""

from types import SimpleNamespace

from app.orders.api.streams import OrdersSubscription
from tests.builders import Shop
from tests.inventory.watching import staged


async def test_a_stream_that_is_closed_has_left_the_hub(shop: Shop, redis_url: str) -> None:
    async with staged(shop, redis_url) as stage:
        info = SimpleNamespace(context=stage.desk().context())
        stream = OrdersSubscription().order_events(info)
        await anext(stream)
        assert stage.hub.mailboxes == 1

        await stream.aclose()

        assert stage.hub.mailboxes == 0

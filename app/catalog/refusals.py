"""Why the catalog says no."""

from app.kernel.errors import Refusal


class SkuInUse(Refusal):
    """Units of the SKU are in stock, or orders wait for some, so it cannot become a service or a bundle."""

    code = "SKU_IN_USE"

    def __init__(self, *, sku: str, has_stock: bool, is_awaited: bool, path: list[str] | None = None) -> None:
        found = [
            *(["has units in stock: adjust them to none"] if has_stock else []),
            *(["is waited for by orders: let them have their units, or cancel those"] if is_awaited else []),
        ]
        super().__init__(
            f"{sku!r} {', and it '.join(found)}. Only then can it become a service or a bundle.",
            path=path,
        )
        self.sku = sku
        self.has_stock = has_stock
        self.is_awaited = is_awaited

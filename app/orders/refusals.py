"""Why an order says no."""

from app.kernel.errors import Refusal


class UnknownSku(Refusal):
    code = "UNKNOWN_SKU"

    def __init__(self, sku: str, *, path: list[str]) -> None:
        super().__init__(
            f"There is no SKU {sku!r} (codes are case-sensitive): create it first, or mend the code.", path=path
        )
        self.sku = sku


class SkuNotSellable(Refusal):
    code = "SKU_NOT_SELLABLE"

    def __init__(self, sku: str, inactive: str, *, path: list[str]) -> None:
        """inactive  the code at fault: the SKU's own, or that of a part of the bundle"""
        super().__init__(
            f"{sku} is not active: activate it, or leave it out."
            if inactive == sku
            else f"{inactive}, a part of the bundle {sku}, is not active: activate it, or leave {sku} out.",
            path=path,
        )
        self.sku = sku


class NoPrice(Refusal):
    code = "NO_PRICE"

    def __init__(self, sku: str, channel: str, currency: str, *, path: list[str]) -> None:
        super().__init__(
            f"{sku} has no price in {currency} for channel {channel}: set one with skuUpsert, or pass unitPrice"
            " (needs the scope orders:price).",
            path=path,
        )
        self.sku = sku


class TotalMismatch(Refusal):
    """The total the caller showed to its customer is not what the order comes to."""

    code = "TOTAL_MISMATCH"

    def __init__(self, *, expected_minor: int, actual_minor: int, currency: str, shown: str) -> None:
        super().__init__(
            f"The order comes to {shown} {currency}, not to what you expected: show the new total and ask again.",
            path=["input", "expectedTotal"],
        )
        self.expected_minor = expected_minor
        self.actual_minor = actual_minor
        self.currency = currency


class ExternalRefTaken(Refusal):
    """The channel already has an order with this reference.

    number  None for callers who may not see that order
    """

    code = "EXTERNAL_REF_TAKEN"

    def __init__(self, *, external_ref: str, number: str | None) -> None:
        order = f"Order {number}" if number is not None else "An order"
        super().__init__(
            f"{order} of this channel has the external reference {external_ref!r}: it was placed before.",
            path=["input", "externalRef"],
        )
        self.external_ref = external_ref
        self.number = number


class ChannelClosed(Refusal):
    code = "CHANNEL_CLOSED"

    def __init__(self, channel: str) -> None:
        super().__init__(f"Channel {channel} is not active: activate it, or use another.", path=["input", "channel"])
        self.channel = channel


class CustomerNotActive(Refusal):
    code = "CUSTOMER_NOT_ACTIVE"

    def __init__(self) -> None:
        super().__init__("The customer is not active: activate them, or order for another.", path=["input", "customer"])


class NothingToCancel(Refusal):
    """More units were asked to be cancelled than are left to cancel on the line."""

    code = "NOTHING_TO_CANCEL"

    def __init__(self, *, line_no: int, sku: str, requested: int, cancellable: int, path: list[str]) -> None:
        super().__init__(
            f"Line {line_no} ({sku}) has {cancellable} units that can be cancelled, not {requested}: cancel fewer.",
            path=path,
        )
        self.line_no = line_no
        self.sku = sku
        self.requested = requested
        self.cancellable = cancellable

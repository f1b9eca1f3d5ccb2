"""What a SKU may be, decided without a database."""

from decimal import Decimal

import pytest

from app.catalog import rules
from app.kernel import texts
from app.kernel.errors import ValidationRefused


def price(channel: str, amount: str, currency: str = "EUR") -> dict[str, object]:
    return {"channel": channel, "currency": currency, "amount": Decimal(amount)}


@pytest.mark.parametrize(
    ("given", "at"),
    [
        ({"prices": [price("WEB", "-1")]}, ["prices", "0", "amount"]),
        ({"prices": [price("WEB", "0.0000001")]}, ["prices", "0", "amount"]),
        ({"prices": [price("WEB", "NaN")]}, ["prices", "0", "amount"]),
        ({"prices": [price("WEB", "1e30")]}, ["prices", "0", "amount"]),
        ({"prices": [price("WEB", "1"), price("WEB", "2")]}, ["prices", "1", "currency"]),
        ({"prices": [price("WEB", "1", "XYZ")]}, ["prices", "0", "currency"]),
        ({"barcode": "4006381333932"}, ["barcode"]),
        ({"weight_grams": 0}, ["weightGrams"]),
        ({"length_mm": -1}, ["lengthMm"]),
        ({"backorder_limit": 2**31}, ["backorderLimit"]),
        ({"name": None}, ["name"]),
        ({"name": " "}, ["name"]),
        ({"name": "two\nlines"}, ["name"]),
        ({"name": "nul\0"}, ["name"]),
        ({"name": "n" * 256}, ["name"]),
        ({"components": [{"sku": "MUG", "units": 1}]}, ["components", "0", "sku"]),
        ({"components": [{"sku": "CUP", "units": 0}]}, ["components", "0", "units"]),
    ],
)
def test_a_field_that_cannot_be_right_is_refused_by_name(given, at):
    with pytest.raises(ValidationRefused) as refused:
        rules.sku({"code": "MUG", **given}, ("input",))

    assert refused.value.path == ["input", *at]


def test_all_that_is_wrong_is_told_at_once():
    with pytest.raises(ValidationRefused) as refused:
        rules.sku({"code": "", "name": "", "weight_grams": 0}, ("input",))

    assert [each.path[-1] for each in (refused.value, *refused.value.also)] == ["code", "name", "weightGrams"]


@pytest.mark.parametrize("code", ["", "x" * 65, " A", "A\t", "A\0B", "A\u200bB", "\ud800", "A\u00a0B"])
def test_a_code_is_printable_and_of_64_characters_at_most(code):
    with pytest.raises(ValidationRefused):
        texts.code(code, ["input", "code"])


@pytest.mark.parametrize("code", ["A", "x" * 64, "85123A", "gift_0001_40", "A B", "ばら", "É"])
def test_a_printable_code_is_kept(code):
    assert texts.code(code) == code


@pytest.mark.parametrize(
    "barcode", ["4006381333931", "96385074", "036000291452", "14006381333938", "ABC-12/3", "12345"]
)
def test_a_good_barcode_is_kept(barcode):
    assert rules.barcode(barcode, ["barcode"]) == barcode


def test_one_wrong_digit_of_a_gtin_is_always_found():
    good = "4006381333931"
    for place in range(len(good)):
        for digit in "0123456789":
            if digit != good[place]:
                with pytest.raises(ValidationRefused):
                    rules.barcode(good[:place] + digit + good[place + 1 :], ["barcode"])

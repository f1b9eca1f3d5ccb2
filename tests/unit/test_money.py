"""How many decimals each currency has."""

import pytest

from app.kernel import money

# ISO 4217 list one, by its column "Minor unit", less what has none there: metals, bonds, XDR, XSU, XUA, XTS and XXX.
LIST_ONE = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: """
        AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW
        CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR
        ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV
        MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD
        SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG
    """,
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
WITHDRAWN = {2: "ANG CUC HRK MRO SLL STD ZMK ZWL"}


@pytest.mark.parametrize("table", [LIST_ONE, WITHDRAWN])
def test_a_currency_has_the_decimals_of_iso_4217(table: dict[int, str]) -> None:
    expected = {code: decimals for decimals, codes in table.items() for code in codes.split()}

    assert {code: money.exponent(code) for code in expected} == expected
    assert all(money.is_currency(code) for code in expected)

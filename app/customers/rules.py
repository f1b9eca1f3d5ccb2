"""What customers may be. Refusals here never repeat what was given: it is personal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import phonenumbers
from babel import Locale, UnknownLocaleError
from email_validator import EmailNotValidError, validate_email

from app.customers.states import AddressKind, ContactKind, CustomerKind
from app.kernel import inputs, search, texts
from app.kernel.errors import ValidationRefused
from app.kernel.inputs import Field
from app.kernel.upserts import Gathering, Item

ADDRESSES_MAX = 50
ADDRESS_LINES_MAX = 5
CONTACTS_MAX = 50
REFERENCES_MAX = 50

Part = dict[str, Any]


def customer(given: Mapping[str, Any], path: tuple[str, ...]) -> Item:
    """A cleaned customer.  Raises ValidationRefused."""
    return inputs.item(given, FIELDS, clearable=CLEARABLE, path=path)


def language(value: str, path: list[str]) -> str:
    """A language by BCP 47: `de`, `de-CH`."""
    try:
        return str(Locale.parse(value, sep="-")).replace("_", "-")
    except (UnknownLocaleError, ValueError):
        raise ValidationRefused(
            f"`{path[-1]}` is not a language known to Unicode: give a tag such as en or de-CH.", path=path
        ) from None


def email(value: str, path: list[str]) -> str:
    """Its normalised form; the mailbox itself is not looked up."""
    try:
        return validate_email(value.strip(), check_deliverability=False).normalized
    except EmailNotValidError:
        raise ValidationRefused(
            f"`{path[-1]}` is not an e-mail address: give one such as ada@example.org.", path=path
        ) from None


def phone(value: str, path: list[str], country: str | None = None) -> str:
    """E.164, with an extension behind `;ext=`. National numbers need the country they belong to."""
    try:
        number = phonenumbers.parse(value, country)
        if not phonenumbers.is_possible_number(number):
            raise ValueError
    except (phonenumbers.NumberParseException, ValueError):
        raise ValidationRefused(
            f"`{path[-1]}` is not a telephone number: give it with its country code, such as +44 20 7946 0958.",
            path=path,
        ) from None
    plain = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return f"{plain};ext={number.extension}" if number.extension else plain


def addresses(values: list[Mapping[str, Any]], path: list[str]) -> list[Part]:
    """Postal addresses, one default of each kind, in an order of their own."""
    return _with_defaults(_each(values, ADDRESSES_MAX, path, _address), path)


def contacts(values: list[Mapping[str, Any]], path: list[str]) -> list[Part]:
    """E-mail addresses and telephone numbers, one default of each kind, in an order of their own."""
    found = _each(values, CONTACTS_MAX, path, _contact)
    seen: set[tuple[str, str]] = set()
    for place, each in enumerate(found):
        if (each["kind"], each["value"]) in seen:
            raise ValidationRefused("This contact point stands twice: give it once.", path=[*path, str(place), "value"])
        seen.add((each["kind"], each["value"]))
    return _with_defaults(found, path)


def references(values: list[Mapping[str, Any]], path: list[str]) -> list[Part]:
    """What other systems call the customer."""
    found = _each(values, REFERENCES_MAX, path, _reference)
    for place, each in enumerate(found):
        if each in found[:place]:
            raise ValidationRefused("This reference stands twice: give it once.", path=[*path, str(place)])
    return in_order(found)


def in_order(parts: Sequence[Part]) -> list[Part]:
    """One order for parts that have none, so that lists can be compared."""
    return sorted(parts, key=lambda part: repr(sorted(part.items())))


def _each(
    values: list[Mapping[str, Any]], most: int, path: list[str], clean: Callable[[Mapping[str, Any], list[str]], Part]
) -> list[Part]:
    inputs.at_most(values, most, path)
    gathering = Gathering()
    found: list[Part] = []
    for place, each in enumerate(values):
        with gathering.part():
            found.append(clean(each, [*path, str(place)]))
    gathering.settle()
    return found


def _with_defaults(parts: list[Part], path: list[str]) -> list[Part]:
    """The first of a kind is the default where none is said to be."""
    for kind in sorted({part["kind"] for part in parts}):
        alike = [part for part in parts if part["kind"] == kind]
        defaults = [part for part in alike if part["is_default"]]
        if len(defaults) > 1:
            raise ValidationRefused(f"{len(defaults)} entries of the kind {kind} are default: mark one.", path=path)
        if not defaults:
            alike[0]["is_default"] = True
    return in_order(parts)


def _address(given: Mapping[str, Any], path: list[str]) -> Part:
    country = inputs.country(given["country"], [*path, "country"])
    cleaned: Part = {
        "kind": inputs.one_of(AddressKind)(given["kind"], [*path, "kind"]),
        "is_default": bool(given.get("is_default", False)),
        "country": country,
        "lines": [
            texts.line(line, [*path, "lines", str(place)])
            for place, line in enumerate(inputs.at_most(given.get("lines") or [], ADDRESS_LINES_MAX, [*path, "lines"]))
        ],
        "phone": None,
    }
    for name in ("name", "company", "city", "region", "postcode"):
        value = given.get(name)
        cleaned[name] = None if value is None else texts.line(value, [*path, name])
    for name, most in (("latitude", 90), ("longitude", 180)):
        value = given.get(name)
        cleaned[name] = None if value is None else inputs.number(-most, most)(value, [*path, name])
    if (cleaned["latitude"] is None) != (cleaned["longitude"] is None):
        missing = "latitude" if cleaned["latitude"] is None else "longitude"
        raise ValidationRefused(f"The address has half a coordinate: give `{missing}` too.", path=[*path, missing])
    if given.get("phone") is not None:
        cleaned["phone"] = phone(given["phone"], [*path, "phone"], country)
    return cleaned


def _contact(given: Mapping[str, Any], path: list[str]) -> Part:
    kind = inputs.one_of(ContactKind)(given["kind"], [*path, "kind"])
    clean = email if kind == ContactKind.EMAIL else phone
    return {
        "kind": kind,
        "value": clean(given["value"], [*path, "value"]),
        "is_default": bool(given.get("is_default", False)),
    }


def _reference(given: Mapping[str, Any], path: list[str]) -> Part:
    return {
        "system": texts.code(given["system"], [*path, "system"]),
        "external_id": texts.line(given["external_id"], [*path, "externalId"]),
    }


def sort_and_search(facts: Mapping[str, Any]) -> dict[str, str]:
    """The columns that follow from what a clerk may look a customer up by."""
    return {
        "name_key": texts.key(facts["name"]),
        "search": search.document(
            [
                *(facts[name] for name in ("code", "name", "company_name", "tax_number")),
                *(contact["value"] for contact in facts["contacts"]),
                *(reference["external_id"] for reference in facts["references"]),
                *(address[name] for address in facts["addresses"] for name in ("name", "company", "postcode")),
            ]
        ),
    }


FIELDS: dict[str, Field] = {
    "kind": inputs.one_of(CustomerKind),
    "name": inputs.line(),
    "company_name": inputs.line(),
    "tax_number": inputs.line(32),
    "preferred_payment": inputs.line(64),
    "language": language,
    "active": inputs.flag,
    "addresses": addresses,
    "contacts": contacts,
    "references": references,
}
REQUIRED = ("name",)
CLEARABLE = frozenset({"company_name", "tax_number", "preferred_payment", "language"})
DEFAULTS: dict[str, Any] = {
    **dict.fromkeys(sorted(CLEARABLE)),
    "kind": CustomerKind.PERSON.value,
    "active": True,
    "addresses": [],
    "contacts": [],
    "references": [],
}

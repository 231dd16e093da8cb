#!/usr/bin/env python3
"""Writes orders.jsonl: 3,000 orders of a tea shop, of which 120 are faulty in one of eight ways.

    python3 examples/data/generate.py

The seed is fixed, so the file is the same every time.
"""

import json
import random
from pathlib import Path

COUNT = 3_000
FAULTY_EACH = 15

PRODUCTS = ["tea-green-100", "tea-black-250", "tea-mint-50", "tea-oolong-100", "pot-glass-1l", "cup-blue", "filter-80"]
CURRENCIES = ["EUR", "EUR", "EUR", "USD", "GBP", "PLN", "JPY"]


def order(rng, number):
    return {
        "id": f"T-{number:05}",
        "placed": f"2026-{rng.randint(1, 6):02}-{rng.randint(1, 28):02}",
        "product": rng.choice(PRODUCTS),
        "quantity": min(rng.randint(1, 12), rng.randint(1, 12)),
        "currency": rng.choice(CURRENCIES),
        "card": {"last4": f"{rng.randint(0, 9999):04}", "expires": f"{rng.randint(2027, 2031)}-{rng.randint(1, 12):02}"},
    }


def text(order):
    return json.dumps(order, separators=(",", ":"))


def cut_off(rng, order):
    return text(order)[: rng.randint(20, 60)]


def not_json(rng, order):
    return f"order {order['id']}: as agreed by phone, {order['quantity']} x {order['product']}"


def field_missing(rng, order):
    del order[rng.choice(["placed", "product", "quantity", "currency", "card"])]
    return text(order)


def quantity_in_words(rng, order):
    return text(order | {"quantity": rng.choice(["two", "a dozen", "some"])})


def quantity_out_of_range(rng, order):
    return text(order | {"quantity": rng.choice([-3, -1, 0, 101, 5000])})


def unknown_product(rng, order):
    return text(order | {"product": rng.choice(["tea-gren-100", "coffee-250", ""])})


def unknown_currency(rng, order):
    return text(order | {"currency": rng.choice(["XXX", "eur", "BTC"])})


def card_expired(rng, order):
    return text(order | {"card": order["card"] | {"expires": f"2025-{rng.randint(1, 12):02}"}})


FAULTS = [
    cut_off,
    not_json,
    field_missing,
    quantity_in_words,
    quantity_out_of_range,
    unknown_product,
    unknown_currency,
    card_expired,
]


def main():
    rng = random.Random(20260301)
    faults = dict(zip(rng.sample(range(1, COUNT + 1), len(FAULTS) * FAULTY_EACH), FAULTS * FAULTY_EACH))
    lines = []
    for number in range(1, COUNT + 1):
        fault = faults.get(number, lambda _, order: text(order))
        lines.append(fault(rng, order(rng, number)) + "\n")
    Path(__file__).with_name("orders.jsonl").write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()

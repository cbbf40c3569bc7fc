"""A page of a listing, and the token by which the next one is asked for.

A token says where the page ended, by the values that the listing is ordered by, not how many rows came before. So the next page
begins right there, whatever was added or deleted meanwhile, and costs no more when it is the hundredth.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any, TypeVar

import msgspec

from mlrun_jupyter.errors import MLRunInvalidArgumentError

T = TypeVar("T")


class Page(list[T]):
    """The rows of a page; ``next_page_token`` is empty on the last one."""

    next_page_token: str = ""

    @classmethod
    def of(cls, rows: list[T], next_page_token: str = "") -> Page[T]:
        made = cls(rows)
        made.next_page_token = next_page_token
        return made


def write_token(order: str, place: list[Any]) -> str:
    """:param order: what the listing is ordered by; place: those values of the last row."""
    return base64.urlsafe_b64encode(msgspec.json.encode([order, *place])).decode().rstrip("=")


def read_token(token: str, order: str, length: int) -> list[Any]:
    """Where the page before ended; empty for the first page.

    :raises MLRunInvalidArgumentError: when it is no token, or one of a listing in another order.
    """
    if not token:
        return []
    try:
        found = msgspec.json.decode(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except (ValueError, binascii.Error, msgspec.DecodeError):
        found = None
    if not isinstance(found, list) or len(found) != length + 1 or not all(isinstance(part, str | int | float) for part in found):
        raise MLRunInvalidArgumentError(
            f"{token[:40]!r} is no page token", why="it was cut off or changed", next_step="take next_page_token of the page before"
        )
    if found[0] != order:
        raise MLRunInvalidArgumentError(
            "the page token belongs to a listing in another order", why=f"that one is by {found[0]!r}, this one by {order!r}",
            next_step="begin without a token, or sort as before",
        )  # fmt: skip
    return list(found[1:])


def check_limit(limit: int) -> int:
    """:raises MLRunInvalidArgumentError: when it is not at least 1."""
    if limit < 1:
        raise MLRunInvalidArgumentError(f"a page cannot hold {limit} rows", next_step="ask for at least 1")
    return limit

"""Parts of times and dates, in columns and for one. Days of the week count from Monday, 0; weeks are those of ISO 8601."""

from __future__ import annotations

import calendar
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)


def _days(d: Any) -> int:
    return calendar.monthrange(d.year, d.month)[1]


def _quarter_end(d: Any) -> bool:
    return bool(d.month % 3 == 0 and d.day == _days(d))


# name: of the column, of one value, kind, needs a time of day
PARTS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any], str, bool]] = {
    "year": (lambda c: c.dt.year(), lambda d: d.year, "int", False),
    "quarter": (lambda c: c.dt.quarter(), lambda d: (d.month + 2) // 3, "int", False),
    "month": (lambda c: c.dt.month(), lambda d: d.month, "int", False),
    "day": (lambda c: c.dt.day(), lambda d: d.day, "int", False),
    "hour": (lambda c: c.dt.hour(), lambda d: d.hour, "int", True),
    "minute": (lambda c: c.dt.minute(), lambda d: d.minute, "int", True),
    "second": (lambda c: c.dt.second(), lambda d: d.second, "int", True),
    "microsecond": (lambda c: c.dt.microsecond(), lambda d: d.microsecond, "int", True),
    "day_of_week": (lambda c: c.dt.weekday() - 1, lambda d: d.weekday(), "int", False),
    "day_of_year": (lambda c: c.dt.ordinal_day(), lambda d: d.timetuple().tm_yday, "int", False),
    "week": (lambda c: c.dt.week(), lambda d: d.isocalendar()[1], "int", False),
    "days_in_month": (lambda c: c.dt.month_end().dt.day(), _days, "int", False),
    "is_leap_year": (lambda c: c.dt.is_leap_year(), lambda d: calendar.isleap(d.year), "bool", False),
    "is_month_start": (lambda c: c.dt.day() == 1, lambda d: d.day == 1, "bool", False),
    "is_month_end": (lambda c: c.dt.day() == c.dt.month_end().dt.day(), lambda d: d.day == _days(d), "bool", False),
    "is_quarter_start": (lambda c: (c.dt.day() == 1) & (c.dt.month() % 3 == 1), lambda d: d.day == 1 and d.month % 3 == 1, "bool", False),
    "is_quarter_end": (lambda c: (c.dt.month() % 3 == 0) & (c.dt.day() == c.dt.month_end().dt.day()), _quarter_end, "bool", False),
    "is_year_start": (lambda c: c.dt.ordinal_day() == 1, lambda d: d.month == 1 and d.day == 1, "bool", False),
    "is_year_end": (lambda c: (c.dt.month() == 12) & (c.dt.day() == 31), lambda d: d.month == 12 and d.day == 31, "bool", False),
}
SYNONYMS = {"dayofweek": "day_of_week", "weekday": "day_of_week", "dayofyear": "day_of_year", "daysinmonth": "days_in_month", "weekofyear": "week"}


def microseconds(d: datetime | date) -> int:
    """Since the epoch."""
    if isinstance(d, datetime):
        return (d - EPOCH) // _TICK
    return (d - EPOCH.date()).days * 86_400_000_000

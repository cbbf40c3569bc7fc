"""Whether two values are the same: exactly, within a tolerance, or not, and where they differ first.

Tables of pandas, polars and Arrow, arrays, models, images, files, and whatever JSON can hold.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

EQUAL, CLOSE, DIFFERENT, MISSING = "equal", "within tolerance", "different", "missing"
_RANK = {EQUAL: 0, CLOSE: 1, DIFFERENT: 2, MISSING: 3}
DEEPEST = 40
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


@dataclass(frozen=True)
class Verdict:
    """``status`` is one of :data:`EQUAL`, :data:`CLOSE`, :data:`DIFFERENT`, :data:`MISSING`; ``detail`` says where and how much."""

    status: str
    detail: str = ""


SAME = Verdict(EQUAL)


def worst(verdicts: list[Verdict]) -> Verdict:
    """The one that is farthest from equal; of several, the first."""
    return max(verdicts, key=lambda one: _RANK[one.status], default=SAME)


def compare(one: Any, two: Any, *, tolerance: float = 1e-9) -> Verdict:
    """Compare two values.

    :param tolerance: largest relative difference of two numbers that count as close; the absolute one for numbers below 1.
    """
    return _Comparison(tolerance).of(one, two, "", 0)


class _Comparison:
    def __init__(self, tolerance: float) -> None:
        self.tolerance = tolerance
        self._seen: set[tuple[int, int]] = set()
        # what was visited must stay alive, or another object could get its number
        self._alive: list[Any] = []

    def of(self, one: Any, two: Any, at: str, depth: int) -> Verdict:
        if one is two:
            return SAME
        if _number(one) and _number(two):
            return self._numbers(one, two, at)
        roots = _roots(one), _roots(two)
        if "Table" in _frame(roots[0]) + _frame(roots[1]):
            return self._tables(one, two, at)
        if "numpy.ndarray" in roots[0] or "numpy.ndarray" in roots[1]:
            return self._arrays(one, two, at)
        if isinstance(one, Path) and isinstance(two, Path):
            return self._paths(one, two, at)
        if isinstance(one, dict) and isinstance(two, dict):
            return self._dicts(one, two, at, depth)
        if isinstance(one, list | tuple) and isinstance(two, list | tuple):
            return self._lists(one, two, at, depth)
        if type(one) is not type(two):
            return Verdict(DIFFERENT, f"{at}{_kind(one)} → {_kind(two)}")
        if one is None or isinstance(one, bool | str | bytes | bytearray | type | set | frozenset):
            return SAME if one == two else Verdict(DIFFERENT, f"{at}{_short(one)} → {_short(two)}")
        return self._objects(one, two, at, depth)

    def _numbers(self, one: Any, two: Any, at: str) -> Verdict:
        if one == two or (one != one and two != two):
            return SAME
        detail = f"{at}{_short(one)} → {_short(two)}"
        close = math.isclose(float(one), float(two), rel_tol=self.tolerance, abs_tol=self.tolerance)
        return Verdict(CLOSE if close else DIFFERENT, detail)

    def _dicts(self, one: dict[Any, Any], two: dict[Any, Any], at: str, depth: int) -> Verdict:
        if set(one) != set(two):
            gone = [repr(key) for key in one if key not in two]
            new = [repr(key) for key in two if key not in one]
            return Verdict(DIFFERENT, f"{at}{'lost ' + ', '.join(gone[:3]) if gone else ''}{' ' if gone and new else ''}{'gained ' + ', '.join(new[:3]) if new else ''}")
        return worst([self.of(one[key], two[key], f"{at}[{key!r}] ", depth + 1) for key in one])

    def _lists(self, one: Any, two: Any, at: str, depth: int) -> Verdict:
        if len(one) != len(two):
            return Verdict(DIFFERENT, f"{at}{len(one)} → {len(two)} entries")
        return worst([self.of(a, b, f"{at}[{n}] ", depth + 1) for n, (a, b) in enumerate(zip(one, two, strict=True))])

    def _arrays(self, one: Any, two: Any, at: str) -> Verdict:
        import numpy as np

        one, two = np.asarray(one), np.asarray(two)
        if one.shape != two.shape:
            return Verdict(DIFFERENT, f"{at}shape {one.shape} → {two.shape}")
        if one.dtype != two.dtype:
            return Verdict(DIFFERENT, f"{at}type {one.dtype} → {two.dtype}")
        if one.dtype.names:
            return worst([self._arrays(one[name], two[name], f"{at}[{name!r}] ") for name in one.dtype.names])
        if one.dtype.kind == "O":
            return self._lists(one.ravel().tolist(), two.ravel().tolist(), at, 1)
        numeric = one.dtype.kind in "fc"
        same = np.array_equal(one, two, equal_nan=numeric)
        if same:
            return SAME
        unlike = ~((one == two) | ((one != one) & (two != two))) if numeric else one != two
        first = tuple(int(n) for n in np.argwhere(unlike)[0]) if one.ndim else ()
        detail = f"{at}{int(unlike.sum())} of {one.size} values differ, first at {list(first)}: {_short(one[first])} → {_short(two[first])}"
        if numeric:
            close = np.isclose(one, two, rtol=self.tolerance, atol=self.tolerance, equal_nan=True)
            if bool(close.all()):
                return Verdict(CLOSE, detail)
            first = tuple(int(n) for n in np.argwhere(~close)[0]) if one.ndim else ()
            detail = f"{at}{int((~close).sum())} of {one.size} values differ, first at {list(first)}: {_short(one[first])} → {_short(two[first])}"
        return Verdict(DIFFERENT, detail)

    def _tables(self, one: Any, two: Any, at: str) -> Verdict:
        try:
            one, two = _pandas(one), _pandas(two)
        except TypeError:
            return Verdict(DIFFERENT, f"{at}{_kind(one)} → {_kind(two)}")
        if list(one.columns) != list(two.columns):
            gone = [str(name) for name in one.columns if name not in two.columns]
            new = [str(name) for name in two.columns if name not in one.columns]
            return Verdict(DIFFERENT, f"{at}columns: lost {', '.join(gone[:5]) or 'none'}, gained {', '.join(new[:5]) or 'none'}")
        if len(one) != len(two):
            return Verdict(DIFFERENT, f"{at}{len(one):,} → {len(two):,} rows")
        if not one.index.equals(two.index):
            return Verdict(DIFFERENT, f"{at}the index differs")
        return worst([self._columns(one.iloc[:, n], two.iloc[:, n], f"{at}column {name!r}: ") for n, name in enumerate(one.columns)])

    def _columns(self, one: Any, two: Any, at: str) -> Verdict:
        if str(one.dtype) != str(two.dtype):
            return Verdict(DIFFERENT, f"{at}type {one.dtype} → {two.dtype}")
        if one.equals(two):
            return SAME
        if one.dtype.kind in "fc":
            return self._arrays(one.to_numpy(), two.to_numpy(), at)
        if one.dtype == object:
            return self._lists(one.tolist(), two.tolist(), at, 1)
        unlike = ~((one == two).fillna(False) | (one.isna() & two.isna()))
        if not bool(unlike.any()):
            return SAME
        first = int(unlike.to_numpy().argmax())
        return Verdict(DIFFERENT, f"{at}{int(unlike.sum())} of {len(one)} rows differ, first in row {first}: {_short(one.iloc[first])} → {_short(two.iloc[first])}")

    def _paths(self, one: Path, two: Path, at: str) -> Verdict:
        if one == two:
            return SAME
        if one.is_dir() != two.is_dir():
            return Verdict(DIFFERENT, f"{at}a folder and a file")
        if one.is_dir():
            names = [sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file()) for root in (one, two)]
            if names[0] != names[1]:
                odd = sorted(set(names[0]) ^ set(names[1]))
                return Verdict(DIFFERENT, f"{at}{odd[0]} is in one of them only")
            return worst([self._paths(one / name, two / name, f"{at}{name}: ") for name in names[0]])
        first, second = one.read_bytes(), two.read_bytes()
        if first == second:
            return SAME
        if one.suffix.lower() in (".png", ".jpg", ".jpeg"):
            return self._images(one, two, at)
        try:
            texts = [_UUID.sub("", data.decode("utf-8")) for data in (first, second)]
        except UnicodeDecodeError:
            return Verdict(DIFFERENT, f"{at}{len(first):,} and {len(second):,} bytes, which differ from byte {_first(first, second):,} on")
        if texts[0] == texts[1]:
            return SAME
        return text(texts[0], texts[1], tolerance=self.tolerance, at=at)

    def _images(self, one: Path, two: Path, at: str) -> Verdict:
        import numpy as np
        from PIL import Image

        pictures = []
        for path in (one, two):
            with Image.open(path) as picture:
                pictures.append(np.asarray(picture.convert("RGBA"), dtype="int16"))
        if pictures[0].shape != pictures[1].shape:
            return Verdict(DIFFERENT, f"{at}size {pictures[0].shape[1]}×{pictures[0].shape[0]} → {pictures[1].shape[1]}×{pictures[1].shape[0]}")
        unlike = (abs(pictures[0] - pictures[1]).max(axis=2) > 0).mean()
        return SAME if not unlike else Verdict(DIFFERENT, f"{at}{unlike:.2%} of its pixels differ")

    def _objects(self, one: Any, two: Any, at: str, depth: int) -> Verdict:
        """By their state, as it would be pickled; nothing is pickled."""
        if depth > DEEPEST or (id(one), id(two)) in self._seen:
            return SAME
        self._seen.add((id(one), id(two)))
        states = [_state(value) for value in (one, two)]
        self._alive.append((one, two, states))
        if states[0] is None:
            try:
                same = bool(one == two)
            except Exception:
                same = False
            return SAME if same else Verdict(DIFFERENT, f"{at}two objects of {_kind(one)}, which cannot be compared")
        return self.of(states[0], states[1], at, depth + 1)


def text(one: str, two: str, *, tolerance: float, at: str = "") -> Verdict:
    """Two texts: the numbers in them are compared as numbers."""
    if one == two:
        return SAME
    parts = [_NUMBER.split(value) for value in (one, two)]
    numbers = [_NUMBER.findall(value) for value in (one, two)]
    if parts[0] == parts[1] and len(numbers[0]) == len(numbers[1]):
        verdicts = [_Comparison(tolerance)._numbers(float(a), float(b), at) for a, b in zip(*numbers, strict=True)]
        return worst(verdicts)
    lines = one.splitlines(), two.splitlines()
    for number, (a, b) in enumerate(zip(*lines, strict=False), 1):
        if a != b:
            return Verdict(DIFFERENT, f"{at}line {number}: {_short(a)} → {_short(b)}")
    return Verdict(DIFFERENT, f"{at}{len(lines[0])} → {len(lines[1])} lines")


_NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w])")


def _number(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    return isinstance(value, int | float) or "numpy.number" in _roots(value)


def _roots(value: Any) -> set[str]:
    return {f"{base.__module__.partition('.')[0]}.{base.__name__}" for base in type(value).__mro__}


def _frame(roots: set[str]) -> str:
    found = roots & {"pandas.DataFrame", "pandas.Series", "polars.DataFrame", "polars.Series", "pyarrow.Table"}
    return "Table" if found else ""


def _pandas(value: Any) -> Any:
    roots = _roots(value)
    if "pandas.DataFrame" in roots:
        return value
    if "pandas.Series" in roots:
        return value.to_frame()
    if "polars.Series" in roots:
        return value.to_frame().to_pandas()
    if roots & {"polars.DataFrame", "pyarrow.Table"}:
        return value.to_pandas()
    raise TypeError(type(value))


def _state(value: Any) -> Any:
    """A dict or tuple that makes up the object; ``None`` when there is none."""
    try:
        found = value.__getstate__()
    except Exception:
        found = None
    if found is not None:
        return found
    found = getattr(value, "__dict__", None)
    if found is not None:
        # empty as well: an object that could hold something and holds nothing
        return dict(found)
    try:
        reduced = value.__reduce_ex__(2)
    except Exception:
        return None
    if not isinstance(reduced, tuple) or len(reduced) < 2:
        return None
    state = reduced[2] if len(reduced) > 2 else None
    # random generators and scikit-learn's losses have no state beside what they are made from; a bare class says nothing
    told = state is not None or reduced[0] is type(value) or any(part is not type(value) for part in reduced[1])
    return [reduced[1], state] if told else None


def _first(one: bytes, two: bytes) -> int:
    return next((n for n, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), min(len(one), len(two)))


def _kind(value: Any) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")


def _short(value: Any) -> str:
    shown = f"{value:.12g}" if isinstance(value, float) else str(value)
    shown = " ".join(shown.split())
    return shown if len(shown) <= 60 else shown[:59] + "…"

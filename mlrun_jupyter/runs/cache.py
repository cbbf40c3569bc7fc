"""Whether an earlier run's outputs may be given again, and which part it was that changed.

The key holds what is known before a run: the function's code, the parameters, the digests of the inputs. What is only known
after it (the packages and modules it imported, the variables it read, whether it read anything that nobody declared) stands
in the record of each earlier run of that key, and is compared with what is there now.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from mlrun_jupyter.model import run as states
from mlrun_jupyter.model.run import Record, Run
from mlrun_jupyter.runs import audit
from mlrun_jupyter.runs.installed import Installed


class Now(msgspec.Struct, frozen=True):
    """What is there now.

    :ivar packages: what is installed.
    :ivar digest: SHA-256 of a file.
    :ivar variable: digest of a variable or secret by its name in the record.
    :ivar missing: why an output of a run cannot be given again; empty when all are there.
    """

    packages: Installed
    digest: Callable[[Path], str]
    variable: Callable[[str], str]
    missing: Callable[[Run], str]


def obstacles(run: Run, now: Now) -> list[str]:
    """Why the outputs of an earlier run of the same key may not be given again; nothing when they may."""
    record = run.record
    if run.cached_from:
        return ["its outputs are another run's"]
    if not record.known:
        return ["nothing was recorded of what it read" + ("" if run.state == states.COMPLETED else f": it ended as {run.state}")]
    if record.unseen:
        return audit.describe(record.unseen)
    found = changed_environment(run)
    found += changed_packages(record.packages, now.packages.versions)
    found += changed_modules(record, now.digest)
    found += [f"the {_kind(name)} has another value" for name, digest in record.variables.items() if now.variable(name) != digest]
    if not found:
        missing = now.missing(run)
        found += [missing] if missing else []
    return found


def changed_environment(run: Run) -> list[str]:
    """Python and machine, compared with these."""
    here = {"python": platform.python_version(), "machine": platform.machine()}
    return [
        f"{name} {run.environment[name]} → {value}" for name, value in here.items() if run.environment.get(name) and run.environment[name] != value
    ]


def changed_packages(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Packages of another version."""
    return [f"package {name} {version} → {now.get(name, 'not installed')}" for name, version in before.items() if now.get(name) != version]


def changed_modules(record: Record, digest: Callable[[Path], str]) -> list[str]:
    """Source files that changed since the run imported them."""
    found = []
    for path, before in record.modules.items():
        try:
            after = digest(Path(path))
        except OSError:
            found.append(f"module {path} is gone")
            continue
        if after != before:
            found.append(f"module {path} changed")
    return found


def _kind(name: str) -> str:
    return f"secret {name.removeprefix('secret:')}" if name.startswith("secret:") else f"variable {name}"


def choose(candidates: Sequence[Run], now: Now) -> tuple[Run | None, list[str]]:
    """The run whose outputs are given, and what was found.

    :param candidates: completed runs of the same key, newest first.
    """
    said: list[str] = []
    for run in candidates:
        found = obstacles(run, now)
        if not found:
            return run, [f"same code, parameters and inputs as run {run.uid[:12]}; {_packages(len(run.record.packages))} the same"]
        said.extend(f"run {run.uid[:12]}: {text}" for text in found)
    return None, said[:10]


def differences(run: Run, other: Run) -> list[str]:
    """What is different between a run and an earlier one, part by part; the code last, since it has a command of its own."""
    found: list[str] = []
    for name in dict.fromkeys([*run.parameters, *other.parameters]):
        one, two = run.parameters.get(name, _ABSENT), other.parameters.get(name, _ABSENT)
        if one != two:
            found.append(f"parameter {name}: {_short(two)} → {_short(one)}")
    for name in dict.fromkeys([*run.inputs, *other.inputs]):
        one, two = run.inputs.get(name, ""), other.inputs.get(name, "")
        digests = run.record.inputs.get(name, ""), other.record.inputs.get(name, "")
        if all(digests) and digests[0] != digests[1]:
            found.append(f"input {name}: its content changed ({two}{f' → {one}' if one != two else ''}; {digests[1][:8]} → {digests[0][:8]})")
        elif one != two and not (all(digests) and digests[0] == digests[1]):
            found.append(f"input {name}: {two or 'none'} → {one or 'none'}")
    if run.record.known and other.record.known:
        found += changed_packages(other.record.packages, {**other.record.packages, **run.record.packages})
        for path, digest in run.record.modules.items():
            if other.record.modules.get(path, digest) != digest:
                found.append(f"module {path} changed")
        for name, digest in run.record.variables.items():
            if other.record.variables.get(name, digest) != digest:
                found.append(f"the {_kind(name)} has another value")
    for name in ("python", "machine"):
        one, two = run.environment.get(name, ""), other.environment.get(name, "")
        if one and two and one != two:
            found.append(f"{name} {two} → {one}")
    if run.function_hash != other.function_hash:
        found.append(
            f"code: {other.function_name}@{other.function_hash[:12]} → @{run.function_hash[:12]}; "
            f"see `functions diff {other.function_name}@{other.function_hash[:12]} {run.function_name}@{run.function_hash[:12]}`"
        )
    return found


def nearest(run: Run, others: Sequence[Run]) -> tuple[Run | None, list[str]]:
    """The earlier run of the same function that differs in the fewest parts, and these parts."""
    earlier = [other for other in others if other.created < run.created and not other.cached_from and other.uid != run.uid]
    judged = [(differences(run, other), other) for other in earlier]
    if not judged:
        return None, []
    found, other = min(judged, key=lambda pair: len(pair[0]))
    return other, found


class Why:
    """Why a run was, or was not, given the outputs of an earlier one; shows itself as text and HTML.

    :ivar hit: whether it was.
    :ivar asked: whether it was asked for.
    :ivar reasons: what was found.
    :ivar other: the run that it is compared with.
    """

    def __init__(self, run: Run, *, other: Run | None, differences: Sequence[str], diff: Sequence[str] = ()) -> None:
        self.run = run
        self.other = other
        self.hit = bool(run.cached_from)
        self.asked = self.hit or bool(run.cache)
        self.reasons = list(run.cache)
        self.differences = list(differences)
        self.diff = list(diff)
        self.unseen = list(run.record.unseen)

    def headline(self) -> str:
        """One sentence."""
        name = f"{self.run.name} {self.run.uid[:12]}"
        if self.hit:
            return f"{name} was not executed: its outputs are those of run {self.run.cached_from[:12]}"
        if not self.asked:
            return f"{name} was executed; the cache was not asked (--cache)"
        return f"{name} was executed, although the cache was asked"

    def parts(self) -> list[tuple[str, list[str]]]:
        """What there is to say, as titled lists."""
        found: list[tuple[str, list[str]]] = []
        if self.reasons:
            found.append(("because" if not self.hit else "since", self.reasons))
        if not self.hit and self.other is not None:
            title = f"beside run {self.other.uid[:12]} of {self.other.created[:19].replace('T', ' ')}, the nearest before it"
            found.append((title, self.differences or ["nothing differs in code, parameters, inputs and packages"]))
        elif not self.hit:
            found.append(("no earlier run of this function completed", []))
        if self.diff:
            found.append(("the code", self.diff))
        if self.unseen:
            lines = [f"{text}" + (f" — {tip}" if (tip := audit.advice(entry)) else "") for entry, text in zip(self.unseen, audit.describe(self.unseen), strict=True)]
            found.append(("its own outputs cannot be given again", lines))
        elif not self.hit and not self.run.record.known and self.run.terminal:
            found.append(("its own outputs cannot be given again", ["nothing was recorded of what it read"]))
        return found

    def __repr__(self) -> str:
        lines = [self.headline()]
        for title, entries in self.parts():
            lines.append(f"  {title}{':' if entries else ''}")
            lines.extend(f"    {entry}" for entry in entries)
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        from html import escape

        dim = "color:var(--jp-ui-font-color2,#757575)"
        rows = []
        for title, entries in self.parts():
            code = title == "the code"
            if code:
                body = f"<pre style='margin:2px 0 0;line-height:1.35'>{escape(chr(10).join(entries))}</pre>"
            else:
                body = "".join(f"<div>{escape(entry)}</div>" for entry in entries)
            rows.append(f"<div style='margin-top:6px'><div style='{dim};font-size:90%'>{escape(title)}</div>{body}</div>")
        mark = "⟲" if self.hit else "▶"
        return (
            "<div style='border:1px solid var(--jp-border-color2,#bdbdbd);border-radius:4px;padding:8px 12px;max-width:900px;line-height:1.5'>"
            f"<div><b>{mark} {escape(self.headline())}</b></div>{''.join(rows)}</div>"
        )

    def to_dict(self) -> dict[str, object]:
        """For JSON."""
        return {
            "uid": self.run.uid, "hit": self.hit, "asked": self.asked, "cached_from": self.run.cached_from, "reasons": self.reasons,
            "nearest": self.other.uid if self.other is not None else "", "differences": self.differences, "unseen": self.unseen,
        }  # fmt: skip


class _Absent:
    def __repr__(self) -> str:
        return "absent"


_ABSENT = _Absent()


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:59] + "…"


def home_variable(home: Path, project: str, env: Mapping[str, str], name: str, lookup: Callable[[Path, str, str], str | None]) -> str:
    """The digest that the variable or secret has now."""
    from mlrun_jupyter.digests import secret_digest

    if name.startswith("secret:"):
        return secret_digest(home, lookup(home, project, name.removeprefix("secret:")))
    return secret_digest(home, {**os.environ, **env}.get(name))


def _packages(count: int) -> str:
    return "1 package is" if count == 1 else f"{count} packages are"

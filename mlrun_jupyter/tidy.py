"""Pruning and sweeping as people ask for it, and reports that show themselves."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from mlrun_jupyter import folders
from mlrun_jupyter.errors import MLRunInvalidArgumentError
from mlrun_jupyter.model.clock import amount, elapsed, now, parse
from mlrun_jupyter.model.retention import Pruned, Retention, read_policy
from mlrun_jupyter.model.run import Run
from mlrun_jupyter.runs.display import more_html, table_html, table_text
from mlrun_jupyter.upkeep import retention, sweep

if TYPE_CHECKING:
    from mlrun_jupyter.session import Session

SHOWN = 50


class PruneReport:
    """The runs that went, or would go.

    :ivar runs: uid, name, function, state, created, size in bytes, and why.
    :ivar size: bytes of their folders and artifacts.
    :ivar kept: how many stay, by the reason.
    :ivar failed: what could not be deleted from the disk, with the reason.
    """

    def __init__(
        self, project: str, runs: Sequence[Pruned], *, dry_run: bool, kept: dict[str, int] | None = None, total: int = 0,
        failed: dict[str, str] | None = None,
    ) -> None:  # fmt: skip
        self.project, self.runs, self.dry_run = project, list(runs), dry_run
        self.kept, self.total, self.failed = kept or {}, total, failed or {}

    @property
    def size(self) -> int:
        return sum(run.size for run in self.runs)

    def to_dict(self) -> dict[str, Any]:
        import msgspec

        rows = [msgspec.to_builtins(run) for run in self.runs]
        return {
            "project": self.project, "dry_run": self.dry_run, "runs": rows, "size": self.size, "kept": self.kept, "failed": self.failed,
        }  # fmt: skip

    def _head(self) -> str:
        verb = "would delete" if self.dry_run else "deleted"
        of = f" of {amount(self.total)}" if self.total else ""
        return f"{verb} {_count(len(self.runs), 'run')} of {self.project}, {amount(self.size)}{of}"

    def _tail(self) -> list[str]:
        lines = [f"… and {len(self.runs) - SHOWN} more"] if len(self.runs) > SHOWN else []
        if self.kept:
            lines.append("stay: " + ", ".join(f"{count} {why}" for why, count in sorted(self.kept.items(), key=lambda one: -one[1])))
        return lines + [f"could not be deleted: {path}: {why}" for path, why in self.failed.items()]

    def _rows(self) -> list[list[str]]:
        return [[run.uid[:12], run.name, run.function, run.state, _age(run.created), amount(run.size), run.why] for run in self.runs[:SHOWN]]

    def __repr__(self) -> str:
        table = [table_text(self._rows(), _RUNS)] if self.runs else []
        return "\n".join([self._head(), *table, *self._tail()])

    def _repr_html_(self) -> str:
        return _html(self._head(), self._rows(), _RUNS, self._tail())


class SweepReport:
    """What a sweep found that no record needs.

    :ivar swept: the paths, kinds and sizes; what was put back; what could not be deleted.
    """

    def __init__(self, swept: sweep.Swept, prunes: Sequence[PruneReport] = ()) -> None:
        self.swept, self.prunes = swept, list(prunes)

    def to_dict(self) -> dict[str, Any]:
        return {
            "dry_run": self.swept.dry_run, "size": self.swept.freed, "failed": self.swept.failed,
            "leftovers": [{"path": one.path, "kind": one.kind, "size": one.size} for one in self.swept.leftovers],
            "put_back": self.swept.put_back, "pruned": [report.to_dict() for report in self.prunes],
        }  # fmt: skip

    def _head(self) -> str:
        verb = "would free" if self.swept.dry_run else "freed"
        return f"{verb} {amount(self.swept.freed)}: {_count(len(self.swept.leftovers), 'thing')} that no record needs"

    def _rows(self) -> list[list[str]]:
        largest = sorted(self.swept.leftovers, key=lambda one: -one.size)
        return [[one.path, one.kind, amount(one.size)] for one in largest[:SHOWN]]

    def _tail(self) -> list[str]:
        lines = [f"… and {len(self.swept.leftovers) - SHOWN} more"] if len(self.swept.leftovers) > SHOWN else []
        if self.swept.put_back:
            lines.append(f"{_count(len(self.swept.put_back), 'thing')} was needed after all and put back")
        return lines + [f"could not be deleted: {path}: {why}" for path, why in self.swept.failed.items()]

    def __repr__(self) -> str:
        table = [table_text(self._rows(), _LEFT)] if self.swept.leftovers else []
        return "\n".join([*(f"{report!r}\n" for report in self.prunes), self._head(), *table, *self._tail()])

    def _repr_html_(self) -> str:
        return "".join(report._repr_html_() for report in self.prunes) + _html(self._head(), self._rows(), _LEFT, self._tail())


_RUNS = ("uid", "name", "function", "state", "age", "size", "why")
_LEFT = ("path", "kind", "size")


def _html(head: str, rows: list[list[str]], titles: Sequence[str], tail: list[str]) -> str:
    table = table_html(rows, titles) if rows else more_html("")
    return f"<div>{escape(head)}</div>{table}" + "".join(f"<div>{escape(line)}</div>" for line in tail)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _age(created: str) -> str:
    if not created:
        return ""
    seconds = max(0.0, (now() - parse(created)).total_seconds())
    return f"{seconds / 86400:.0f} d" if seconds > 2 * 86400 else elapsed(seconds)


def policy_of(session: Session, spec: dict[str, Any], given: dict[str, Any]) -> Retention:
    """The limits that were given, with the rest of the standing policy; without any limit, the standing policy.

    :param spec: the project's own policy.
    """
    standing = dict(spec) if spec else read_settings(session.settings.retention)
    given = {name: value for name, value in given.items() if value is not None}
    if any(name in given for name in ("older_than", "max_runs", "max_bytes")):
        # the limits of this call alone; what is to be kept anyway stays in force
        standing = {name: value for name, value in standing.items() if name.startswith("keep")}
    return read_policy({**standing, **given})


def read_settings(text: str) -> dict[str, Any]:
    """The setting ``retention`` as a mapping, checked."""
    read_policy(text)
    return dict(word.split("=", 1) for word in text.replace(",", " ").split() if "=" in word)


def prune(session: Session, project: str, policy: Retention, *, dry_run: bool) -> PruneReport:
    """Let the runs go that the policy lets go.

    :raises MLRunInvalidArgumentError: when the policy has no limit.
    """
    if not policy.limited:
        raise MLRunInvalidArgumentError(
            f"nothing says which runs of {project} may go", why="neither this call nor a standing policy sets a limit",
            next_step="pass older_than, max_runs or max_bytes, or set the project's retention",
        )  # fmt: skip
    session.reconcile()
    made = retention.plan(session.store, session.home, project, policy)
    if dry_run:
        return PruneReport(project, made.runs, dry_run=True, kept=made.kept, total=made.total)
    gone, swept = retention.carry_out(session.store, session.home, made)
    kept = dict(made.kept)
    if len(gone) < len(made.runs):
        kept["taken into use meanwhile"] = len(made.runs) - len(gone)
    return PruneReport(project, gone, dry_run=False, kept=kept, total=made.total, failed=swept.failed)


def delete_runs(session: Session, project: str, runs: Sequence[Run], *, artifacts: bool, dry_run: bool) -> PruneReport:
    """Delete these runs, sweeps with their iterations; those that go on stay."""
    going = [run for run in runs if run.terminal]
    going += [child for run in going if run.is_sweep for child in _iterations(session, run) if child.terminal]
    going = list({run.uid: run for run in going}.values())
    rows = [Pruned(run.uid, run.name, run.function_name, run.state, run.created, run.size, "asked for") for run in going]
    open_ones = sum(not run.terminal for run in runs)
    kept = {"going on": open_ones} if open_ones else {}
    if dry_run:
        return PruneReport(project, rows, dry_run=True, kept=kept)
    gone: set[str] = set()
    for start in range(0, len(going), 100):
        groups = [[run.uid] for run in going[start : start + 100]]
        gone.update(session.store.delete_runs(groups, keep_tags="named", artifacts=artifacts))
    if len(gone) < len(going):
        kept["tagged or read by others"] = len(going) - len(gone)
    if artifacts:
        failed = sweep.sweep(session.store, session.home, only=gone).failed if gone else {}
    else:
        failed = {}
        for run in going:
            if run.uid in gone and run.folder:
                folders.remove(session.home / run.folder, failed)
    return PruneReport(project, [row for row in rows if row.uid in gone], dry_run=False, kept=kept, failed=failed)


def _iterations(session: Session, sweep: Run) -> list[Run]:
    found: list[Run] = []
    token = ""
    while True:
        page = session.store.list_runs(sweep.project, parent=sweep.uid, limit=1000, page_token=token)
        found += page
        token = page.next_page_token
        if not token:
            return found


def gc(session: Session, *, dry_run: bool = False, grace: float | None = None, policies: bool = True) -> SweepReport:
    """Apply the standing policies of all projects, then delete the contents that no record needs.

    :param grace: seconds for which whatever was changed stays; the setting ``gc_grace`` by default.
    :param policies: else only the sweep.
    """
    prunes = []
    for project in session.store.list_projects() if policies else ():
        policy = policy_of(session, project.spec.retention, {})
        if policy.limited:
            prunes.append(prune(session, project.name, policy, dry_run=dry_run))
    seconds = session.settings.gc_grace if grace is None else grace
    return SweepReport(sweep.sweep(session.store, session.home, grace=seconds, dry_run=dry_run), prunes)

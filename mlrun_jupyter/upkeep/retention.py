"""Which runs a policy lets go, and letting them go.

Records go first, all of a run in one transaction, then its folder and contents. Between the two there may be contents without a record,
which the next sweep finds; the other way round there would be records of contents that are gone. The transaction looks again
at what may have changed since the plan was made: that the runs are over, their tags, and who reads their artifacts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from mlrun_jupyter import folders
from mlrun_jupyter.errors import MLRunError
from mlrun_jupyter.model.clock import iso, now
from mlrun_jupyter.model.names import parse_artifact
from mlrun_jupyter.model.retention import Pruned, Retention
from mlrun_jupyter.model.run import COMPLETED, Run
from mlrun_jupyter.protocols.store import Store
from mlrun_jupyter.upkeep.references import all_artifacts, all_runs
from mlrun_jupyter.upkeep.sweep import Swept, sweep

BATCH = 50


@dataclass
class Family:
    """A run with its children, which stay or go together.

    :ivar members: the run first.
    :ivar stays: why it stays; empty when it may go.
    :ivar goes: why it goes.
    :ivar reads: families whose artifacts it reads.
    """

    members: list[Pruned] = field(default_factory=list)
    function: str = ""
    stays: str = ""
    goes: str = ""
    reads: set[str] = field(default_factory=set)

    @property
    def newest(self) -> str:
        return max(member.created for member in self.members)

    @property
    def size(self) -> int:
        return sum(member.size for member in self.members)


@dataclass
class Plan:
    """What a policy lets go.

    :ivar groups: families that go, those that others of them read behind these; newest first.
    :ivar kept: how many runs stay, by the reason.
    :ivar total: bytes of all runs of the project, before.
    """

    project: str
    policy: Retention
    groups: list[Family] = field(default_factory=list)
    kept: dict[str, int] = field(default_factory=dict)
    total: int = 0

    @property
    def runs(self) -> list[Pruned]:
        return [member for family in self.groups for member in family.members]

    @property
    def size(self) -> int:
        return sum(run.size for run in self.runs)


def plan(store: Store, home: Path, project: str, policy: Retention) -> Plan:
    """What the policy lets go of a project; nothing is changed."""
    families, root_of = _families(store, home, project, policy)
    _protect(store, project, policy, families, root_of)
    ordered = sorted(families.values(), key=lambda family: family.newest, reverse=True)
    _choose(policy, ordered)
    _spare_what_is_read(families)
    if policy.max_bytes is not None:
        _shrink(policy.max_bytes, ordered, families)
    made = Plan(project, policy, [family for family in ordered if family.goes], total=sum(family.size for family in ordered))
    for family in ordered:
        if not family.goes:
            why = family.stays or "within the limits"
            made.kept[why] = made.kept.get(why, 0) + len(family.members)
    return made


def carry_out(store: Store, home: Path, made: Plan) -> tuple[list[Pruned], Swept]:
    """Let the runs of a plan go.

    :returns: the runs that went (those that were taken into use since the plan stay), and what became of their contents.
    """
    gone: set[str] = set()
    for batch in _batches(made.groups):
        groups = [[member.uid for member in family.members] for family in batch]
        gone.update(store.delete_runs(groups, keep_tags=made.policy.keep_tags))
    swept = sweep(store, home, only=gone) if gone else Swept(dry_run=False)
    return [run for run in made.runs if run.uid in gone], swept


def _batches(groups: list[Family]) -> Iterator[list[Family]]:
    batch: list[Family] = []
    for family in groups:
        batch.append(family)
        if sum(len(one.members) for one in batch) >= BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _families(store: Store, home: Path, project: str, policy: Retention) -> tuple[dict[str, Family], dict[str, str]]:
    """The families by the uid of their first, and the first of each run."""
    runs: dict[str, Run] = {run.uid: run for run in all_runs(store, project)}
    root_of = {uid: _root(runs, uid) for uid in runs}
    families: dict[str, Family] = {}
    for uid in sorted(runs, key=lambda uid: (root_of[uid] != uid, uid)):
        run, family = runs[uid], families.setdefault(root_of[uid], Family())
        size = run.size or (folders.size(home / run.folder) if run.folder else 0)
        function = run.function.partition("@")[0].rpartition("/")[2]
        family.members.append(Pruned(uid, run.name, function, run.state, run.created, size, ""))
        family.function = family.function or function or run.name
        if not run.terminal:
            family.stays = "going on"
        elif not family.stays and any(_labelled(run, label) for label in policy.keep_labels):
            family.stays = "labelled to be kept"
    return families, root_of


def _root(runs: dict[str, Run], uid: str) -> str:
    seen = {uid}
    while (parent := runs[uid].parent) in runs and parent not in seen:
        seen.add(parent)
        uid = parent
    return uid


def _labelled(run: Run, label: str) -> bool:
    key, sign, value = label.partition("=")
    return key in run.labels and (not sign or run.labels[key] == value)


def _protect(store: Store, project: str, policy: Retention, families: dict[str, Family], root_of: dict[str, str]) -> None:
    """Note whose artifacts are tagged, how large they are, and who reads them."""
    sizes: dict[str, int] = {}
    readers: list[tuple[str, str]] = []
    for artifact, tags in all_artifacts(store):
        if artifact.project == project and artifact.tree in root_of:
            family = families[root_of[artifact.tree]]
            if "://" not in artifact.path and not artifact.path.startswith("/"):
                sizes[artifact.tree] = sizes.get(artifact.tree, 0) + artifact.size
            counted = {"all": tags, "named": [tag for tag in tags if tag != "latest"], "none": []}[policy.keep_tags]
            if counted and not family.stays:
                family.stays = "tagged artifacts"
        readers += [(artifact.tree, str(uri)) for uri in artifact.spec.get("extra_data", {}).values()]
    for run in all_runs(store):
        readers += [(run.uid, uri) for uri in (*run.inputs.values(), *run.artifact_uris.values())]
    readers += [(use["run"], use["uri"]) for use in store.list_uses()]
    makers: dict[str, str] = {}
    for reader, uri in readers:
        if uri.startswith("store://"):
            maker = makers[uri] if uri in makers else makers.setdefault(uri, _maker(store, uri))
            if maker in root_of and maker != reader:
                _read_by(reader, families[root_of[maker]], root_of[maker], families, root_of)
    for root, family in families.items():
        family.members = [
            Pruned(m.uid, m.name, m.function, m.state, m.created, m.size + sizes.get(m.uid, 0), "") for m in family.members
        ]
        family.reads.discard(root)


def _read_by(reader: str, family: Family, root: str, families: dict[str, Family], root_of: dict[str, str]) -> None:
    if reader in root_of:
        families[root_of[reader]].reads.add(root)
    elif not family.stays:
        # a run of another project, or what is no run: an endpoint, a workflow
        family.stays = "read from elsewhere"


def _maker(store: Store, uri: str) -> str:
    """The run that made what the URI names."""
    try:
        ref = parse_artifact(uri)
        return ref.tree or store.get_artifact(ref).tree
    except MLRunError:
        # what is gone, or never was, protects nothing
        return ""


def _choose(policy: Retention, ordered: list[Family]) -> None:
    """Mark what goes by age and by number, newest first."""
    oldest = iso(now() - timedelta(seconds=policy.older_than)) if policy.older_than is not None else ""
    counts: dict[str, int] = {}
    completed: dict[str, int] = {}
    for family in ordered:
        counts[family.function] = counts.get(family.function, 0) + 1
        if family.members[0].state == COMPLETED:
            completed[family.function] = completed.get(family.function, 0) + 1
            if completed[family.function] <= policy.keep_last and not family.stays:
                family.stays = "newest of their function"
        if family.stays:
            continue
        if oldest and family.newest < oldest:
            _let_go(family, "age")
        elif policy.max_runs is not None and counts[family.function] > policy.max_runs:
            _let_go(family, "number")


def _let_go(family: Family, why: str) -> None:
    family.goes = why
    family.members = [Pruned(m.uid, m.name, m.function, m.state, m.created, m.size, why) for m in family.members]


def _spare_what_is_read(families: dict[str, Family]) -> None:
    """What a family that stays reads stays as well, and what that reads."""
    waiting = [family for family in families.values() if not family.goes]
    while waiting:
        for root in waiting.pop().reads:
            if families[root].goes:
                families[root].goes, families[root].stays = "", "read by others"
                waiting.append(families[root])


def _shrink(most: int, ordered: list[Family], families: dict[str, Family]) -> None:
    """Let the oldest go until the rest fits, except what those that stay read."""
    total = sum(family.size for family in ordered if not family.goes)
    changed = True
    while total > most and changed:
        changed = False
        needed = _read(family for family in ordered if not family.goes)
        roots = {id(family): root for root, family in families.items()}
        for family in reversed(ordered):
            if total <= most:
                return
            if not family.goes and not family.stays and roots[id(family)] not in needed:
                _let_go(family, "bytes")
                total -= family.size
                changed = True


def _read(staying: Iterable[Family]) -> set[str]:
    return {root for family in staying for root in family.reads}

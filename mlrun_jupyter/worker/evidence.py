"""What the worker finds out about a run while it runs, so that nobody waits for it: digests, the commit, uncommitted changes."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from mlrun_jupyter.digests import Digests
from mlrun_jupyter.model.order import Order
from mlrun_jupyter.model.run import Record
from mlrun_jupyter.runs import record
from mlrun_jupyter.runs.installed import installed

PATIENCE = 1.0
LONG = 600.0


class Evidence:
    """Collects it. Made before the cells begin, asked when they have ended."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.home = Path(order.home)
        self.workdir = Path(order.workdir)
        self.report: dict[str, Any] | None = None
        self.commit, self.diff = "", ""
        # before the run can read them: what is signed now is what it reads, unless it is signed otherwise at the end
        self._signs = record.sign_inputs(order.inputs, workdir=self.workdir)
        self._digests: dict[str, str] = {}
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin, beside the run."""
        for work in (self._digest, self._look_at_sources):
            thread = threading.Thread(target=self._safely, args=(work,), name=f"mlrun{work.__name__}", daemon=True)
            thread.start()
            self._threads.append(thread)

    @staticmethod
    def _safely(work: Callable[[], None]) -> None:
        try:
            work()
        except Exception:
            # what is missing in the record makes the run's outputs unfit for the cache, and nothing else
            traceback.print_exc()

    def _digest(self) -> None:
        if self.order.inputs:
            with Digests(self.home) as known:
                self._digests = record.digest_inputs(self.order.inputs, known, workdir=self.workdir)

    def _look_at_sources(self) -> None:
        self.commit, self.diff = record.sources(self.workdir)

    def finish(self, redact: Callable[[str], str]) -> tuple[Record, str]:
        """The record and the key, at the run's end."""
        if not self._threads:
            return Record(), ""
        self._threads[0].join(LONG)
        digests = {given.name: self._digests.get(given.name, "") for given in self.order.inputs}
        signs = record.sign_inputs(self.order.inputs, workdir=self.workdir)
        changed = [name for name, sign in self._signs.items() if signs[name] != sign]
        with Digests(self.home) as known:
            far = [given for given in self.order.inputs if record.local_path(given) is None and digests[given.name]]
            again = record.digest_inputs(far, known, workdir=self.workdir)
            changed += [name for name, digest in again.items() if digest != digests[name]]
            made = record.make(
                self.report, inputs=digests, changed=changed, known=installed(self.home), digest=known.of_path, redact=redact,
                undigested={given.name: given.uri for given in self.order.inputs},
            )  # fmt: skip
        if self.order.resume:
            made = msgspec.structs.replace(made, unseen=(*made.unseen, "another run executed its first cells"))
        key = record.key_of(
            self.order.function.work_hash, self.order.parameters, digests, {given.name: given.type for given in self.order.inputs}, self.order.env
        )
        return made, key

    def sources(self, wait: float, redact: Callable[[str], str], folder: Path) -> str:
        """The commit; the diff is written into the run's folder. Empty when Git has not answered in time."""
        if not self._threads:
            return ""
        self._threads[1].join(wait)
        if self._threads[1].is_alive():
            return ""
        if self.diff:
            (folder / record.DIFF).write_text(redact(self.diff), encoding="utf-8")
            self.diff = ""
        return self.commit

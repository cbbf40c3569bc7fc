"""A run in a full kernel is as fit for the cache as one in a forked shell: what the kernel itself reads does not count."""

from __future__ import annotations

from pathlib import Path

import mlrun_jupyter as mlrun
from mlrun_jupyter.notebooks.engines import KERNEL, LABEL


def test_a_run_in_a_kernel_is_given_again_unless_its_code_reads_something(project: mlrun.Project, workdir: Path) -> None:
    (workdir / "work.py").write_text("def go():\n    return 1\ndef reads():\n    return open('x').read()\n")
    (workdir / "x").write_text("x")
    function = project.set_function("work.py", name="work", handler="go").set_label(LABEL, KERNEL)
    first = function.run(cache=True)
    assert first.refresh().record.unseen == () and first.refresh().notes == ()
    assert function.run(cache=True).refresh().cached_from == first.uid
    assert function.run(handler="reads").refresh().record.unseen == ("file: x",)

"""Executes pieces of code, each in a forked process under a recorder, as a run's shell would; tells what was seen.

``python reading.py FOLDER CASES.json`` prints a JSON object of reports by name.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path


def main(folder: Path, cases: dict[str, str]) -> dict[str, object]:
    # imported ahead, as the fork server does
    import numpy  # noqa: F401
    import pandas  # noqa: F401

    found = {}
    for number, (name, code) in enumerate(cases.items()):
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(read)
            try:
                text = json.dumps(one(folder, code, number))
            except BaseException as error:
                text = json.dumps({"error": repr(error)})
            with os.fdopen(write, "w") as out:
                out.write(text)
            os._exit(0)
        os.close(write)
        with os.fdopen(read) as source:
            found[name] = json.loads(source.read())
        os.waitpid(pid, 0)
    return found


def one(folder: Path, code: str, number: int) -> dict[str, object]:
    from mlrun_jupyter.runs import audit, readers

    run = folder / f"run-{number}"
    run.mkdir()
    recorder = audit.start(
        audit.Recorder(own=[run, folder / "declared.csv", folder / "declared"], spill=run / "reads.jsonl", digest=lambda value: str(value))
    )
    audit.watch_variables()
    readers.watch()
    # libraries that are imported ahead must not count, and neither must what they read when they are imported
    place = folder / "cell.py"
    error = ""
    try:
        exec(compile(code, str(place), "exec"), {"__name__": "__main__", "here": folder, "run": run})
    except Exception as failure:
        error = repr(failure)
    report = recorder.report(())
    audit.stop()
    return {**report, "loaded": [], "error": error}


if __name__ == "__main__":
    os.chdir(sys.argv[1])
    sys.path.insert(0, sys.argv[1])
    print(json.dumps(main(Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text()))))

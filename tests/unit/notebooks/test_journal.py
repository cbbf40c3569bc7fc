"""The journal, and the notebook that is made from it."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

from mlrun_jupyter.notebooks.journal import FILE, Journal, Reader, as_text, read_all
from mlrun_jupyter.notebooks.views import PLANNED, executed_notebook, overwrite, write_views


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    cells = [nbformat.v4.new_code_cell(f"cell {n}") for n in range(2)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / PLANNED)
    return tmp_path


def test_a_reader_reads_while_the_writer_writes(folder: Path) -> None:
    journal, reader = Journal(folder), Reader(folder)
    assert list(reader.read()) == []
    journal.output("stream", cell=0, size=3, name="stdout", text="a☃\n")
    assert [entry["text"] for entry in reader.read()] == ["a☃\n"]
    with (folder / FILE).open("ab") as file:
        file.write(b'{"n":1,"t":0,"cell":0,"type":"str')
    assert list(reader.read()) == [], "a line that is not whole waits"
    journal.close()
    again = Journal(folder)
    again.write("note", text="after a crash")
    again.close()
    assert [entry["type"] for entry in read_all(folder)] == ["stream", "note"]


def test_rubbish_in_the_middle_costs_one_line(folder: Path) -> None:
    journal = Journal(folder)
    journal.write("note", text="one")
    with (folder / FILE).open("ab") as file:
        file.write(b"\x00\x00rubbish\n")
    journal.write("note", text="two")
    journal.close()
    assert [entry["text"] for entry in read_all(folder)] == ["one", "an unreadable line of the journal was left out", "two"]


def test_a_loud_cell_spills_within_its_limit(folder: Path) -> None:
    journal = Journal(folder, output_limit=100, spill_limit=250)
    for _ in range(40):
        journal.output("stream", cell=0, size=10, name="stdout", text="123456789\n")
    journal.output("stream", cell=1, size=3, name="stdout", text="ok\n")
    journal.cell_done(0, ok=True, count=1)
    journal.close()
    text = "".join(as_text(read_all(folder)))
    assert text.count("123456789") == 10 and "truncated" in text and "ok" in text
    assert (folder / "spill-0.log").stat().st_size == 150


def test_what_is_masked_never_reaches_the_disk(folder: Path) -> None:
    journal = Journal(folder, redact=lambda text: text.replace("hush", "***"), output_limit=4)
    journal.output("stream", cell=0, size=4, name="stdout", text="hush")
    journal.output("stream", cell=0, size=9, name="stdout", text="hush hush")
    journal.close()
    assert not [file for file in folder.iterdir() if b"hush" in file.read_bytes()]


def test_the_notebook_is_what_the_journal_says(folder: Path) -> None:
    journal = Journal(folder)
    journal.new_attempt(1)
    journal.write("start", cell=0)
    journal.output("stream", cell=0, size=1, name="stdout", text="lost")
    journal.new_attempt(2)
    journal.write("start", cell=0)
    journal.output("stream", cell=0, size=1, name="stdout", text="a")
    journal.output("stream", cell=0, size=1, name="stdout", text="b\n")
    journal.output("stream", cell=0, size=1, name="stderr", text="e\n")
    shown = {"output_type": "display_data", "data": {"text/plain": "1"}, "metadata": {}}
    journal.output("output", cell=0, size=1, output=shown, display_id="d")
    journal.write("update", display_id="d", data={"text/plain": "2"}, metadata={})
    journal.cell_done(0, ok=True, count=5)
    journal.write("start", cell=1)
    journal.output("stream", cell=1, size=1, name="stdout", text="gone")
    journal.write("clear", cell=1, wait=True)
    journal.output("stream", cell=1, size=1, name="stdout", text="new")
    journal.close()
    first, second = executed_notebook(folder).cells
    assert [(o.get("name"), o.get("text")) for o in first.outputs[:2]] == [("stdout", "ab\n"), ("stderr", "e\n")]
    assert first.outputs[2]["data"]["text/plain"] == "2" and first.execution_count == 5
    assert [o["text"] for o in second.outputs] == ["new"]
    write_views(folder, title="t <b>", subtitle="s")
    nbformat.validate(nbformat.read(folder / "executed.ipynb", as_version=4))
    assert "t &lt;b&gt;" in (folder / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("before", "added", "after"),
    [
        ("", "10%\r20%\r30%", "30%"), ("ab", "\rc", "cb"), ("x\n", "50%\r100%\ny", "x\n100%\ny"), ("", "a\r\nb\r\n", "a\nb\n"),
        ("10%", "\r20%\n", "20%\n"),
    ],
)  # fmt: skip
def test_carriage_returns_show_what_a_terminal_shows(before: str, added: str, after: str) -> None:
    assert overwrite(before, added) == after

"""The conformance kit of offline stores: subclass :class:`OfflineStoreTests` and say how to open one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from mlrun_jupyter.errors import (
    MLRunConflictError,
    MLRunInvalidArgumentError,
    MLRunNotFoundError,
    TableChangedError,
)
from mlrun_jupyter.protocols.features import OfflineStore, OfflineTable


def _rows(keys: list[str], values: list[float], days: list[int] | None = None, **more: list[Any]) -> Any:
    import pyarrow as pa

    times = pa.array([day * 86_400_000_000 for day in days or range(len(keys))], pa.timestamp("us", "UTC"))
    return pa.table({"key": keys, "time": times, "value": pa.array(values, pa.float64()), **more})


def _read(table: OfflineTable, version: int | None = None) -> list[tuple[Any, ...]]:
    import polars as pl

    _, schema, files = table.snapshot(version)
    frame = pl.scan_parquet(files, schema=pl.Schema(schema), missing_columns="insert", extra_columns="ignore", hive_partitioning=False)
    return sorted(frame.select("key", "value").collect().rows())


class OfflineStoreTests:
    """A subclass defines the fixture ``open_store``, a callable that opens the same, at first empty, store each time."""

    @pytest.fixture
    def store(self, open_store: Callable[[], OfflineStore]) -> OfflineStore:
        return open_store()

    def test_a_table_is_not_there_before_rows_are(self, store: OfflineStore) -> None:
        table = store.table("lab", "flights")
        assert (table.version, table.marks(), table.history()) == (-1, {}, [])
        with pytest.raises(MLRunNotFoundError):
            table.files()

    def test_rows_are_added_and_each_version_stays(self, store: OfflineStore) -> None:
        table = store.table("lab", "flights")
        first = table.append(_rows(["a"], [1.0]))
        second = table.append(_rows(["b"], [2.0]))
        assert (first, second) == (0, 1)
        assert _read(table) == [("a", 1.0), ("b", 2.0)]
        assert _read(table, first) == [("a", 1.0)]
        assert table.rows() == 2
        with pytest.raises(MLRunNotFoundError):
            table.files(99)

    def test_rows_of_the_same_keys_are_replaced_and_the_last_of_several_counts(self, store: OfflineStore) -> None:
        table = store.table("lab", "flights")
        table.append(_rows(["a", "b"], [1.0, 2.0]))
        table.upsert(_rows(["b", "b", "c"], [3.0, 4.0, 5.0], [1, 1, 2]), ["key", "time"])
        assert _read(table) == [("a", 1.0), ("b", 4.0), ("c", 5.0)]
        assert _read(table, 0) == [("a", 1.0), ("b", 2.0)]

    def test_overwriting_replaces_rows_schema_and_marks(self, store: OfflineStore) -> None:
        table = store.table("lab", "flights")
        table.append(_rows(["a"], [1.0], more=["x"]), marks={"old": "1"})
        table.overwrite(_rows(["b"], [2.0]), marks={"new": "2"})
        assert _read(table) == [("b", 2.0)]
        assert table.schema().names == ["key", "time", "value"]
        assert table.marks() == {"new": "2"}

    def test_marks_are_the_newest_of_each_up_to_a_version(self, store: OfflineStore) -> None:
        table = store.table("lab", "flights")
        for number in range(12):
            table.append(_rows(["a"], [1.0]), marks={f"m{number % 3}": str(number)})
        table.compact()
        assert table.marks() == {"m0": "9", "m1": "10", "m2": "11"}
        assert table.marks(4) == {"m0": "3", "m1": "4", "m2": "2"}
        assert table.marks(0) == {"m0": "0"}
        assert [one["marks"] for one in table.history()][1] == {"m2": "11"}

    def test_new_columns_are_null_in_older_rows(self, store: OfflineStore) -> None:
        import polars as pl

        table = store.table("lab", "flights")
        table.append(_rows(["a"], [1.0]))
        table.append(_rows(["b"], [2.0], wind=[7.5]))
        frame = pl.scan_parquet(table.files(), schema=pl.Schema(table.schema()), missing_columns="insert").collect()
        assert sorted(frame.select("key", "wind").rows()) == [("a", None), ("b", 7.5)]

    def test_what_was_committed_under_a_number_is_not_written_again(self, store: OfflineStore) -> None:
        table = store.table("lab", "flights")
        table.append(_rows(["a"], [1.0]), transaction=("stream", 5))
        for number in (5, 4):
            with pytest.raises(MLRunConflictError):
                store.table("lab", "flights").append(_rows(["a"], [1.0]), transaction=("stream", number))
        table.append(_rows(["b"], [2.0]), transaction=("stream", 6))
        assert (table.committed("stream"), table.committed("other"), store.table("lab", "none").committed("stream")) == (6, 0, 0)
        assert _read(table) == [("a", 1.0), ("b", 2.0)]

    def test_two_writers_at_once_lose_nothing(self, open_store: Callable[[], OfflineStore]) -> None:
        wrong: list[BaseException] = []

        def write(name: str) -> None:
            try:
                table = open_store().table("lab", "flights")
                for number in range(5):
                    row = _rows([f"{name}{number}"], [float(number)])
                    table.append(row, marks={name: str(number)}) if number % 2 else table.upsert(row, ["key"], marks={name: str(number)})
            except BaseException as error:
                wrong.append(error)

        threads = [threading.Thread(target=write, args=(name,)) for name in "xy"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong, wrong[0]
        table = open_store().table("lab", "flights")
        assert [key for key, _ in _read(table)] == [f"{name}{number}" for name in "xy" for number in range(5)]
        assert table.marks() == {"x": "4", "y": "4"}

    def test_what_others_do_to_a_table_is_seen_at_once(self, open_store: Callable[[], OfflineStore]) -> None:
        table, other = open_store().table("lab", "flights"), open_store()
        for number in range(3):
            other.table("lab", "flights").append(_rows([f"a{number}"], [1.0]))
            assert (table.version, table.snapshot()[0], len(_read(table))) == (number, number, number + 1)
        other.delete("lab", "flights")
        assert table.version == -1
        with pytest.raises(MLRunNotFoundError):
            table.snapshot()
        # made anew, with as many versions as it had
        for number in range(3):
            other.table("lab", "flights").append(_rows([f"b{number}"], [1.0], wind=[2.0]))
        version, schema, files = table.snapshot()
        assert version == table.version == 2 and "wind" in schema.names and [key for key, _ in _read(table)] == ["b0", "b1", "b2"]
        files.clear()
        assert len(table.snapshot()[2]) == 3

    def test_a_table_is_looked_at_while_it_is_made(self, store: OfflineStore) -> None:
        wrong: list[BaseException] = []
        for number in range(20):
            name = f"made{number}"

            def look(name: str = name) -> None:
                try:
                    while store.table("lab", name).version < 0:
                        pass
                except BaseException as error:
                    wrong.append(error)

            threads = [threading.Thread(target=look) for _ in range(3)]
            for thread in threads:
                thread.start()
            store.table("lab", name).append(_rows(["a"], [1.0]))
            for thread in threads:
                thread.join()
        assert not wrong, wrong[0]

    def test_the_same_number_from_two_at_once_is_written_once(self, open_store: Callable[[], OfflineStore]) -> None:
        open_store().table("lab", "flights").append(_rows(["z"], [0.0]))
        outcomes: list[str] = []

        def write() -> None:
            try:
                open_store().table("lab", "flights").append(_rows(["a"], [1.0]), transaction=("stream", 1))
                outcomes.append("written")
            except MLRunConflictError:
                outcomes.append("refused")

        threads = [threading.Thread(target=write) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(outcomes) == ["refused", "refused", "written"]
        assert _read(open_store().table("lab", "flights")) == [("a", 1.0), ("z", 0.0)]

    def test_rows_are_written_to_the_version_that_they_were_made_for_or_not_at_all(self, open_store: Callable[[], OfflineStore]) -> None:
        table = open_store().table("lab", "flights")
        for write in (table.append, table.overwrite, lambda rows, **options: table.upsert(rows, ["key"], **options)):
            with pytest.raises(TableChangedError):
                write(_rows(["a"], [1.0]), expected_version=7)
        assert table.version == -1
        outcomes: list[Any] = []

        def work(name: str) -> None:
            other = open_store().table("lab", "flights")
            for number in range(4):
                try:
                    outcomes.append(other.append(_rows([f"{name}{number}"], [1.0]), expected_version=number - 1))
                except TableChangedError:
                    outcomes.append("refused")

        threads = [threading.Thread(target=work, args=(name,)) for name in "xy"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        written = sorted(one for one in outcomes if one != "refused")
        assert written == list(range(len(written))) and table.version == len(written) - 1
        assert len(_read(table)) == len(written)

    def test_who_was_at_it_when_all_was_replaced_brings_no_marks_back(self, open_store: Callable[[], OfflineStore], monkeypatch: pytest.MonkeyPatch) -> None:
        table = open_store().table("lab", "flights")
        table.append(_rows(["a"], [1.0]), marks={"old": "1"})
        reads = type(table).marks

        def slow(self: Any, version: int | None = None) -> dict[str, str]:
            found = reads(self, version)
            monkeypatch.setattr(type(table), "marks", reads)
            open_store().table("lab", "flights").overwrite(_rows(["b"], [2.0]), marks={"new": "2"})
            return found

        monkeypatch.setattr(type(table), "marks", slow)
        table.append(_rows(["c"], [3.0]), marks={"own": "3"})
        table.append(_rows(["d"], [3.0]))
        assert table.marks() == {"new": "2", "own": "3"}

    def test_files_are_parted_by_time(self, store: OfflineStore) -> None:
        table = store.table("lab", "flights", partition_by="day:time")
        table.append(_rows(["a", "b"], [1.0, 2.0], [0, 1]))
        table.append(_rows(["c"], [3.0], [2]))
        assert len(table.files()) == 3
        assert table.schema().names == ["key", "time", "value"]
        table.upsert(_rows(["b"], [9.0], [1]), ["key", "time"])
        assert _read(table) == [("a", 1.0), ("b", 9.0), ("c", 3.0)]

    def test_durations_come_back_as_such(self, store: OfflineStore) -> None:
        import pyarrow as pa

        table = store.table("lab", "flights")
        table.append(_rows(["a"], [1.0], took=pa.array([5_000_000], pa.duration("us"))))
        assert table.schema().field("took").type == pa.duration("us")

    def test_files_that_no_version_needs_are_deleted(self, store: OfflineStore) -> None:
        table = store.table("lab", "flights")
        for number in range(4):
            table.append(_rows([str(number)], [1.0]))
        table.compact()
        assert len(table.files()) == 1
        # the files are younger than any part of an hour
        assert table.vacuum(0.9) == 0 and table.gone(table.files(3)) == []
        with pytest.raises(MLRunInvalidArgumentError):
            table.vacuum(-0.5)
        assert table.vacuum(0) == 4
        assert len(_read(table)) == 4 and len(table.gone(table.files(3))) == 4 and table.gone(table.files()) == []

    def test_a_deleted_table_is_gone_with_its_versions(self, store: OfflineStore) -> None:
        store.table("lab", "flights").append(_rows(["a"], [1.0]))
        store.delete("lab", "flights")
        store.delete("lab", "flights")
        assert store.table("lab", "flights").version == -1
        assert store.table("lab", "flights").append(_rows(["b"], [1.0])) == 0

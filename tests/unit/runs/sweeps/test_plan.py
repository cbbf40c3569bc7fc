"""What is tried, in which order, and what is refused before anything starts."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mlrun_jupyter.errors import InputNotFoundError, MLRunError, MLRunInvalidArgumentError, ParameterError
from mlrun_jupyter.model.canonical import decode, encode
from mlrun_jupyter.model.function import Function
from mlrun_jupyter.model.parameters import Parameter
from mlrun_jupyter.model.sweep import HyperParamOptions, Sweep
from mlrun_jupyter.runs.sweeps import asked, planning, spaces, strategies
from mlrun_jupyter.runs.sweeps.spaces import Range

TRAIN = Function(
    "train", "lab",
    parameters=(
        Parameter("trees", "int", 10), Parameter("rate", "float", 0.1), Parameter("name", "str", "a"), Parameter("layers", "list", []),
        Parameter("any"), Parameter("needed", "int", required=True),
    ),
)  # fmt: skip


def points(hyperparams: Any, **options: Any) -> list[dict[str, Any]]:
    sweep = planning.plan(TRAIN, hyperparams, options)
    # as the driver has it: through the order's file, which sorts the keys of dicts
    sweep = decode(encode(sweep), Sweep)
    strategy = strategies.make(sweep.options, planning.loaded(TRAIN, sweep), sweep.total)
    found = []
    while (point := strategy.ask()) is not None:
        found.append(point)
        strategy.tell(len(found), float(len(found)))
    assert len(found) == sweep.total
    return found


def test_in_a_grid_the_first_parameter_changes_fastest() -> None:
    found = points({"trees": [2, 4, 1], "any": [10, 20]})
    assert [(p["trees"], p["any"]) for p in found] == [(2, 10), (4, 10), (1, 10), (2, 20), (4, 20), (1, 20)]


@given(st.dictionaries(st.sampled_from(["trees", "any", "needed"]), st.lists(st.integers(0, 99), min_size=1, max_size=5), min_size=1))
def test_a_grid_has_every_combination_once(hyperparams: dict[str, list[int]]) -> None:
    import itertools

    # product() changes the last one fastest
    names = list(hyperparams)[::-1]
    expected = [dict(zip(names, values, strict=True)) for values in itertools.product(*(hyperparams[name] for name in names))]
    assert points(hyperparams) == expected


def test_a_list_takes_the_values_together_and_a_limit_the_first_of_them() -> None:
    assert points({"trees": [2, 3, 7], "any": [15, 10, 10]}, strategy="list") == [
        {"trees": 2, "any": 15}, {"trees": 3, "any": 10}, {"trees": 7, "any": 10},
    ]  # fmt: skip
    assert len(points({"trees": [1, 2, 3]}, max_iterations=2)) == 2


def test_random_is_repeatable_by_its_seed_which_is_recorded() -> None:
    hyperparams = {"trees": "4..16", "rate": "0.001..0.1:log", "name": ["a", "b"]}
    assert len(points(hyperparams, strategy="random")) == 10
    one, two = (points(hyperparams, strategy="random", max_iterations=30, seed=seed) for seed in (1, 2))
    assert one == points(hyperparams, strategy="random", max_iterations=30, seed=1) != two
    sweep = planning.plan(TRAIN, hyperparams, {"strategy": "random"})
    assert sweep.options.seed is not None


def test_optuna_is_repeatable_by_its_seed_and_looks_where_it_is_better() -> None:
    pytest.importorskip("optuna")

    def search(seed: int, selector: str) -> list[float]:
        sweep = planning.plan(TRAIN, {"rate": "0.0..1.0", "trees": "1..100:log", "name": ["a", "b"], "layers": [[1], [2, 3]]},
                              {"strategy": "optuna", "selector": selector, "max_iterations": 40, "seed": seed})  # fmt: skip
        strategy = strategies.make(sweep.options, planning.loaded(TRAIN, sweep), sweep.total)
        seen = []
        for iteration in range(1, 41):
            point = strategy.ask()
            assert point and point["layers"] in ([1], [2, 3]) and isinstance(point["trees"], int) and 1 <= point["trees"] <= 100
            seen.append(point["rate"])
            # some fail, which must not stop it
            strategy.tell(iteration, None if iteration % 9 == 0 else (point["rate"] - 0.3) ** 2)
        assert strategy.ask() is None
        return seen

    one = search(7, "min.loss")
    assert one == search(7, "min.loss") != search(8, "min.loss")
    late = one[25:]
    assert sum(abs(rate - 0.3) for rate in late) / len(late) < 0.2
    other = search(7, "max.loss")[25:]
    assert sum(other) / len(other) > 0.6


@given(st.integers(-50, 50), st.integers(0, 60), st.integers(1, 9), st.integers(0, 99))
def test_whole_ranges_hold_both_ends_and_every_draw_is_of_their_values(low: int, size: int, step: int, seed: int) -> None:
    found = Range.parse("n", f"{low}..{low + size}:{step}")
    assert found is not None and Range.parse("n", str(found)) == found
    assert found.values("n") == list(range(low, low + size + 1, step))
    assert found.draw(random.Random(seed)) in found.values("n")


@given(st.floats(1e-6, 1e3), st.floats(1e-6, 1e3), st.booleans(), st.integers(0, 99))
def test_draws_of_real_ranges_lie_between_the_ends(low: float, high: float, log: bool, seed: int) -> None:
    assume(low < high)
    found = Range.parse("r", f"{low!r}..{high!r}{':log' if log else ''}", whole=False)
    assert found is not None and low <= found.draw(random.Random(seed)) <= high
    assert Range.parse("r", str(found), whole=False) == found


def test_a_step_does_not_drift() -> None:
    assert points({"rate": "0..1:0.1"})[-1] == {"rate": 1.0}
    assert [p["rate"] for p in points({"rate": "0..1:0.1"})][3] == 0.3


def test_an_int_and_a_float_parameter_read_the_same_range_differently() -> None:
    assert points({"trees": "1..3"}) == [{"trees": 1}, {"trees": 2}, {"trees": 3}]
    with pytest.raises(ParameterError, match="no step"):
        planning.plan(TRAIN, {"rate": "1..3"}, None)
    assert all(isinstance(p["rate"], float) for p in points({"rate": "1..3"}, strategy="random"))


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ({"trees": "50,100,200"}, {"trees": [50, 100, 200]}),
        ({"trees": "[50, 100]"}, {"trees": [50, 100]}),
        ({"trees": "4..16"}, {"trees": "4..16"}),
        ({"rate": "0.001..0.1:log"}, {"rate": "0.001..0.1:log"}),
        ({"name": "a, b c,'d,e'"}, {"name": ["a", "b c", "d,e"]}),
        ({"name": "1..2"}, {"name": ["1..2"]}),
        ({"layers": "[1,2],[3]"}, {"layers": [[1, 2], [3]]}),
        ({"any": "1,x,true"}, {"any": [1, "x", True]}),
        ({"rate": "1e-3,5"}, {"rate": [0.001, 5]}),
    ],
)
def test_command_line_texts(words: dict[str, str], found: dict[str, Any]) -> None:
    assert spaces.read(TRAIN, words) == found


def test_files(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("trees, rate,name\n1,0.5,x\n2,1,y\n")
    (tmp_path / "p.json").write_text(json.dumps({"trees": [1, 2], "rate": [0.1]}))
    sweep = planning.plan(TRAIN, None, {"param_file": "p.csv"}, workdir=tmp_path)
    assert (sweep.options.strategy, sweep.total, sweep.hyperparams) == ("list", 2, {"trees": [1, 2], "rate": [0.5, 1.0], "name": ["x", "y"]})
    sweep = planning.plan(TRAIN, None, HyperParamOptions(param_file=str(tmp_path / "p.json")))
    assert (sweep.options.strategy, sweep.total) == ("grid", 2)
    (tmp_path / "bad.csv").write_text("trees,rate\n1\n")
    (tmp_path / "bad.json").write_text("[1]")
    for name, says in (("bad.csv", "row 2 has 1 cells"), ("bad.json", "not a dict"), ("p.csv", "swept as grid")):
        with pytest.raises(MLRunInvalidArgumentError, match=says):
            planning.plan(TRAIN, None, {"param_file": name, "strategy": "grid" if name == "p.csv" else ""}, workdir=tmp_path)
    with pytest.raises(InputNotFoundError, match=r"none\.csv"):
        planning.plan(TRAIN, None, {"param_file": "none.csv"}, workdir=tmp_path)


@pytest.mark.parametrize(
    ("hyperparams", "options", "says"),
    [
        ({}, {}, "needs hyper-parameters"),
        ({"trees": []}, {}, "no values"),
        ({"tress": [1]}, {}, "trees"),
        ({"trees": ["x"]}, {}, "must be an int"),
        ({"trees": [1, 2.5]}, {}, "must be an int"),
        ({"trees": 5}, {}, "must be a list or a range"),
        ({"trees": "five"}, {}, "must be a list or a range"),
        ({"trees": "9..1"}, {}, "low end is above"),
        ({"trees": "1..9:0"}, {}, "step must be more than 0"),
        ({"trees": "0..9:log"}, {}, "begin above 0"),
        ({"trees": "1.5..9"}, {}, "no whole numbers"),
        ({"rate": "0..1"}, {}, "no step"),
        ({"name": "1..3"}, {}, "must be a str"),
        ({"trees": [1, 2], "any": [1]}, {"strategy": "list"}, "trees has 2, any has 1"),
        ({"trees": [1]}, {"strategy": "gird"}, "did you mean grid"),
        ({"trees": [1]}, {"selector": "mean.auc"}, "illegal iteration selector"),
        ({"trees": [1]}, {"stop_condition": "auc >"}, "stop condition cannot be read"),
        ({"trees": [1]}, {"strategy": "optuna"}, "needs a selector"),
        ({"trees": [1]}, {"strategy": "custom", "max_iterations": -1}, "max_iterations must be"),
        ({"trees": [1]}, {"paralel_runs": 2}, "parallel_runs"),
        ({"trees": [1]}, {"parallel_runs": "two"}, "parallel_runs"),
        ({"trees": list(range(200)), "any": list(range(200))}, {}, "40,000 iterations"),
        ({"trees": range(10**9)}, {}, "more than 10,000"),
        ({"trees": "1..1000000000"}, {}, "1,000,000,000 values"),
        ({"trees": [1]}, {"seed": -1}, "seed"),
        ({"trees": "1..9:2"}, {"strategy": "random", "param_file": "x.csv"}, "given twice"),
    ],
)
def test_what_cannot_be_right_is_refused(hyperparams: Any, options: dict[str, Any], says: str) -> None:
    with pytest.raises(MLRunInvalidArgumentError) as caught:
        planning.plan(TRAIN, hyperparams, options)
    assert says in str(caught.value) and caught.value.what


def test_what_is_fixed_does_not_vary() -> None:
    with pytest.raises(ParameterError, match="as fixed and as varied"):
        planning.plan(TRAIN, {"trees": [1]}, {}, params={"trees": 3})


def test_one_after_another_with_a_stop_condition_unless_told_otherwise() -> None:
    assert planning.plan(TRAIN, {"trees": [1]}, {"stop_condition": "a > 1"}).options.parallel_runs == 1
    assert planning.plan(TRAIN, {"trees": [1]}, {"stop_condition": "a > 1", "parallel_runs": 3}).options.parallel_runs == 3
    assert 1 <= planning.plan(TRAIN, {"trees": [1]}, {}).options.parallel_runs <= 4


def test_options_without_anything_that_varies() -> None:
    assert asked.sweep_of(TRAIN, {}, strategy="", max_runs=0, selector="", max_errors=None, seed=None) == {}
    with pytest.raises(MLRunError, match="--selector is an option of a sweep"):
        asked.sweep_of(TRAIN, {}, selector="auc", max_runs=0)
    found = asked.sweep_of(TRAIN, {"trees": "1,2"}, stop="a > 1", max_runs=5, parallel=2, max_errors=0, seed=0)
    assert found == {
        "hyperparams": {"trees": [1, 2]},
        "hyper_param_options": {"stop_condition": "a > 1", "max_iterations": 5, "parallel_runs": 2, "max_errors": 0, "seed": 0},
    }

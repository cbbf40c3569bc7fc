"""A table of real-looking cells: what each takes along, or why it is refused.

Every case is executed for real. Where the analysis takes names along, closure and body run in a fresh shell and must give
what they give in the notebook: a case that silently computed something else fails here, whatever the table says.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from mlrun_jupyter.errors import CaptureError
from mlrun_jupyter.notebooks.closure import require

from .shells import Notebook, elsewhere


@dataclass(frozen=True)
class Case:
    """``taken``: names that must be in the closure, no more; ``refused``: name -> kind of problem."""

    name: str
    cells: tuple[str, ...]
    body: str
    taken: frozenset[str] = frozenset()
    refused: tuple[tuple[str, str], ...] = ()
    failing: int = -1
    compare: bool = True


def takes(name: str, *cells: str, body: str, names: str = "", compare: bool = True) -> Case:
    return Case(name, cells, body, frozenset(names.split()), compare=compare)


def refuses(name: str, *cells: str, body: str, failing: int = -1, **kinds: str) -> Case:
    return Case(name, cells, body, refused=tuple(kinds.items()), failing=failing)


TAKEN = [
    takes("nothing", "x = 1", body="result = 2 + 2"),
    takes("an import under another name", "import math as m\nimport json", body="result = m.floor(2.5)", names="m"),
    takes("from-import with two names, one used", "from math import floor, ceil", body="result = ceil(2.1)", names="ceil"),
    takes("a dotted import", "import os.path", body="result = os.path.join('a', 'b')", names="os"),
    takes("a constant", "LIMIT = 10\nOTHER = 11", body="result = LIMIT + 1", names="LIMIT"),
    takes("the last of two definitions", "LIMIT = 10", "LIMIT = 20", body="result = LIMIT", names="LIMIT"),
    takes("constants made of constants", "A = 2\nB = [A, A * 3]", body="result = B", names="A B"),
    takes("unpacking", "LOW, HIGH = 1, 9", body="result = HIGH + LOW", names="LOW HIGH"),
    takes("a function with helpers", "import math", "def half(x):\n    return math.ceil(x / 2)", "def quarter(x):\n    return half(half(x))",
          body="result = quarter(9)", names="math half quarter"),
    takes("recursion", "def fact(n):\n    return 1 if n < 2 else n * fact(n - 1)", body="result = fact(5)", names="fact"),
    takes("two functions that call each other", "def even(n):\n    return n == 0 or odd(n - 1)\n\ndef odd(n):\n    return n != 0 and even(n - 1)",
          body="result = even(10)", names="even odd"),
    takes("a closure over a local", "def adder(n):\n    def add(x):\n        return x + n\n    return add", body="result = adder(2)(3)", names="adder"),
    takes("nonlocal", "def counter():\n    n = 0\n    def step():\n        nonlocal n\n        n += 1\n        return n\n    return step",
          body="c = counter()\nc()\nresult = c()", names="counter"),
    takes("a default value", "BASE = 7\ndef f(x, base=BASE):\n    return x + base", body="result = f(1)", names="BASE f"),
    takes("a keyword-only default", "Z = 3\ndef f(*, z=Z):\n    return z", body="result = f()", names="Z f"),
    takes("a decorator", "import functools\ndef twice(f):\n    @functools.wraps(f)\n    def g(x):\n        return f(f(x))\n    return g",
          "@twice\ndef inc(x):\n    return x + 1", body="result = inc(1)", names="functools twice inc"),
    takes("a decorator with arguments", "def times(n):\n    def deco(f):\n        return lambda x: n * f(x)\n    return deco",
          "N = 3\n@times(N)\ndef one(x):\n    return x", body="result = one(2)", names="times N one"),
    takes("lru_cache", "from functools import lru_cache\n@lru_cache\ndef slow(x):\n    return x * x", body="result = slow(4)", names="lru_cache slow"),
    takes("a class", "class Point:\n    def __init__(self, x):\n        self.x = x", body="result = Point(3).x", names="Point"),
    takes("a hierarchy", "import abc", "class Base(abc.ABC):\n    @abc.abstractmethod\n    def f(self): ...", "class Child(Base):\n    def f(self):\n        return super().__class__.__name__",
          body="result = Child().f()", names="abc Base Child"),
    takes("a dataclass with a type from before", "from dataclasses import dataclass, field", "@dataclass\nclass Item:\n    n: int = 1\n    xs: list[int] = field(default_factory=list)",
          body="result = Item(2).n", names="dataclass field Item"),
    takes("a class variable that shadows", "SIZE = 5\nclass C:\n    SIZE = SIZE + 1", body="result = C.SIZE", names="SIZE C"),
    takes("a metaclass", "class Meta(type):\n    def tag(cls):\n        return cls.__name__.lower()\nclass T(metaclass=Meta):\n    pass", body="result = T.tag()", names="Meta T"),
    takes("an enum", "import enum\nclass Side(enum.Enum):\n    L = 1\n    R = 2", body="result = Side.R.value", names="enum Side"),
    takes("a comprehension's own variable", "x = 99\nK = 3", body="result = [x * K for x in range(3)]", names="K"),
    takes("a comprehension's first iterable", "xs = (1, 2, 3)", body="result = [x for x in xs]", names="xs"),
    takes("a nested comprehension", "ROWS = ((1, 2), (3,))", body="result = {y for row in ROWS for y in row}", names="ROWS"),
    takes("a generator expression over a constant", "W = 2", body="result = sum(i * W for i in range(4))", names="W"),
    takes("a lambda", "scale = lambda x: x * FACTOR", "FACTOR = 4", body="result = scale(2)", names="scale FACTOR"),
    takes("a shadowed builtin", "def sum(xs):\n    return 'mine'", body="result = sum([1])", names="sum"),
    takes("a builtin left alone", "y = 1", body="result = max(len('abc'), abs(-2))"),
    takes("assigned first, then read", "total = 5", body="total = 1\nresult = total + 1"),
    takes("an argument hides a global", "k = 5", body="def f(k):\n    return k\nresult = f(2)"),
    takes("a walrus", "N = 10", body="result = (half := N // 2) + half", names="N"),
    takes("an f-string with a format of its own", "WIDTH = 6\nNAME = 'ab'", body="result = f'{NAME:>{WIDTH}}|{NAME!r}'", names="WIDTH NAME"),
    takes("a type hint", "from pathlib import Path\nimport decimal", body="def f(p: Path, d: 'decimal.Decimal' = None) -> str:\n    return str(p)\nresult = f('a')", names="Path"),
    takes("a named tuple", "from collections import namedtuple\nPt = namedtuple('Pt', 'x y')", body="result = Pt(1, 2).y", names="namedtuple Pt"),
    takes("a compiled pattern", "import re\nWORD = re.compile(r'\\w+')", body="result = WORD.findall('a b')", names="re WORD"),
    takes("a path", "from pathlib import Path\nROOT = Path('data')", body="result = str(ROOT / 'x')", names="Path ROOT"),
    takes("a match statement", "CODES = {'a': 1}", body="match ['a', 2]:\n    case [str() as key, *rest]:\n        result = CODES[key]\n    case _:\n        result = 0", names="CODES"),
    takes("try with a name for the error", "class Oops(Exception):\n    pass", body="try:\n    raise Oops('x')\nexcept Oops as error:\n    result = str(error)", names="Oops"),
    takes("async with top-level await", "import asyncio\nasync def later(x):\n    await asyncio.sleep(0)\n    return x + 1", body="result = await later(1)", names="asyncio later"),
    takes("a shell command", "WORD = 'hi'", body="out = !echo {WORD}\nresult = list(out)", names="WORD"),
    takes("a line magic", "import math", body="%precision 3\nresult = math.floor(1.5)", names="math"),
    takes("a %%time cell before", "%%time\nSPEED = 3", body="result = SPEED", names="SPEED"),
    takes("del of a name of its own", "a = 1", body="b = 2\ndel b\nresult = 3"),
    takes("defined in a cell with other code", "import math\nprint('noise')\nLIMIT = 4\nlen('x')", body="result = LIMIT", names="LIMIT"),
    takes("a function used only inside a function of the body", "def helper():\n    return 5", body="def outer():\n    return helper()\nresult = outer()", names="helper"),
    takes("a global read in a method", "RATE = 0.5", "class Model:\n    def predict(self, x):\n        return x * RATE", body="result = Model().predict(4)", names="RATE Model"),
    takes("a rebound name whose user is executed again", "K = 1\ndef f():\n    return K", "K = 2", body="result = f()", names="K f"),
    takes("unicode names", "größe = 3\nπ = 3.14", body="result = größe * π", names="größe π"),
    takes("tuple of strings used as columns", "COLS = ('a', 'b')\nALL = [*COLS, 'c']", body="result = ALL", names="COLS ALL"),
    takes("a conditional expression", "DEBUG = False\nLEVEL = 'hi' if DEBUG else 'lo'", body="result = LEVEL", names="DEBUG LEVEL"),
    takes("library settings do not matter", "import os\nos.environ['X_Y_Z'] = '1'", body="result = os.sep", names="os"),
    takes("a star import", "from math import *", body="result = floor(2.5)", names="floor"),
    takes("the later of two star imports", "from math import *\nfrom cmath import *", body="result = sqrt(-4)", names="sqrt"),
    takes("a cell that failed later on does not matter", "A = 1", body="result = A", names="A"),
]

REFUSED = [
    refuses("a table in memory", "import pandas as pd\ndf = pd.DataFrame({'a': [1]})", body="result = len(df)", df="value"),
    refuses("a fitted model", "from sklearn.linear_model import LinearRegression\nm = LinearRegression().fit([[0], [1]], [0, 1])",
            body="result = m.predict([[2]])", m="value"),
    refuses("an open connection", "import sqlite3\ncon = sqlite3.connect(':memory:')", body="result = con.execute('select 1').fetchone()", con="value"),
    refuses("an open file", "import tempfile\nf = tempfile.TemporaryFile()", body="result = f.read()", f="value"),
    refuses("random numbers", "import random\nseed = random.random()", body="result = seed", seed="value"),
    refuses("the time", "import time\nstart = time.time()", body="result = start", start="value"),
    refuses("an unknown name", "alpha = 1", body="result = alhpa", alhpa="unknown"),
    refuses("a list that was appended to", "xs = [1]", "xs.append(2)", body="result = xs", xs="rebound"),
    refuses("a dict that was changed", "cfg = {}", "cfg['k'] = 1", body="result = cfg", cfg="rebound"),
    refuses("changed by another name", "a = [1]\nb = a", "b.append(2)", body="result = a", a="rebound"),
    refuses("a lambda over changed state", "state = {'n': 1}\nf = lambda: state['n']", "state['n'] = 2", body="result = f()", state="rebound"),
    refuses("augmented assignment", "n = 1", "n += 1", body="result = n", n="mutated"),
    refuses("a counter in a loop", "n = 0", "for i in range(3):\n    n = i", body="result = n", n="conditional"),
    refuses("bound in an if", "import sys\nif sys.maxsize > 10:\n    MODE = 'a'\nelse:\n    MODE = 'b'", body="result = MODE", MODE="conditional"),
    refuses("bound in a with", "import io\nwith io.StringIO('x') as fh:\n    TEXT = fh.read()", body="result = TEXT", TEXT="conditional"),
    refuses("deleted", "gone = 1", "del gone", body="result = gone", gone="deleted"),
    refuses("nested unpacking", "LOW, (HIGH, *REST) = 1, (9, 3, 4)", body="result = HIGH + LOW", HIGH="value"),
    refuses("bound in a cell that failed", "Q = 1\nraise ValueError('x')", body="result = Q", failing=0, Q="rebound"),
    refuses("rebound by a global statement", "G = 1\ndef bump():\n    global G\n    G = 2\nbump()", body="result = G", G="rebound"),
    refuses("made from a name that was rebound", "K = 1\nV = [K, K]", "K = 5", body="result = V", V="rebound"),
    refuses("a default from a name that was rebound", "K = 1\ndef f(k=K):\n    return k", "K = 2", body="result = f()", f="rebound"),
    refuses("set by exec", "exec('hidden = 3')", body="result = hidden", hidden="value"),
    refuses("history of results", "1 + 1", body="result = _ + 1", _="history"),
    refuses("an attribute set on a class since", "class C:\n    n = 1", "C.n = 2", body="result = C.n", C="mutated"),
    refuses("an attribute set on a function since", "def f():\n    return f.n\nf.n = 1", body="result = f()", f="mutated"),
    refuses("a generator", "g = (i for i in range(3))", body="result = list(g)", g="value"),
    refuses("user input through a shell", "files = !ls", body="result = files", files="value"),
]


@pytest.mark.parametrize("case", TAKEN, ids=lambda case: case.name)
def test_what_is_taken_gives_the_same_elsewhere(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    notebook = Notebook()
    for cell in case.cells:
        notebook.run(cell)
    closure = notebook.analyse(case.body)
    assert not closure.problems, [str(problem) for problem in closure.problems]
    names = {name for piece in closure.pieces for name in piece.names}
    assert names == case.taken
    notebook.run(case.body)
    here = notebook.value("result")
    assert elsewhere(closure, case.body, "result") == here


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.name)
def test_what_is_refused_names_cell_line_and_way_out(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    notebook = Notebook()
    for number, cell in enumerate(case.cells):
        notebook.run(cell, may_fail=number == case.failing)
    closure = notebook.analyse(case.body)
    assert {problem.name: problem.kind for problem in closure.problems} == dict(case.refused)
    with pytest.raises(CaptureError) as caught:
        require(closure, "train")
    text = str(caught.value)
    for problem in closure.problems:
        assert f"`{problem.name}` — cell [{problem.cell}] line {problem.line}" in text
        assert problem.next_step in text
        assert 1 <= problem.cell <= len(case.cells) + 1


def test_the_table_is_large_enough() -> None:
    assert len(TAKEN) + len(REFUSED) >= 40
    assert len({case.name for case in TAKEN + REFUSED}) == len(TAKEN) + len(REFUSED)


def test_a_long_chain_is_followed_to_its_end() -> None:
    from mlrun_jupyter.notebooks.cells import Cell
    from mlrun_jupyter.notebooks.closure import analyse

    cells = [Cell(n, f"def f{n}():\n    return f{max(n - 1, 0)}()") for n in range(1500)]
    closure = analyse("y = f1499()", cells=cells)
    assert len(closure.pieces) == 1500 and not closure.problems

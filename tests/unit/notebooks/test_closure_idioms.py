"""More real-looking cells: idioms of pandas, scikit-learn, typing and functools, and what prepares a library.

As in the table of ``test_closure_table``, whatever is taken is executed elsewhere and must give the same.
"""

from __future__ import annotations

import pytest

from . import test_closure_table as table
from .test_closure_table import Case, refuses, takes

TAKEN = [
    takes("columns by comprehension", "COLS = [f'c{i}' for i in range(3)]\nOTHER = [c.upper() for c in COLS if c != 'c0']", body="result = OTHER", names="COLS OTHER"),
    takes("a mapping by comprehension", "MB = 1024 ** 2\nSIZES = {k: v * MB for k, v in {'a': 1}.items()}", body="result = SIZES", names="MB SIZES"),
    takes("a mapping of zip", "CODES = dict(zip(('a', 'b'), (1, 2)))\nBACK = {v: k for k, v in CODES.items()}", body="result = BACK", names="CODES BACK"),
    takes("a grid by itertools", "from itertools import product\nGRID = list(product((1, 2), ('a',)))", body="result = GRID", names="GRID product"),
    takes("sorted by a key", "NAMES = sorted(('b', 'A'), key=str.lower)\nLONG = max(NAMES, key=lambda n: len(n))", body="result = NAMES, LONG", names="NAMES LONG"),
    takes("methods of text", "ENV = 'dev'\nBUCKET = f's3://{ENV.upper()}'.rstrip('/')\nPARTS = BUCKET.split('//')", body="result = PARTS", names="ENV BUCKET PARTS"),
    takes("paths of paths", "import os\nfrom pathlib import Path\nROOT = Path('data')\nRAW = ROOT.joinpath('raw').with_suffix('.csv')\nUP = RAW.parent\nOLD = os.path.join('a', 'b')", body="result = str(RAW), str(UP), OLD", names="Path ROOT RAW UP OLD os"),
    takes("times of pandas", "import pandas as pd\nSTART = pd.Timestamp('2020-01-01')\nEND = START + pd.Timedelta(days=1)\nDAY = END.day", body="result = END, DAY", names="pd START END DAY"),
    takes("bins of numpy", "import numpy as np\nBINS = np.linspace(0, 1, 5)\nEDGES = np.array([0, 1])", body="result = BINS.tolist(), EDGES.tolist()", names="np BINS EDGES"),
    takes("members of an enumeration", "import enum\nclass Mode(enum.Flag):\n    A = 1\n    B = 2\nBOTH = Mode.A | Mode.B", body="result = BOTH.value", names="enum Mode BOTH"),
    takes("a configuration in a dataclass", "from dataclasses import dataclass\n@dataclass\nclass Config:\n    lr: float = 0.1\n    layers: tuple = (1, 2)\nCFG = Config(lr=0.2)", body="result = CFG.lr, CFG.layers", names="dataclass Config CFG"),
    takes("a named tuple's instance", "from typing import NamedTuple\nclass P(NamedTuple):\n    x: int = 1\nORIGIN = P()", body="result = ORIGIN.x", names="NamedTuple P ORIGIN"),
    takes("a typed dict", "from typing import TypedDict\nclass Row(TypedDict):\n    a: int", body="def f(r: Row) -> int:\n    return r['a']\nresult = f({'a': 1})", names="TypedDict Row"),
    takes("a generic class", "from typing import Generic, TypeVar\nT = TypeVar('T')\nclass Box(Generic[T]):\n    def __init__(self, v: T):\n        self.v = v", body="result = Box[int](3).v", names="Generic TypeVar T Box"),
    takes("a protocol", "from typing import Protocol, runtime_checkable\n@runtime_checkable\nclass HasX(Protocol):\n    x: int\nclass P:\n    x = 1", body="result = isinstance(P(), HasX)", names="Protocol runtime_checkable HasX P"),
    takes("aliases of types", "from typing import Annotated, Callable, Literal\nMode = Literal['a', 'b']\nFn = Callable[[int], int]\nM = Annotated[int, 'm']\nNum = int | float", body="def f(m: Mode, g: Fn, x: M, y: Num):\n    return g(x)\nresult = f('a', abs, -1, 2)", names="Annotated Callable Literal Mode Fn M Num"),
    takes("functools.partial", "from functools import partial\ndef add(a, b):\n    return a + b\ninc = partial(add, 1)", body="result = inc(2)", names="partial add inc"),
    takes("singledispatch and what is registered with it", "from functools import singledispatch\n@singledispatch\ndef show(x):\n    return 'any'", "K = 'int'\n@show.register\ndef _(x: int):\n    return K\n@show.register(str)\ndef _text(x):\n    return 'str'", body="result = show(1), show('a'), show(1.5)", names="singledispatch show _ _text K"),
    takes("a context manager", "from contextlib import contextmanager\n@contextmanager\ndef plus(x):\n    yield x + 1", body="with plus(1) as v:\n    result = v", names="contextmanager plus"),
    takes("an async generator", "import asyncio\nasync def count(n):\n    for i in range(n):\n        yield i", body="result = [x async for x in count(3)]", names="count"),
    takes("a class decorator", "class Deco:\n    def __init__(self, f):\n        self.f = f\n    def __call__(self, *a):\n        return self.f(*a) + 1\n@Deco\ndef f(x):\n    return x", body="result = f(1)", names="Deco f"),
    takes("a descriptor and a class method", "class D:\n    def __get__(self, o, t):\n        return KK\nclass A:\n    d = D()\n    @classmethod\n    def mk(cls):\n        return cls().d\nKK = 3", body="result = A.mk()", names="D A KK"),
    takes("a scikit-learn pipeline with a lambda", "import numpy as np\nfrom sklearn.pipeline import make_pipeline\nfrom sklearn.preprocessing import FunctionTransformer\nOFF = 3\ndef mk():\n    return make_pipeline(FunctionTransformer(lambda x: x + OFF))", body="result = mk().fit_transform(np.array([[1]])).tolist()", names="np make_pipeline FunctionTransformer OFF mk"),
    takes("a pandas chain", "import pandas as pd\nCOLS = ['a', 'b']\ndef clean(d):\n    return d.assign(c=lambda x: x.a + x.b)[[*COLS, 'c']]", body="result = clean(pd.DataFrame({'a': [1], 'b': [2]})).c.tolist()", names="pd COLS clean"),
    takes("a name in the text of a query", "import pandas as pd\nLIMIT = 1", body="d = pd.DataFrame({'a': [1, 2]})\nresult = len(d.query('a > @LIMIT'))", names="pd LIMIT"),
    takes("names in text that is evaluated", "A = 3\nB = 4", body="result = eval('A + 1') + globals()['B']", names="A B"),
    takes("an import for type checkers", "from __future__ import annotations\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import decimal", "def f(x: decimal.Decimal, y: unheard.Of = 1):\n    return y", body="result = f(1)", names="annotations f"),
    takes("a guarded import", "try:\n    import no_such_json as json\nexcept ImportError:\n    import json", body="result = json.dumps({'a': 1})", names="json"),
    takes("a guarded import with a flag", "try:\n    import no_such_thing\n    HAVE = True\nexcept ImportError:\n    HAVE = False", body="result = HAVE", names="HAVE"),
    takes("a display of one's own", "def display(x):\n    return 'mine'", body="result = display(1)", names="display"),
    takes("a cell executed twice", "N = 1\nM = N + 1", "N = 1\nM = N + 1", body="result = M", names="N M"),
    takes("cells out of order", "def f():\n    return g()", "def g():\n    return 1", "def f():\n    return g() + 1", body="result = f()", names="f g"),
    takes("deleted and defined again", "a = 1\ndel a\na = 2", body="result = a", names="a"),
    takes("a walrus in a comprehension", "XS = (1, 2, 3)", body="result = [y for x in XS if (y := x * 2) > 2], y", names="XS"),
    takes("a shared default that no call has changed", "def f(x, acc=[]):\n    acc.append(x)\n    return acc", body="result = f(2)", names="f"),
    takes("nested text in an f-string", "D = {'k': 'v'}\nW = 7", body="result = f\"{D['k']:>{W}}{W=}\"", names="D W"),
    takes("a display format of pandas", "import pandas as pd\npd.options.display.float_format = '{:.1f}'.format", body="result = pd.DataFrame({'a': [1.25]}).to_string()", names="pd"),
    takes("a method put into pandas", "import pandas as pd\nK = 2\ndef twice(self):\n    return self * K\npd.Series.twice = twice", body="result = pd.Series([1]).twice().tolist()", names="pd twice K"),
    takes("an accessor of pandas", "import pandas as pd\n@pd.api.extensions.register_dataframe_accessor('geo')\nclass G:\n    def __init__(self, o):\n        self.o = o\n    def n(self):\n        return len(self.o)", body="result = pd.DataFrame({'a': [1]}).geo.n()", names="pd"),
]  # fmt: skip

REFUSED = [
    refuses("names that are swapped", "a, b = 1, 2", "a, b = b, a", body="result = a, b", a="mutated", b="mutated"),
    refuses("names that lead to each other", "a = [1]", "b = a", "a = b", body="result = a", b="rebound"),
    refuses("a shared default that a call changed", "def f(x, acc=[]):\n    acc.append(x)\n    return acc", "f(1)", body="result = f(2)", f="mutated"),
    refuses("a default dict that was only read", "from collections import defaultdict\nd = defaultdict(int)", "d['a']", body="result = dict(d)", d="rebound"),
    refuses("a numpy array that was changed", "import numpy as np\nW = np.array([1, 2])", "W.fill(7)", body="result = W.tolist()", W="rebound"),
    refuses("a configuration that was changed by a call", "from dataclasses import dataclass\n@dataclass\nclass C:\n    n: int = 1\nc = C()\ndef touch(x):\n    x.n = 5", "touch(c)", body="result = c.n", c="rebound"),
    refuses("a dataclass filled from outside", "import time\nfrom dataclasses import dataclass, field\n@dataclass\nclass C:\n    t: float = field(default_factory=time.time)\nc = C()", body="result = c.t", c="rebound"),
    refuses("a context of one's own", "context = 5", body="result = context", context="rebound"),
    refuses("the command line", "import sys\nARGS = sys.argv", body="result = ARGS", ARGS="value"),
    refuses("the environment", "import os\nUSER = os.environ['HOME']", body="result = USER", USER="value"),
    refuses("a comprehension over files", "import os\nFILES = [f for f in os.listdir('.')]", body="result = FILES", FILES="value"),
    refuses("sorted by what is not known", "import random\nXS = sorted([1, 2, 3], key=lambda x: random.random())", body="result = XS", XS="value"),
    refuses("an iterator", "PAIRS = zip((1, 2), (3, 4))", body="result = list(PAIRS)", PAIRS="value"),
    refuses("a partial of a name that was rebound", "from functools import partial\nK = 1\ndef add(a, b):\n    return a + b\ninc = partial(add, K)", "K = 5", body="result = inc(2)", inc="rebound"),
    refuses("a class variable from a name that was rebound", "SIZE = 4\nclass Cfg:\n    size = SIZE", "SIZE = 9", body="result = Cfg.size", Cfg="rebound"),
    refuses("a subclass of a class that was defined anew", "class A:\n    v = 1", "class B(A):\n    pass", "class A:\n    v = 2", body="result = B.v", B="rebound"),
    refuses("a registry that decorators fill", "REG = {}\ndef reg(name):\n    def d(f):\n        REG[name] = f\n        return f\n    return d", "@reg('a')\ndef fa():\n    return 1", body="result = sorted(REG)", REG="rebound"),
    refuses("a table in a query", "import pandas as pd\nids = pd.Series([1])", body="result = len(pd.DataFrame({'a': [1]}).query('a in @ids'))", ids="value"),
    refuses("the answer of a service", "import getpass\nDATA = getpass.getuser().upper()", body="result = DATA", DATA="value"),
    refuses("functions in a namespace that was changed", "import types\nns = types.SimpleNamespace(get=lambda: 1)", "vars(ns).update(n=2)", body="result = ns.n", ns="rebound"),
]  # fmt: skip

MAGICS = [
    ("a timed assignment in the body", "K = 3", "%time x = K + 1\nresult = x", "K"),
    ("a timed constant before", "%time K = 3", "result = K", "K"),
]

PREPARED = [
    ("a seed", "import random\nSEED = 7\nrandom.seed(SEED)", "result = random.random()", ["random.seed(SEED)"]),
    ("a seed that a library draws from", "import numpy as np\nimport pandas as pd\nnp.random.seed(0)", "result = pd.Series(range(99)).sample(3).tolist()", ["np.random.seed(0)"]),
    ("an imported seed", "from numpy.random import seed, rand\nseed(3)", "result = float(rand())", ["seed(3)"]),
    ("precision", "import decimal\ndecimal.getcontext().prec = 5", "result = decimal.Decimal(1) / 3", ["decimal.getcontext().prec = 5"]),
    ("an option", "import pandas as pd\npd.set_option('display.precision', 1)", "result = pd.Series([1.25]).to_string()", ["pd.set_option('display.precision', 1)"]),
    ("filters of warnings", "import warnings\nimport pandas as pd\nwarnings.filterwarnings('ignore')", "result = len(pd.DataFrame())", ["warnings.filterwarnings('ignore')"]),
    ("styles of plots", "import matplotlib\nmatplotlib.use('agg')\nimport matplotlib.pyplot as plt\nplt.rcParams['figure.dpi'] = 50\nplt.rcParams.update({'font.size': 7})", "result = plt.rcParams['figure.dpi'], plt.rcParams['font.size']", ["matplotlib.use('agg')", "plt.rcParams['figure.dpi'] = 50", "plt.rcParams.update({'font.size': 7})"]),
    ("what is not used stays", "import random\nimport warnings\nimport decimal\nrandom.seed(1)\ndecimal.getcontext().prec = 5", "result = 2", []),
    ("secrets of the environment stay", "import os\nos.environ['TOKEN'] = 'abc'", "result = os.sep", []),
    ("tracking stays", "import mlflow\nmlflow.set_tracking_uri('sqlite:///x.db')", "result = mlflow.__name__", []),
]  # fmt: skip


@pytest.mark.parametrize("case", TAKEN, ids=lambda case: case.name)
def test_an_idiom_is_taken(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    table.test_what_is_taken_gives_the_same_elsewhere(case, capsys)


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.name)
def test_an_idiom_is_refused(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    table.test_what_is_refused_names_cell_line_and_way_out(case, capsys)


@pytest.mark.parametrize(("name", "cell", "body", "settings"), PREPARED, ids=[one[0] for one in PREPARED])
def test_what_prepares_a_library_comes_along(name: str, cell: str, body: str, settings: list[str]) -> None:
    from .shells import Notebook, elsewhere

    notebook = Notebook()
    notebook.run(cell)
    closure = notebook.analyse(body)
    assert not closure.problems, [str(problem) for problem in closure.problems]
    assert [piece.source for piece in closure.pieces if piece.kind == "setting"] == settings
    notebook.run(body)
    assert elsewhere(closure, body, "result") == notebook.value("result")


@pytest.mark.parametrize(("name", "cell", "body", "names"), MAGICS, ids=[one[0] for one in MAGICS])
def test_a_timed_statement_is_a_statement(name: str, cell: str, body: str, names: str) -> None:
    from mlrun_jupyter.notebooks.cells import Cell
    from mlrun_jupyter.notebooks.closure import analyse

    closure = analyse(body, cells=[Cell(1, cell)])
    assert not closure.problems, [str(problem) for problem in closure.problems]
    assert " ".join(name for piece in closure.pieces for name in piece.names) == names

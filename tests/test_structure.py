"""The shape of the source, read with `ast`: which way imports point, and file sizes.

Nothing here imports skae. The last tests feed the checkers sources that break each
rule, so that a checker that has gone blind fails as well.
"""

import ast
import io
import re
import sys
import tokenize
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FILES = sorted((ROOT / "skae").rglob("*.py"))

# Room -> the rooms of skae it may import. A room is a folder or a file of skae/. The
# floors from the bottom: core, rows, engines, training, estimators; the other rooms
# stand beside them.
MAY_IMPORT = {
    "core": {"core", "_one_pass", "_version"},
    "rows": {"rows", "core", "_sklearn", "_version", "_warnings"},
    "engines": {"engines", "rows", "core", "_sklearn", "_version"},
    "training": {
        *("training", "engines", "rows", "core", "solvers", "_one_pass", "_version"),
    },
    "estimators": {
        *("estimators", "training", "engines", "rows", "core", "solvers"),
        *("export", "_sklearn", "_version", "_warnings"),
    },
    "impute": {
        *("impute", "estimators", "rows", "export"),
        *("_sklearn", "_version", "_warnings"),
    },
    "model_selection": {
        *("model_selection", "estimators", "training", "engines", "rows", "core"),
        *("export", "_sklearn", "_version", "_warnings"),
    },
    "outliers": {
        *("outliers", "estimators", "engines", "rows", "core"),
        *("export", "_sklearn", "_warnings"),
    },
    "solvers": {"solvers", "_one_pass"},
    "plotting": {
        *("plotting", "inspection", "model_selection", "core", "_sklearn", "_version"),
    },
    "inspection": {"inspection"},
    "export": {"export", "core", "_version", "_warnings"},
    "_one_pass": set(),
    "_sklearn": set(),
    "_version": set(),
    "_warnings": set(),
    "__init__": {
        *("estimators", "impute", "model_selection", "outliers", "plotting"),
        *("_sklearn", "_version"),
    },
}
# And the standard library.
NUMPY_ONLY = {"core", "solvers", "_one_pass", "_version", "_warnings"}
NO_SKLEARN = {"training"}
OPTIONAL = {
    *("matplotlib", "torch", "dask", "distributed", "rich", "pandas", "polars"),
    *("onnx", "skl2onnx", "onnxruntime", "skops", "cupy"),
}
MAX_CODE_LINES = 300
MAX_FILES = {"estimators": 19}

# When a name is imported.
AT_IMPORT, ON_CALL, FOR_TYPES, BY_NAME = "at import", "on call", "for types", "by name"
A_NAME_IN_SKAE = re.compile(r"(skae(?:\.\w+)+)\.?(?::\w+)?")


def module_name(path, root=ROOT):
    """`skae/core/layout.py` -> `skae.core.layout`; a package ends in `__init__`."""
    return ".".join(path.relative_to(root).with_suffix("").parts)


def room(module):
    """The part of skae a dotted name lies in: `skae.core.layout` -> `core`."""
    return [*module.split("."), "__init__"][1]


def is_type_checking(node):
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def absolute(module, level, name):
    """The dotted name that `level` dots and `name` stand for in a module."""
    package = module.split(".")[:-level] if level else []
    return ".".join([*package, *([name] if name else [])])


def named_imports(module, node):
    """The dotted names within skae, or of it, that a string in the source stands for.

    Those are any that begin with `skae.`, with a registry's `:Class` after it or not,
    and whatever is handed to `import_module` or `__import__`.
    """
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        match = A_NAME_IN_SKAE.fullmatch(node.value)
        return [match[1]] if match else []
    if isinstance(node, ast.Call):
        called = ast.unparse(node.func).rpartition(".")[2]
        name = node.args[0].value if node.args and is_text(node.args[0]) else ""
        if called in ("import_module", "__import__") and name:
            dots = len(name) - len(name.lstrip("."))
            origin = module
            if len(node.args) > 1 and is_text(node.args[1]):
                origin = f"{node.args[1].value}.__init__"
            return [absolute(origin, dots, name.lstrip("."))]
    return []


def is_text(node):
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def imports(module, source):
    """Every imported dotted name, with when it is imported.

    `from a import b` counts as `a.b`; relative imports are resolved; so is `a.b` in
    the text after `import a`, which is how a private attribute would be reached.
    """
    found, bound = [], {}

    def visit(node, when):
        if isinstance(node, ast.Import):
            for alias in node.names:
                found.append((alias.name, when))
                top = alias.name if alias.asname else alias.name.partition(".")[0]
                bound[alias.asname or top] = top
        elif isinstance(node, ast.ImportFrom):
            origin = absolute(module, node.level, node.module)
            for alias in node.names:
                found.append((f"{origin}.{alias.name}", when))
                bound[alias.asname or alias.name] = f"{origin}.{alias.name}"
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            when = ON_CALL
        if is_type_checking(node):
            when = FOR_TYPES
        found.extend((name, BY_NAME) for name in named_imports(module, node))
        for child in ast.iter_child_nodes(node):
            visit(child, when)

    tree = ast.parse(source)
    visit(tree, AT_IMPORT)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            base, _, rest = ast.unparse(node).partition(".")
            is_path = rest.replace(".", "_").isidentifier()
            if is_path and bound.get(base, "").split(".")[0] == "sklearn":
                found.append((f"{bound[base]}.{rest}", ON_CALL))
    return found


def broken_rules(module, source):
    """One sentence for each import of a module that breaks a rule."""
    here = room(module)
    if here not in MAY_IMPORT:
        return [f"{module}: {here!r} is a new room; say in MAY_IMPORT what it imports"]
    broken = []
    for name, when in imports(module, source):
        top = name.split(".")[0]
        if top == "skae" and room(name) not in MAY_IMPORT[here]:
            broken.append(f"{module} imports {name}: {here} may not import that")
        own = {"skae", "numpy", *sys.stdlib_module_names}
        if here in NUMPY_ONLY and top not in own:
            broken.append(f"{module} imports {name}: {here} is NumPy only")
        if here in NO_SKLEARN and top == "sklearn":
            broken.append(f"{module} imports {name}: {here} knows no scikit-learn")
        if top == "sklearn" and here != "_sklearn" and "._" in name:
            broken.append(f"{module} uses {name}: private names belong in _sklearn.py")
        if top in OPTIONAL and when == AT_IMPORT:
            broken.append(f"{module} imports {name} when it is itself imported")
    return broken


def circle(sources):
    """The modules of a circle of imports, at import or on call; none makes [].

    Neither is what only a type checker imports one, nor what a registry of the engines
    names of its own room, so that an engine may import what chooses among engines.
    """
    graph = {}
    for module, source in sources.items():
        graph[module] = set()
        for name, when in imports(module, source):
            in_registry = when == BY_NAME and room(module) == room(name) == "engines"
            if when != FOR_TYPES and not in_registry:
                graph[module] |= {holder(name, sources)} & set(sources)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def holder(name, modules):
    """The module that a dotted name is, or lies in: a package is its `__init__`."""
    while name:
        for module in (name, f"{name}.__init__"):
            if module in modules:
                return module
        name = name.rpartition(".")[0]
    return None


def opening_fault(source):
    """What is wrong with the first line of a file's docstring, if anything."""
    docstring = ast.get_docstring(ast.parse(source))
    if not docstring:
        return "has no docstring"
    line = docstring.split("\n")[0]
    if not line.endswith(".") or re.search(r"[.!?] ", line):
        return f"opens with {line!r}, which is not one sentence"
    return None


def crowded_rooms(modules):
    """The rooms with more files than are easy to find one's way in, with how many."""
    counts = {here: [room(m) for m in modules].count(here) for here in MAX_FILES}
    return {here: n for here, n in counts.items() if n > MAX_FILES[here]}


def code_lines(source):
    """The number of lines that are not docstring, comment or blank."""
    no_code = {
        tokenize.COMMENT,
        tokenize.NL,
        tokenize.NEWLINE,
        tokenize.INDENT,
        tokenize.DEDENT,
        tokenize.ENDMARKER,
    }
    code = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in no_code:
            code.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            if isinstance(node.value.value, str):
                code.difference_update(range(node.lineno, node.end_lineno + 1))
    blank = {i for i, line in enumerate(source.splitlines(), 1) if not line.strip()}
    return len(code - blank)


def test_there_is_a_source():
    assert len(FILES) > 1, f"no modules found in {ROOT / 'skae'}"


def sources():
    return {module_name(path): path.read_text(encoding="utf-8") for path in FILES}


def test_imports_point_one_way():
    broken = {name: broken_rules(name, text) for name, text in sources().items()}
    assert {name: rules for name, rules in broken.items() if rules} == {}


def test_files_stay_short():
    lengths = {name: code_lines(text) for name, text in sources().items()}
    assert {name: n for name, n in lengths.items() if n > MAX_CODE_LINES} == {}


def test_files_open_with_a_sentence():
    faults = {name: opening_fault(text) for name, text in sources().items()}
    assert {name: fault for name, fault in faults.items() if fault is not None} == {}


def test_no_circle_of_imports():
    assert circle(sources()) == []


def test_rooms_stay_small():
    assert crowded_rooms(sources()) == {}


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("skae.core.losses", "import sklearn"),
        ("skae.core.losses", "from skae._sklearn import Interval"),
        ("skae.core.losses", "from scipy.special import expit"),
        ("skae.core.losses", "from ..solvers import minimize_lbfgs"),
        ("skae.core.losses", "def f():\n    from skae.engines.threads import run"),
        ("skae.core.losses", "if TYPE_CHECKING:\n    from skae.rows.data import Data"),
        ("skae.core.__init__", "from ..estimators._base import Base"),
        ("skae.rows.dask", "def f():\n    from skae.engines.dask import DaskEngine"),
        ("skae.rows.dask", "ENGINE = 'skae.engines.dask:DaskEngine'"),
        ("skae.rows.dask", "f = lambda: import_module('skae').__version__"),
        ("skae.rows.dask", "importlib.import_module('skae.engines.dask')"),
        ("skae.rows.dask", "importlib.import_module('..engines.dask', 'skae.rows')"),
        ("skae.rows.dask", "importlib.import_module('..engines.dask', __package__)"),
        ("skae.rows.dask", "import_module(f'skae.engines.{kind}')"),
        ("skae.rows.dask", "__import__('skae')"),
        ("skae.solvers.lbfgs", "from skae.core.layout import Layout"),
        ("skae.solvers.lbfgs", "from .. import core"),
        ("skae.solvers.lbfgs", "from skae._version import __version__"),
        ("skae.solvers.lbfgs", "from scipy.optimize import minimize"),
        ("skae.engines.threads", "from ..solvers.lbfgs import lbfgs"),
        ("skae.engines.threads", "from skae.training.run import train"),
        ("skae.engines.threads", "import skae"),
        ("skae.engines.choice", "ENGINES = {'a': 'skae.training.run:train'}"),
        ("skae.training.run", "from skae.estimators._fitting import present"),
        ("skae.training.run", "from sklearn.utils import check_array"),
        ("skae.training.run", "def f():\n    import sklearn"),
        ("skae.training.run", "from skae._sklearn import Interval"),
        ("skae.training.run", "import_module('sklearn.utils')"),
        ("skae.estimators.sparse", "from skae import SparseAutoencoder"),
        ("skae.estimators.sparse", "from skae.plotting import LossCurveDisplay"),
        ("skae.estimators.sparse", "from sklearn.utils._param_validation import Real"),
        ("skae.estimators.sparse", "from sklearn.base import _fit_context"),
        ("skae.estimators.sparse", "import sklearn.utils._tags"),
        ("skae.estimators.sparse", "import sklearn as s\ns.utils._tags.Tags"),
        ("skae.estimators.sparse", "from sklearn import base as b\nb._fit_context()"),
        ("skae._sklearn", "from .core import layout"),
        ("skae._version", "from skae import estimators"),
        ("skae._version", "from scipy import __version__"),
        ("skae.plotting._tiles", "from skae.estimators.sparse import Base"),
        ("skae.plotting._tiles", "from skae.engines.threads import ThreadEngine"),
        ("skae.plotting.__init__", "import matplotlib.pyplot as plt"),
        ("skae.plotting", "try:\n    from rich import print\nexcept ImportError: ..."),
        ("skae.plotting._tiles", "from matplotlib import pyplot"),
        ("skae.engines.dask", "class A:\n    import dask.array as da"),
        ("skae.export.onnx", "from skl2onnx import update_registered_converter"),
        ("skae.export.onnx", "from skae.estimators._base import BaseAutoencoder"),
        ("skae.training.run", "from skae.export.onnx import OnnxMixin"),
        ("skae.estimators.sparse", "if True:\n    import torch"),
        ("skae.__init__", "from skae.core import layout"),
        ("skae.helpers", ""),
    ],
)
def test_checker_sees_a_broken_rule(module, source):
    assert broken_rules(module, source) != []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("skae.core.autoencoder", "import math\nimport numpy\nfrom . import losses"),
        ("skae.core.__init__", "from .losses import LOSSES"),
        ("skae.rows.dask", "f = lambda: import_module('skae._version').__version__"),
        ("skae.rows.dask", "raise ValueError('skae.engines is not what this names')"),
        ("skae.rows.dask", "versions = {'skae': 1}"),
        ("skae.rows.reading", "from sklearn.utils import check_array"),
        ("skae.engines.threads", "import joblib\nfrom ..core.objective import block"),
        ("skae.engines.threads", "from skae.rows.dense import RowsInBlocks"),
        ("skae.engines.choice", "ENGINES = {'a': 'skae.engines.dask:DaskEngine'}"),
        ("skae.training.run", "from scipy.sparse import issparse"),
        ("skae.training.run", "from skae.solvers import Result"),
        ("skae.training.run", "from skae._version import __version__"),
        ("skae.estimators._base", "from .._sklearn import validate_data"),
        ("skae.estimators._base", "from sklearn.base import BaseEstimator"),
        ("skae.estimators._base", "from ..training.run import train"),
        ("skae.estimators._base", "from sklearn.base import clone\nclone.f(x)._y"),
        ("skae._sklearn", "from sklearn.utils._param_validation import Interval"),
        ("skae.plotting", "def plot():\n    import matplotlib.pyplot as plt"),
        ("skae.plotting._tiles", "from skae.core.activations import ACTIVATIONS"),
        ("skae.engines.dask", "if TYPE_CHECKING:\n    import dask"),
        ("skae.export.onnx", "def f():\n    import onnx\nfrom ..core import layers"),
        ("skae.__init__", "from .estimators import SparseAutoencoder"),
        ("skae.__init__", "from skae._version import __version__"),
    ],
)
def test_checker_lets_the_rest_pass(module, source):
    assert broken_rules(module, source) == []


@pytest.mark.parametrize(
    "sources",
    [
        {"skae.core.a": "from skae.core.b import f", "skae.core.b": "from . import a"},
        {
            "skae.core.a": "from skae.core.b import f",
            "skae.core.b": "def f():\n    from skae.core.a import g",
        },
        {
            "skae.core.a": "import skae.core.b",
            "skae.core.b": "from skae.core.c import f",
            "skae.core.c": "f = 'skae.core.a:g'",
        },
        {
            "skae.solvers.__init__": "from skae.solvers.a import f",
            "skae.solvers.a": "from skae.solvers import g",
        },
        {
            "skae.engines.a": "ENGINE = 'skae.rows.b:f'",
            "skae.rows.b": "import_module('skae.engines.a')",
        },
        {"skae.core.a": "def f():\n    from skae.core.a import g"},
    ],
)
def test_checker_sees_a_circle(sources):
    assert circle(sources) != []


@pytest.mark.parametrize(
    "sources",
    [
        {"skae.core.a": "from skae.core.b import f", "skae.core.b": "import numpy"},
        {
            "skae.core.a": "from skae.core.b import f",
            "skae.core.b": "if TYPE_CHECKING:\n    from skae.core.a import A",
        },
        {
            "skae.engines.choice": "ENGINES = {'a': 'skae.engines.a:A'}",
            "skae.engines.a": "from skae.engines.choice import engine_for",
        },
        {
            "skae.core.__init__": "",
            "skae.core.a": "from skae.core import b",
            "skae.core.b": "",
        },
    ],
)
def test_checker_lets_what_is_no_circle_pass(sources):
    assert circle(sources) == []


@pytest.mark.parametrize(
    "source",
    [
        "",
        "import numpy",
        "# No docstring.",
        '"""No full stop\n\nMore."""',
        '"""A sentence that goes\non in the next line."""',
        '"""Two sentences. On a line."""',
    ],
)
def test_checker_sees_a_poor_opening(source):
    assert opening_fault(source) is not None


def test_checker_lets_a_sentence_pass():
    assert opening_fault('"""One sentence: f(x) = 0.5 x, no more.\n\nMore."""') is None


def test_checker_sees_a_crowded_room():
    names = [f"skae.estimators.file_{i}" for i in range(MAX_FILES["estimators"])]
    assert crowded_rooms([*names, "skae.core.losses"]) == {}
    assert crowded_rooms([*names, "skae.estimators.one_more"]) == {"estimators": 20}


def test_code_lines_are_counted_without_prose():
    source = '''"""Module.

More.
"""

# A comment.
import math  # counted once


class A:
    """Class."""

    text = """counted

    but for the blank line
    """

    def f(self, x):
        """Function."""
        return math.hypot(
            x,
            1,  # counted
        )
'''
    assert code_lines(source) == 10

"""The shape of the source, read with `ast`: which way imports point, and file sizes.

Nothing here imports skae. The last tests feed the checkers sources that break each
rule, so that a checker that has gone blind fails as well.
"""

import ast
import io
import sys
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FILES = sorted((ROOT / "skae").rglob("*.py"))

# Room -> the rooms of skae it may import. A room is a folder or a file of skae/.
MAY_IMPORT = {
    "core": {"core"},
    "engines": {"engines", "core"},
    "solvers": {"solvers"},
    "estimators": {"estimators", "solvers", "engines", "core", "_sklearn"},
    "plotting": {"plotting", "estimators", "core", "_sklearn"},
    "_sklearn": set(),
    "__init__": {"estimators", "plotting", "_sklearn"},
}
OPTIONAL = {"matplotlib", "torch", "dask", "distributed", "rich", "pandas", "polars"}
MAX_CODE_LINES = 300


def module_name(path, root=ROOT):
    """`skae/core/layout.py` -> `skae.core.layout`; a package ends in `__init__`."""
    return ".".join(path.relative_to(root).with_suffix("").parts)


def room(module):
    """The part of skae a dotted name lies in: `skae.core.layout` -> `core`."""
    return [*module.split("."), "__init__"][1]


def is_type_checking(node):
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def imports(module, source):
    """Every imported dotted name, with whether importing the module imports it.

    `from a import b` counts as `a.b`; relative imports are resolved; so is `a.b` in
    the text after `import a`, which is how a private attribute would be reached.
    """
    found, bound = [], {}

    def visit(node, at_import):
        if isinstance(node, ast.Import):
            for alias in node.names:
                found.append((alias.name, at_import))
                top = alias.name if alias.asname else alias.name.partition(".")[0]
                bound[alias.asname or top] = top
        elif isinstance(node, ast.ImportFrom):
            package = module.split(".")[: -node.level] if node.level else []
            origin = ".".join([*package, *([node.module] if node.module else [])])
            for alias in node.names:
                found.append((f"{origin}.{alias.name}", at_import))
                bound[alias.asname or alias.name] = f"{origin}.{alias.name}"
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            at_import = False
        if is_type_checking(node):
            at_import = False
        for child in ast.iter_child_nodes(node):
            visit(child, at_import)

    tree = ast.parse(source)
    visit(tree, True)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            base, _, rest = ast.unparse(node).partition(".")
            is_path = rest.replace(".", "_").isidentifier()
            if is_path and bound.get(base, "").split(".")[0] == "sklearn":
                found.append((f"{bound[base]}.{rest}", False))
    return found


def broken_rules(module, source):
    """One sentence for each import of a module that breaks a rule."""
    here = room(module)
    if here not in MAY_IMPORT:
        return [f"{module}: {here!r} is a new room; say in MAY_IMPORT what it imports"]
    broken = []
    for name, at_import in imports(module, source):
        top = name.split(".")[0]
        if top == "skae" and room(name) not in MAY_IMPORT[here]:
            broken.append(f"{module} imports {name}: {here} may not import that")
        if here == "core" and top not in {"skae", "numpy", *sys.stdlib_module_names}:
            broken.append(f"{module} imports {name}: the core is NumPy only")
        if top == "sklearn" and here != "_sklearn" and "._" in name:
            broken.append(f"{module} uses {name}: private names belong in _sklearn.py")
        if top in OPTIONAL and at_import:
            broken.append(f"{module} imports {name} when it is itself imported")
    return broken


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


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_imports_point_one_way(path):
    assert broken_rules(module_name(path), path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_files_stay_short(path):
    assert code_lines(path.read_text(encoding="utf-8")) <= MAX_CODE_LINES


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("skae.core.losses", "import sklearn"),
        ("skae.core.losses", "from scipy.special import expit"),
        ("skae.core.losses", "from ..solvers import minimize_lbfgs"),
        ("skae.core.losses", "def f():\n    from skae.engines.threads import run"),
        ("skae.core.__init__", "from ..estimators._base import Base"),
        ("skae.solvers.lbfgs", "from skae.core.layout import Layout"),
        ("skae.solvers.lbfgs", "from .. import core"),
        ("skae.engines.threads", "from ..solvers.lbfgs import lbfgs"),
        ("skae.engines.threads", "import skae"),
        ("skae.estimators.sparse", "from skae import SparseAutoencoder"),
        ("skae.estimators.sparse", "from sklearn.utils._param_validation import Real"),
        ("skae.estimators.sparse", "from sklearn.base import _fit_context"),
        ("skae.estimators.sparse", "import sklearn.utils._tags"),
        ("skae.estimators.sparse", "import sklearn as s\ns.utils._tags.Tags"),
        ("skae.estimators.sparse", "from sklearn import base as b\nb._fit_context()"),
        ("skae._sklearn", "from .core import layout"),
        ("skae.plotting", "import matplotlib.pyplot as plt"),
        ("skae.plotting", "try:\n    from rich import print\nexcept ImportError: ..."),
        ("skae.plotting._tiles", "from matplotlib import pyplot"),
        ("skae.engines.dask", "class A:\n    import dask.array as da"),
        ("skae.estimators.sparse", "if True:\n    import torch"),
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
        ("skae.engines.threads", "import joblib\nfrom ..core.objective import block"),
        ("skae.estimators._base", "from .._sklearn import validate_data"),
        ("skae.estimators._base", "from sklearn.base import BaseEstimator"),
        ("skae.estimators._base", "from ..solvers import minimize_lbfgs"),
        ("skae.estimators._base", "from sklearn.base import clone\nclone.f(x)._y"),
        ("skae._sklearn", "from sklearn.utils._param_validation import Interval"),
        ("skae.plotting", "def plot():\n    import matplotlib.pyplot as plt"),
        ("skae.engines.dask", "if TYPE_CHECKING:\n    import dask"),
        ("skae.__init__", "from .estimators import SparseAutoencoder"),
    ],
)
def test_checker_lets_the_rest_pass(module, source):
    assert broken_rules(module, source) == []


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

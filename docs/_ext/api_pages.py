"""What a page of the API shows: the members that skae itself defines.

Scikit-learn adds methods to every estimator (``get_params``, ``set_output``,
``set_fit_request``, ...). Their documentation is scikit-learn's. Methods that only
another package calls are left out as well.
"""

import re
from importlib import import_module

# "loss_curve_ : ndarray of shape (n_iter_,)": numpydoc leaves the type to
# reStructuredText, to which n_iter_ is a hyperlink.
DECLARATION = re.compile(r"(\w[\w, ]* : )(.*)")
# skl2onnx calls these; users call skl2onnx.to_onnx.
CALLED_BY_SKL2ONNX = {"onnx_parser", "onnx_shape_calculator", "onnx_converter"}
ENDS_IN_UNDERSCORE = re.compile(r"\b(\w+)_(?!\w)")


def own_members(fullname):
    """Public methods and properties of the class ``fullname`` written in skae."""
    module, _, name = fullname.rpartition(".")
    cls = getattr(import_module(module), name)
    names = []
    for member in dir(cls):
        owner = next(base for base in cls.__mro__ if member in vars(base))
        is_ours = owner.__module__.startswith("skae")
        # Scikit-learn puts set_fit_request and its like on our classes.
        is_hidden = member.startswith("_") or member in CALLED_BY_SKL2ONNX
        if is_ours and not is_hidden and not member.endswith("_request"):
            names.append(member)
    return names


def escape_types(app, what, name, obj, options, lines):
    """Keep ``n_iter_`` in a type from being read as a hyperlink."""
    for i, line in enumerate(lines):
        declaration = DECLARATION.fullmatch(line)
        if declaration:
            names, kind = declaration.groups()
            lines[i] = names + ENDS_IN_UNDERSCORE.sub(r"\1\\_", kind)


def setup(app):
    app.config.autosummary_context["own_members"] = own_members
    # Before numpydoc, which comes at 500.
    app.connect("autodoc-process-docstring", escape_types, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

"""Methods of estimators that skl2onnx calls to convert them.

``skl2onnx.to_onnx`` calls three methods of an estimator: a parser, which declares the
outputs of the graph, a shape calculator, which sets their types, and a converter, which
adds the nodes. skl2onnx accepts options only for registered classes, so the parser
registers the class of the estimator. ONNX packages are imported only then.
"""

from collections.abc import Callable, Mapping
from typing import Any

from sklearn.utils.validation import check_is_fitted

from skae.core.layers import Layers
from skae.export.onnx_graph import Network, output_types

# The names of the outputs of each registered class.
_registered: dict[type, dict[str, bool]] = {}


class OnnxMixin:
    """Methods that skl2onnx calls. Subclasses define ``_onnx_layers``."""

    # Possible outputs in their order, and whether they are selected by default.
    _onnx_outputs: Mapping[str, bool]

    @property
    def _onnx_model(self) -> Any:
        """The estimator that computes: itself, or the best one of a search."""
        return self

    def _onnx_layers(self, dtype: Any) -> tuple[Layers, Layers]:
        """Layers from the rows to the codes, and from the codes to the outputs."""
        raise NotImplementedError

    def onnx_parser(self) -> Callable[..., Any]:
        """Declare the outputs of an ONNX graph (called by skl2onnx).

        Returns
        -------
        callable
            Function of ``scope`` and ``inputs`` that returns variables of skl2onnx.
        """
        model = self._onnx_model
        if model is not self:
            model.onnx_parser()  # may raise an error
        check_is_fitted(model, "n_iter_")
        _register(type(self), self._onnx_outputs)

        def parser(scope: Any = None, inputs: Any = None) -> list[Any]:
            return [
                scope.declare_local_variable(name, kind)
                for name, kind in _outputs(scope, self, inputs)
            ]

        return parser

    def onnx_shape_calculator(self) -> Callable[..., Any]:
        """Set the types of the outputs of an ONNX graph (called by skl2onnx).

        Returns
        -------
        callable
            Function that changes the outputs of its argument ``operator``.
        """
        return _set_types

    def onnx_converter(self) -> Callable[..., Any]:
        """Add the fitted estimator to an ONNX graph (called by skl2onnx).

        Returns
        -------
        callable
            Function of ``scope``, ``operator`` and ``container`` that adds nodes to the
            container.
        """
        return _convert


class WithoutGraph:
    """Raises an error for ONNX. Subclasses give the reason in ``_why_no_graph``."""

    _why_no_graph: str

    def onnx_parser(self) -> Callable[..., Any]:
        """Raise an error, because there is no such graph (called by skl2onnx).

        Returns
        -------
        callable
            Nothing is returned.

        Raises
        ------
        NotImplementedError
            Always.
        """
        raise NotImplementedError(
            f"{type(self).__name__} cannot become an ONNX graph: {self._why_no_graph}; "
            "or save it by skops or pickle."
        )


def _register(cls: type, outputs: Mapping[str, bool]) -> None:
    """Register a class and its options with skl2onnx."""
    from skl2onnx import update_registered_converter

    known = _registered.get(cls, {})
    if outputs.keys() <= known.keys():
        return
    outputs = {**known, **outputs}
    names = [*outputs, *(["zipmap"] if "label" in outputs else [])]
    update_registered_converter(
        cls,
        _alias(cls),
        _set_types,
        _convert,
        overwrite=True,
        parser=_parse,
        options={name: [True, False] for name in names},
    )
    _registered[cls] = outputs


def _parse(
    scope: Any, model: Any, inputs: Any, custom_parsers: Any = None
) -> list[Any]:
    """Add an operator for an estimator of a registered class."""
    operator = scope.declare_local_operator(_alias(type(model)), model)
    operator.inputs = inputs
    operator.outputs.extend(model.onnx_parser()(scope=scope, inputs=inputs))
    return operator.outputs


def _alias(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def _chosen(scope: Any, model: Any) -> tuple[list[str], bool]:
    """Names of the selected outputs, and whether probabilities are dictionaries."""
    defaults = dict(model._onnx_outputs)
    if "label" in defaults:
        defaults["zipmap"] = True  # as of scikit-learn's classifiers
    options = scope.get_options(model, defaults)
    names = [name for name in model._onnx_outputs if options[name]]
    if not names:
        raise ValueError(
            f"options leave {type(model).__name__} no output; set at least one of "
            f"{list(model._onnx_outputs)} to True."
        )
    return names, bool(options.get("zipmap")) and "probabilities" in names


def _outputs(scope: Any, model: Any, inputs: Any) -> list[tuple[str, Any]]:
    names, as_maps = _chosen(scope, model)
    return output_types(model._onnx_model, inputs, names, as_maps)


def _set_types(operator: Any) -> None:
    model = operator.raw_operator
    types = _outputs(operator.scope_inst, model, operator.inputs)
    for output, (_, kind) in zip(operator.outputs, types, strict=True):
        output.set_type(kind)


def _convert(scope: Any, operator: Any, container: Any) -> None:
    names, as_maps = _chosen(scope, operator.raw_operator)
    network = Network(scope, operator, container)
    for name, output in zip(names, operator.outputs, strict=True):
        network.put_out(name, output.full_name, as_maps)

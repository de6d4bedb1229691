"""Conversion of a fitted network to the nodes of an ONNX graph."""

from functools import cached_property
from typing import Any

import numpy as np

from skae.core.activations import OUTPUTS
from skae.core.layers import Layers
from skae.core.top_k import TopKLayers
from skae.core.top_k_selection import RowSelection

# The operator of each activation; None if the values are not changed.
OPERATORS = {
    "logistic": "Sigmoid",
    "tanh": "Tanh",
    "relu": "Relu",
    "identity": None,
    "softmax": "Softmax",
}


class Network:
    """The nodes of one estimator. Each node is added when it is first needed.

    Parameters
    ----------
    scope, operator, container : object
        Objects of skl2onnx: the scope creates names, the operator is converted, and
        nodes are added to the container.
    """

    def __init__(self, scope: Any, operator: Any, container: Any):
        self.scope, self.container = scope, container
        self.model, self.inputs = operator.raw_operator._onnx_model, operator.inputs
        self.dtype = float_type(operator.inputs)
        self.below, self.top = self.model._onnx_layers(self.dtype)

    def put_out(self, name: str, to: str, as_maps: bool) -> None:
        """Compute the output ``name``, and give it the name ``to`` in the graph.

        With ``as_maps``, probabilities are a dictionary for each row, from class to
        probability.
        """
        result = getattr(self, name)
        if name == "probabilities" and as_maps:
            kind, labels = labels_of(self.model.classes_)
            is_text = kind == "StringTensorType"
            attribute = "classlabels_strings" if is_text else "classlabels_int64s"
            # ZipMap accepts single precision only.
            values = self._cast(result, np.float32)
            self._node("ZipMap", values, result=to, **{attribute: labels.tolist()})
        else:
            self._node("Identity", result, result=to)

    # -- outputs ----------------------------------------------------------------

    @cached_property
    def codes(self) -> str:
        """What ``transform`` returns."""
        scale = None
        if hasattr(self.model, "_code_scale"):
            scale = self.model._code_scale(self.dtype)
        if scale is None:
            return self._hidden
        return self._node("Div", self._hidden, self._constant(scale))

    @cached_property
    def reconstruction(self) -> str:
        """What ``predict`` of an autoencoder returns."""
        return self._above

    @cached_property
    def predictions(self) -> str:
        """What ``predict`` of a regressor returns, as columns."""
        return self._above

    @cached_property
    def probabilities(self) -> str:
        """What ``predict_proba`` of a classifier returns."""
        return self._above

    @cached_property
    def score_samples(self) -> str:
        """What ``score_samples`` of an autoencoder returns, as a column."""
        error = self._node("Sub", self._above, self._rows)
        square = self._node("Mul", error, error)
        # A matrix product with ones is a sum, and the same in every version of ONNX.
        d = self.model.n_features_in_
        ones = self._constant(np.ones((d, 1), self.dtype))
        if self._missing is None:
            return self._node("Neg", self._node("MatMul", square, ones))
        # The error of the observed entries is scaled up to all entries.
        there = self._cast(self._node("Not", self._missing), self.dtype)
        total = self._node("MatMul", self._node("Mul", square, there), ones)
        count = self._node("MatMul", there, ones)
        total = self._node("Mul", total, self._constant(np.array(-d, self.dtype)))
        return self._node("Div", total, count)

    @cached_property
    def label(self) -> str:
        """What ``predict`` of a classifier returns."""
        if self.model._multilabel:
            half = self._constant(np.array(0.5, self.dtype))
            return self._cast(self._node("Greater", self._above, half), np.int64)
        best = self._node("ArgMax", self._above, axis=1, keepdims=0)
        _, labels = labels_of(self.model.classes_)
        return self._node("Gather", self._constant(labels), best)

    # -- intermediate results ---------------------------------------------------

    @cached_property
    def _given(self) -> str:
        """All columns, in the graph's precision."""
        parts = [self._cast(part.full_name, self.dtype) for part in self.inputs]
        return parts[0] if len(parts) == 1 else self._node("Concat", *parts, axis=1)

    @cached_property
    def _missing(self) -> str | None:
        """Mask of NaN; None if the model does not accept NaN."""
        if getattr(self.model, "_column_means", None) is None:
            return None
        return self._node("IsNaN", self._given)

    @cached_property
    def _rows(self) -> str:
        """The rows, with column means in place of missing entries."""
        if self._missing is None:
            return self._given
        means = self._constant(self.model._column_means.astype(self.dtype))
        return self._node("Where", self._missing, means, self._given)

    @cached_property
    def _hidden(self) -> str:
        if not isinstance(self.below, TopKLayers):
            return self._pass_through(self.below, self._rows)
        centred = self._node("Sub", self._rows, self._constant(self.below.center))
        units = self._pass_through(self.below, centred)
        selection = self.below.selection
        if isinstance(selection, RowSelection):
            k = self._constant(np.array([selection.k]))
            largest = self._node("TopK", units, k)
            last = self._constant(np.array([selection.k - 1]))
            least = self._node("Gather", largest, last, axis=1)
            dropped = self._node("Less", units, least)
            kept = self._node("Not", dropped)
        else:
            threshold = np.array(max(self.below.threshold, 0), self.dtype)
            kept = self._node("Greater", units, self._constant(threshold))
        kept = self._cast(kept, self.dtype)
        return self._node("Relu", self._node("Mul", units, kept))

    @cached_property
    def _above(self) -> str:
        return self._pass_through(self.top, self._hidden)

    def _pass_through(self, layers: Layers, values: str) -> str:
        for W, b, activation in layers.layers:
            weights = self._constant(W), self._constant(b)
            values = self._node("Gemm", values, *weights, transB=1)
            operator = operator_of(activation)
            if operator is not None:
                attributes: Any = {"axis": 1} if operator == "Softmax" else {}
                values = self._node(operator, values, **attributes)
        return values

    def _node(
        self, operator: str, *inputs: str, result: str = "", **attributes: Any
    ) -> str:
        """Add a node, and return the name of its result."""
        result = result or self.scope.get_unique_variable_name(operator.lower())
        name = self.scope.get_unique_operator_name(operator)
        domain = "ai.onnx.ml" if operator == "ZipMap" else ""
        results = [result]
        if operator == "TopK":
            results.append(self.scope.get_unique_variable_name("indices"))
        self.container.add_node(
            operator, list(inputs), results, op_domain=domain, name=name, **attributes
        )
        return result

    def _cast(self, values: str, dtype: Any) -> str:
        return self._node("Cast", values, to=tensor_type(dtype))

    def _constant(self, array: np.ndarray) -> str:
        """Add an array to the graph, and return its name."""
        from onnx.numpy_helper import from_array

        name = self.scope.get_unique_variable_name("constant")
        if array.dtype.kind == "U":
            content: Any = [text.encode() for text in array]
        else:
            content = from_array(np.ascontiguousarray(array).reshape(array.shape))
        kind = tensor_type(array.dtype)
        self.container.add_initializer(name, kind, array.shape, content)
        return name


def output_types(
    model: Any, inputs: Any, names: list[str], as_maps: bool
) -> list[tuple[str, Any]]:
    """Names and skl2onnx types of the outputs of a model."""
    from skl2onnx.common import data_types

    dtype = float_type(inputs)
    floats = data_types.FloatTensorType
    if dtype == np.float64:
        floats = data_types.DoubleTensorType
    below, top = model._onnx_layers(dtype)
    widths = {"codes": below.n_outputs, "score_samples": 1}
    types = {
        name: (name, floats([None, widths.get(name, top.n_outputs)])) for name in names
    }
    if "label" in names:
        kind, _ = labels_of(model.classes_)
        columns = [top.n_outputs] if model._multilabel else []
        label = getattr(data_types, kind)([None, *columns])
        types["label"] = ("output_label" if as_maps else "label", label)
    if as_maps:
        kind, _ = labels_of(model.classes_)
        value = data_types.FloatTensorType([])
        maps = data_types.DictionaryType(getattr(data_types, kind)([None]), value)
        types["probabilities"] = ("output_probability", data_types.SequenceType(maps))
    return [types[name] for name in names]


def float_type(inputs: Any) -> np.dtype:
    """Float64 if an input is float64, otherwise float32, as everywhere in skl2onnx."""
    from skl2onnx.common.data_types import DoubleTensorType

    double = any(isinstance(part.type, DoubleTensorType) for part in inputs)
    return np.dtype(np.float64 if double else np.float32)


def tensor_type(dtype: Any) -> int:
    """ONNX's number of a dtype."""
    from onnx import TensorProto
    from onnx.helper import np_dtype_to_tensor_dtype

    if np.dtype(dtype).kind == "U":
        return TensorProto.STRING
    return np_dtype_to_tensor_dtype(np.dtype(dtype))


def operator_of(activation: Any) -> str | None:
    """The ONNX operator of an activation; None if no operator is needed."""
    for name, operator in OPERATORS.items():
        if OUTPUTS[name] is activation:
            return operator
    raise NotImplementedError(
        f"{activation.__name__} has no operator of ONNX; those that have are "
        f"{list(OPERATORS)}."
    )


def labels_of(classes: np.ndarray) -> tuple[str, np.ndarray]:
    """The skl2onnx type of the labels, and the classes in a dtype of ONNX."""
    if all(isinstance(label, str) for label in classes):
        return "StringTensorType", classes.astype(str)
    if classes.dtype.kind in "biuf" and np.all(classes == classes.astype(np.int64)):
        return "Int64TensorType", classes.astype(np.int64)
    raise NotImplementedError(
        "An ONNX graph returns labels that are whole numbers or strings, but classes_ "
        f"is {classes.tolist()}; encode y with LabelEncoder before fit."
    )

"""ONNX graphs of fitted estimators compute in onnxruntime what the estimators do."""

import numpy as np
import pytest
from covering import every_pair
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import BernoulliRBM
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

import skae
from skae.core.activations import OUTPUTS
from skae.export.onnx_graph import OPERATORS

skl2onnx = pytest.importorskip("skl2onnx")
onnxruntime = pytest.importorskip("onnxruntime")

pytestmark = pytest.mark.filterwarnings("ignore:(Training|Fine-tuning) stopped")

IRIS, CLASSES = load_iris(return_X_y=True)
ROWS = MinMaxScaler(clip=True).fit_transform(IRIS)
TOLERANCE = {np.float32: 1e-5, np.float64: 1e-10}
SHORT = {"max_iter": 2, "random_state": 0}
dtypes = [np.float32, np.float64]
activations = ["logistic", "tanh", "relu", "identity"]

TARGETS = {
    "numbers": CLASSES * 3 - 1,
    "text": np.array(["setosa", "versicolor", "virginica"])[CLASSES],
    "objects": np.array(["setosa", "versicolor", "virginica"], object)[CLASSES],
    "whole floats": CLASSES / 1.0,
    "truth": CLASSES > 0,
    "several labels": np.column_stack([CLASSES > 0, CLASSES > 1, CLASSES < 2]) + 0,
}


def convert(model, X, opset=None, **options):
    return skl2onnx.to_onnx(model, X[:1], options=options or None, target_opset=opset)


def session_of(graph):
    return onnxruntime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )


def run(session, *inputs):
    """The outputs of a graph by name."""
    names = [given.name for given in session.get_inputs()]
    fed = dict(zip(names, inputs, strict=True))
    outputs = [output.name for output in session.get_outputs()]
    return dict(zip(outputs, session.run(None, fed), strict=True))


def assert_agree(graph, X, expected):
    """The outputs are these and no others, for any number of rows."""
    session = session_of(graph)
    for rows in (X, X[:1], X[:7]):
        found = run(session, rows)
        assert list(found) == list(expected)
        for name, method in expected.items():
            assert_close(found[name], method(rows), X.dtype.type)


def assert_close(found, expected, dtype):
    if found.ndim > expected.ndim:  # of one number a row, ONNX has a column
        expected = expected[:, np.newaxis]
    assert found.shape == expected.shape
    if found.dtype.kind != "f":
        assert (found == expected).all()
        return
    assert found.dtype == dtype
    tolerance = TOLERANCE[dtype]
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


def autoencoder(kind, **params):
    if kind is skae.StackedAutoencoder:
        params["hidden_layer_sizes"] = (5, 3)
        del params["tied_weights"]
    else:
        params["n_components"] = 6
    if params["activation"] in ("relu", "identity"):  # have neither bounds nor bends
        if kind is skae.SparseAutoencoder:
            params["sparsity"] = "l1"
        elif kind is skae.ContractiveAutoencoder:
            params["activation"] = "logistic"
    return kind(**params, **SHORT)


@every_pair(
    kind=[
        skae.SparseAutoencoder,
        skae.DenoisingAutoencoder,
        skae.ContractiveAutoencoder,
        skae.StackedAutoencoder,
    ],
    activation=activations,
    output=["identity", "logistic", "logistic with log_loss"],
    tied_weights=[False, True],
    scale_codes=[True, False],
    dtype=dtypes,
    opset=[None, 9],  # the version of ONNX: the newest, and one of 2019
)
def test_autoencoders(
    kind, activation, output, tied_weights, scale_codes, dtype, opset
):
    output, _, loss = output.partition(" with ")
    model = autoencoder(
        kind,
        activation=activation,
        output_activation=output,
        loss=loss or "squared_error",
        tied_weights=tied_weights,
        scale_codes=scale_codes,
    ).fit(ROWS)
    X = ROWS.astype(dtype)
    graph = convert(model, X, opset, reconstruction=True, score_samples=True)
    expected = {
        "codes": model.transform,
        "reconstruction": model.predict,
        "score_samples": model.score_samples,
    }
    assert_agree(graph, X, expected)
    assert_agree(convert(model, X), X, {"codes": model.transform})


@every_pair(
    selection=["batch", "row"],
    dtype=dtypes,
    shift=[0.0, 30.0],
)
def test_top_k(selection, dtype, shift):
    X = (ROWS + shift).astype(dtype)
    model = skae.TopKAutoencoder(
        16, n_nonzero_coefs=3, selection=selection, **SHORT
    ).fit(X)
    graph = convert(model, X, reconstruction=True, score_samples=True)
    expected = {
        "codes": lambda rows: model.transform(rows).toarray(),
        "reconstruction": model.predict,
        "score_samples": model.score_samples,
    }
    assert_agree(graph, X, expected)


@pytest.mark.parametrize("dtype", dtypes)
@pytest.mark.parametrize(
    "kind",
    [skae.SparseAutoencoder, skae.DenoisingAutoencoder, skae.StackedAutoencoder],
    ids=lambda kind: kind.__name__,
)
def test_missing_entries(kind, dtype):
    X = ROWS.astype(dtype)
    X[np.random.default_rng(0).uniform(size=X.shape) < 0.3] = np.nan
    X[3] = np.nan
    model = kind(3, **SHORT).fit(X)
    graph = convert(model, X, reconstruction=True, score_samples=True)
    expected = {
        "codes": model.transform,
        "reconstruction": model.predict,
        "score_samples": model.score_samples,
    }
    assert_agree(graph, X, expected)


@pytest.mark.parametrize("dtype", dtypes)
def test_missing_entries_of_a_classifier(dtype):
    X = ROWS.astype(dtype)
    X[::5, 1] = np.nan
    model = skae.StackedAutoencoderClassifier(3, **SHORT).fit(X, CLASSES)
    expected = {"label": model.predict, "probabilities": model.predict_proba}
    assert_agree(convert(model, X, zipmap=False), X, expected)


def test_what_a_search_over_a_path_has_chosen():
    search = skae.AutoencoderCV(SPARSE, cv=2).fit(ROWS)
    graph = convert(search, ROWS, reconstruction=True)
    expected = {"codes": search.transform, "reconstruction": search.predict}
    assert_agree(graph, ROWS, expected)
    stack = skae.StackedAutoencoderClassifier(3, **SHORT)
    search = skae.AutoencoderCV(stack, param_name="alpha", cv=2).fit(ROWS, CLASSES)
    expected = {"label": search.predict, "probabilities": search.predict_proba}
    assert_agree(convert(search, ROWS, zipmap=False), ROWS, expected)


@every_pair(
    targets=TARGETS,
    activation=activations,
    autoencoder=[None, "denoising", BernoulliRBM(n_iter=1, random_state=0)],
    scale_codes=[True, False],
    dtype=dtypes,
)
def test_classifiers(targets, activation, autoencoder, scale_codes, dtype):
    model = skae.StackedAutoencoderClassifier(
        (5, 3),
        activation=activation,
        autoencoder=autoencoder,
        scale_codes=scale_codes,
        **SHORT,
    ).fit(ROWS, TARGETS[targets])
    X = ROWS.astype(dtype)
    graph = convert(model, X, zipmap=False, codes=True)
    expected = {
        "label": model.predict,
        "probabilities": model.predict_proba,
        "codes": model.transform,
    }
    assert_agree(graph, X, expected)


@every_pair(n_targets=[0, 1, 3], activation=activations, dtype=dtypes)
def test_regressors(n_targets, activation, dtype):
    y = IRIS[:, 0] if n_targets == 0 else IRIS[:, :n_targets]
    model = skae.StackedAutoencoderRegressor(4, activation=activation, **SHORT)
    model.fit(ROWS, y)
    X = ROWS.astype(dtype)
    expected = {"predictions": model.predict, "codes": model.transform}
    assert_agree(convert(model, X, codes=True), X, expected)
    assert_agree(convert(model, X), X, {"predictions": model.predict})


def fitted(model, y=CLASSES):
    return clone(model).fit(ROWS, y)


SPARSE = skae.SparseAutoencoder(3, **SHORT)
STACK = skae.StackedAutoencoderClassifier((4, 3), **SHORT)
LOGISTIC = LogisticRegression()


@pytest.mark.parametrize(
    "model",
    [
        make_pipeline(StandardScaler(), SPARSE, LOGISTIC),
        make_pipeline(StandardScaler(), SPARSE, SPARSE, LOGISTIC),
        make_pipeline(StandardScaler(), STACK),
        make_pipeline(
            FeatureUnion([("codes", SPARSE), ("scaled", StandardScaler())]), LOGISTIC
        ),
        make_pipeline(ColumnTransformer([("codes", SPARSE, [0, 2, 3])]), LOGISTIC),
        GridSearchCV(STACK, {"alpha": [1e-3, 1e-2]}, cv=2),
        GridSearchCV(
            Pipeline([("reduce", SPARSE), ("classify", LOGISTIC)]),
            {"reduce__n_components": [2, 3]},
            cv=2,
        ),
    ],
    ids=lambda model: type(model).__name__,
)
def test_a_pipeline_around_one(model):
    model = fitted(model)
    expected = {"label": model.predict, "probabilities": model.predict_proba}
    assert_agree(convert(model, ROWS, zipmap=False), ROWS, expected)


def test_a_pipeline_that_ends_in_one():
    model = fitted(make_pipeline(StandardScaler(), SPARSE))
    assert_agree(convert(model, ROWS), ROWS, {"codes": model.transform})
    own = {id(model[-1]): {"codes": False, "reconstruction": True}}
    graph = skl2onnx.to_onnx(model, ROWS[:1], options=own)
    assert_agree(graph, ROWS, {"reconstruction": model.predict})


def test_a_classifier_inside_a_pipeline_gives_codes_if_told_to():
    model = fitted(make_pipeline(STACK, LOGISTIC))
    only_codes = {"codes": True, "label": False, "probabilities": False}
    options = {id(model[0]): only_codes, id(model[1]): {"zipmap": False}}
    graph = skl2onnx.to_onnx(model, ROWS[:1], options=options)
    expected = {"label": model.predict, "probabilities": model.predict_proba}
    assert_agree(graph, ROWS, expected)


@pytest.mark.parametrize("targets", ["numbers", "text"])
@pytest.mark.parametrize("dtype", dtypes)
def test_probabilities_are_maps_as_of_scikit_learns_classifiers(targets, dtype):
    model = fitted(STACK, TARGETS[targets])
    X, single = ROWS.astype(dtype), ROWS.astype(np.float32)
    found = run(session_of(convert(model, X)), X)
    # Its graph of double precision is none that onnxruntime takes.
    graph = convert(fitted(LOGISTIC, TARGETS[targets]), single)
    reference = run(session_of(graph), single)
    assert list(found) == list(reference)
    maps = found["output_probability"]
    assert maps[0].keys() == reference["output_probability"][0].keys()
    values = [[row[label] for label in model.classes_] for row in maps]
    np.testing.assert_allclose(values, model.predict_proba(X), rtol=1e-5, atol=1e-6)


def test_columns_may_be_inputs_of_their_own():
    from skl2onnx.common.data_types import FloatTensorType, Int64TensorType

    X = np.round(IRIS * 10)
    model = clone(SPARSE).fit(X)
    kinds = [FloatTensorType, Int64TensorType, Int64TensorType, FloatTensorType]
    types = [(f"x{i}", kind([None, 1])) for i, kind in enumerate(kinds)]
    graph = skl2onnx.to_onnx(model, initial_types=types)
    columns = [
        X[:, [i]].astype(np.float32 if kind is FloatTensorType else np.int64)
        for i, kind in enumerate(kinds)
    ]
    found = run(session_of(graph), *columns)["codes"]
    assert_close(found, model.transform(X.astype(np.float32)), np.float32)


def test_the_first_conversion_of_a_class_is_like_the_second():
    """The first one registers the class with skl2onnx."""

    class New(skae.StackedAutoencoderClassifier):
        pass

    model = fitted(New((4, 3), **SHORT))
    first, second = (convert(model, ROWS, codes=True) for _ in range(2))
    assert first.graph.output == second.graph.output
    assert [n.op_type for n in first.graph.node] == [
        n.op_type for n in second.graph.node
    ]


def test_every_activation_has_its_operator():
    assert OPERATORS.keys() == OUTPUTS.keys()


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (skae.SparseCoding(3, **SHORT), "found by optimisation"),
        (skae.AutoencoderImputer(SPARSE, n_estimators=2), "Convert one of estimators_"),
        (skae.ReconstructionOutlierDetector(SPARSE), "Convert estimator_"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_has_no_graph_says_so(model, why):
    with pytest.raises(NotImplementedError, match=why):
        convert(fitted(model), ROWS)


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="not fitted"):
        convert(SPARSE, ROWS)
    model = fitted(SPARSE)
    with pytest.raises(ValueError, match="no output; set at least one of"):
        convert(model, ROWS, codes=False)
    with pytest.raises(NameError, match="probabilities"):
        convert(model, ROWS, probabilities=True)

    class Mine(skae.StackedAutoencoderClassifier):
        pass

    halves = fitted(Mine((4, 3), **SHORT), TARGETS["numbers"])
    halves.classes_ = halves.classes_ / 2
    with pytest.raises(NotImplementedError, match="LabelEncoder"):
        convert(halves, ROWS)

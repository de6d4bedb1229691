"""scikit-learn's own checks of AutoencoderCV, which stands for its autoencoder."""

import pytest
from scikit_learn_checks import with_checks
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold, ShuffleSplit
from sklearn.utils import estimator_checks

from skae import (
    AutoencoderCV,
    ContractiveAutoencoder,
    DenoisingAutoencoder,
    SparseAutoencoder,
    SparseCoding,
    StackedAutoencoder,
    StackedAutoencoderClassifier,
    StackedAutoencoderRegressor,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore:(Training|Fine-tuning) stopped"),
    pytest.mark.filterwarnings("ignore:Training of SparseCoding reconstructs rows"),
    pytest.mark.filterwarnings("ignore:X (does not have valid|has) feature names"),
]

# Two values, one fold or two, few units and few iterations.
SHORT = {"max_iter": 2, "random_state": 0}
STACK = {"hidden_layer_sizes": (3,), "autoencoder": None, **SHORT}
FOLD = ShuffleSplit(1, test_size=0.3, random_state=0)


def search(estimator, param_name, first, second, cv=FOLD, **params):
    values = [first, second]
    if param_name != "corruption_level":
        values = [("scale", times) for times in values]
    return AutoencoderCV(
        estimator, param_name=param_name, param_range=values, cv=cv, **params
    )


# Every kind of autoencoder that has a parameter to search, and every parameter.
ESTIMATORS = [
    search(SparseAutoencoder(2, **SHORT), "sparsity_weight", 1.0, 0.1),
    search(
        DenoisingAutoencoder(2, redraw_every=None, **SHORT),
        *("corruption_level", 0.5, 0.1, KFold(2)),
    ),
    search(ContractiveAutoencoder(2, **SHORT), "contraction_weight", 1.0, 0.1),
    search(
        SparseCoding(2, code_max_iter=5, **SHORT | {"max_iter": 1}),
        "dictionary_penalty",
        1.0,
        0.1,
    ),
    search(StackedAutoencoder(**STACK), "alpha", 1.0, 0.1, KFold(2)),
    search(StackedAutoencoderClassifier(**STACK | {"max_iter": 4}), "alpha", 1.0, 0.1),
    search(StackedAutoencoderRegressor(**STACK | {"max_iter": 10}), "alpha", 1.0, 0.1),
    search(ContractiveAutoencoder(2, **SHORT), "alpha", 1.0, 0.1, downstream=Ridge()),
]
KEPT_PRIVATE = [
    "check_dataframe_column_names_consistency",
    "check_param_validation",
    "check_set_output_transform_pandas",
    "check_transformer_get_feature_names_out",
]


SPARSE = ("check_estimator_sparse_array", "check_estimator_sparse_matrix")


def expected_failures(search):
    if isinstance(search.estimator, StackedAutoencoderRegressor):
        return {}
    if isinstance(search.estimator, StackedAutoencoderClassifier):
        why = "rows of weight zero are in folds like any others, and y has one class"
        return {"check_classifiers_one_label_sample_weights": why}
    why = "predict must have the shape (n_samples,), and ours is of X's"
    return dict.fromkeys(SPARSE, why)


@with_checks(ESTIMATORS, expected_failed_checks=expected_failures)
def test_scikit_learns_checks(estimator, check, request):
    try:
        check(estimator)
    except Exception as error:
        if request.node.get_closest_marker("xfail"):
            # pytest would parse scikit-learn's long files for every line on the way.
            raise error.with_traceback(None) from None
        raise


@pytest.mark.parametrize("check", KEPT_PRIVATE)
def test_checks_scikit_learn_keeps_for_itself(check):
    getattr(estimator_checks, check)("AutoencoderCV", ESTIMATORS[0])

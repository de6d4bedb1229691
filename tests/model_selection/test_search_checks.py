"""scikit-learn's own checks of AutoencoderCV, which stands for its autoencoder."""

import pytest
from sklearn.model_selection import ShuffleSplit
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

from skae import AutoencoderCV, SparseAutoencoder, StackedAutoencoderClassifier

pytestmark = [
    pytest.mark.filterwarnings("ignore:(Training|Fine-tuning) stopped"),
    pytest.mark.filterwarnings("ignore:X (does not have valid|has) feature names"),
]

# One fold, two values, few iterations.
SHORT = {
    "param_range": [("scale", 1.0), ("scale", 0.1)],
    "cv": ShuffleSplit(1, test_size=0.3, random_state=0),
}
ESTIMATORS = [
    AutoencoderCV(SparseAutoencoder(2, max_iter=3, random_state=0), **SHORT),
    AutoencoderCV(
        StackedAutoencoderClassifier(
            (3,), autoencoder=None, max_iter=4, random_state=0
        ),
        param_name="alpha",
        **SHORT,
    ),
]
EXPECTED = {
    SparseAutoencoder: {
        name: "predict must have the shape (n_samples,), and ours is of X's"
        for name in ("check_estimator_sparse_array", "check_estimator_sparse_matrix")
    },
    StackedAutoencoderClassifier: {
        "check_classifiers_one_label_sample_weights": "rows of weight zero are drawn "
        "to folds like any others, and y is said to have one class"
    },
}
KEPT_PRIVATE = [
    "check_dataframe_column_names_consistency",
    "check_param_validation",
    "check_set_output_transform_pandas",
    "check_transformer_get_feature_names_out",
]


def expected_failures(search):
    return EXPECTED[type(search.estimator)]


@parametrize_with_checks(ESTIMATORS, expected_failed_checks=expected_failures)
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

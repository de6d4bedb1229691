"""Parts of training, each against what it is to do said in another way."""

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.stats import bernoulli
from sklearn.datasets import load_digits

from skae import DenoisingAutoencoder, SparseAutoencoder, StackedAutoencoderRegressor
from skae.core.coding import NoPooling
from skae.core.losses import LOSSES
from skae.engines.row_map import row_blocks
from skae.rows.data import Data
from skae.rows.source import source
from skae.training.dictionary import DictionaryObjective, Encoder
from skae.training.early_stopping import Watch, hold_out
from skae.training.problem import Settings

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X = load_digits().data[:200] / 16


def test_every_label_keeps_its_share_among_the_rows_held_out():
    labels = np.repeat(["few", "many", "some"], [10, 60, 30])
    data = Data(source(np.zeros((100, 2))))
    training, out = hold_out(data, 0.1, np.random.RandomState(0), labels)
    names, counts = np.unique(labels[out.weights > 0], return_counts=True)
    assert dict(zip(names, counts, strict=True)) == {"few": 1, "many": 6, "some": 3}
    np.testing.assert_array_equal(training.weights + out.weights, 1)


@pytest.mark.parametrize("kinds", [(np.asarray, csr_array), (csr_array, np.asarray)])
def test_a_piece_of_another_kind_starts_adam_afresh(kinds):
    """Of sparse rows the parameters lie in another order: so would Adam's means."""
    first, second = (kind(X) for kind in kinds)
    models = [
        SparseAutoencoder(5, solver="adam", shuffle=False, random_state=0)
        for _ in range(2)
    ]
    goes_on, afresh = (model.partial_fit(first) for model in models)
    goes_on.partial_fit(second)
    afresh.set_params(warm_start=True, max_iter=1).fit(second)
    for name in ("components_", "decoder_components_", "intercept_hidden_"):
        np.testing.assert_allclose(
            getattr(goes_on, name), getattr(afresh, name), rtol=1e-9, atol=1e-12
        )


@pytest.mark.parametrize("max_fun", range(1, 8))
def test_the_limit_of_evaluations_may_be_met_by_the_end_of_a_draw(max_fun):
    model = DenoisingAutoencoder(3, redraw_every=1, max_fun=max_fun, random_state=0)
    assert model.fit(X).n_iter_ < max_fun  # which needs more than one for each


@pytest.mark.parametrize("patience", [1, 3])
def test_a_score_that_stays_is_no_better(patience):
    settings = Settings(tol=0.0, n_iter_no_change=patience)
    watch = Watch(lambda theta: 0.5, settings)
    for _ in range(patience):
        watch.score(None, X[0])
        watch.judge()
    watch.score(None, X[0])
    with pytest.raises(StopIteration):
        watch.judge()
    assert watch.stopped


def test_patience_may_be_of_one_iteration():
    """With a tolerance of one no score, which one bounds, is better than the first."""
    options = {"solver": "adam", "early_stopping": True, "tol": 1.0}
    model = SparseAutoencoder(3, n_iter_no_change=1, random_state=0, **options)
    assert len(model.fit(X).validation_scores_) == 2


def test_shares_of_the_decay():
    stack = StackedAutoencoderRegressor(
        (4, 3), autoencoder=None, alpha=0.02, l1_ratio=0.25, max_iter=1, random_state=0
    ).fit(X, X[:, 20])
    assert stack.penalties_["squares"] == pytest.approx([0.015] * 3)
    assert stack.penalties_["absolute"] == pytest.approx([0.005] * 3)


def test_shares_of_the_decay_in_units_of_the_data():
    """α (l1 ‖W‖₁ + (1 − l1) ½‖W‖²) is the same number whatever the units of X and y."""
    fits = [
        StackedAutoencoderRegressor(
            (4, 3), autoencoder=None, l1_ratio=0.25, max_iter=1, random_state=0
        ).fit(x * X, y * X[:, 20])
        for x, y in ((1, 1), (8, 1), (1, 4))
    ]
    squares, absolute = (
        np.array([fit.penalties_[name] for fit in fits])
        for name in ("squares", "absolute")
    )
    np.testing.assert_allclose(squares[1] / squares[0], [64, 1, 1])
    np.testing.assert_allclose(absolute[1] / absolute[0], [8, 1, 1])
    np.testing.assert_allclose(squares[2] / squares[0], [16, 16, 1])
    np.testing.assert_allclose(absolute[2] / absolute[0], [16, 16, 4])


@pytest.mark.parametrize("n_components", [1, 50, 2000])
def test_blocks_of_rows_are_one_or_even_in_number(n_components):
    for n_samples in (1, 100, 127, 2049, 5000, 20_001):
        blocks = row_blocks(n_samples, n_components)
        assert len(blocks) == 1 or (len(blocks) % 2 == 0 and n_samples > 128)
        assert len(blocks) <= -(-n_samples // 128) + 1  # 128 rows are enough


def test_log_loss_of_the_means_is_the_entropy_of_coins():
    p = np.array([0.1, 0.5, 0.8])
    assert LOSSES["log_loss"].at_mean(p, 0.0) == pytest.approx(
        bernoulli(p).entropy().sum(), rel=1e-9
    )


def test_length_of_the_first_atoms():
    """Where γ decides, it is size / sqrt(2 n γ); where λ does, λ sqrt(d) / size."""
    rng = np.random.RandomState(0)
    for shape, penalty, weight, length in (
        ((8, 3), 1.0, 0.0, 2 / 4),
        ((2, 3), 0.25, 0.0, 2.0),
        ((2, 9), 0.25, 5.0, 7.5),
    ):
        constants = weight, penalty, 1e-5, NoPooling(shape[0])
        objective = DictionaryObjective(shape, np.dtype(float), *constants, 10)
        A = objective.start(rng, 2.0).reshape(shape)
        np.testing.assert_allclose(np.linalg.norm(A, axis=1), length)


def test_a_code_costs_as_much_as_its_products():
    """Which are with the dictionary: twice its units or columns cost twice as much."""
    one, units, columns = (
        Encoder(
            np.ones(shape),
            DictionaryObjective(
                shape, np.dtype(float), 1.0, 1.0, 1e-5, NoPooling(shape[0]), 10
            ),
        ).multiplications_per_row
        for shape in ((3, 5), (6, 5), (3, 10))
    )
    assert units == columns == 2 * one

"""partial_fit: data that come in pieces, also pieces unlike the others."""

import pickle

import numpy as np
import pytest
from autoencoders import FITTED, X, assert_same_bits, autoencoder, each_kind
from sklearn.base import clone

from skae import SparseAutoencoder

pytestmark = pytest.mark.filterwarnings("ignore:Training stopped")


@each_kind
def test_partial_fit_over_pieces_lowers_the_loss(kind):
    model = autoencoder(kind, learning_rate_init=1e-2)
    scores = []
    for _ in range(5):
        for piece in np.array_split(X, 4):
            assert model.partial_fit(piece) is model
        scores.append(model.score(X))
    assert scores == sorted(scores)
    assert scores[-1] > 0.3
    assert model.n_iter_ == len(model.loss_curve_) == 1


@each_kind
def test_partial_fit_of_all_rows_is_the_first_epoch_of_fit(kind):
    whole = autoencoder(kind, max_iter=1).fit(X)
    assert_same_bits(whole, autoencoder(kind).partial_fit(X))


def test_partial_fit_again_is_the_second_epoch_of_fit():
    """Order of rows, Adam's means and mean code go on; the weights to rounding."""
    whole = autoencoder(max_iter=2).fit(X)
    pieces = autoencoder().partial_fit(X).partial_fit(X)
    assert pieces.loss_ == pytest.approx(whole.loss_, rel=1e-9)
    for name in FITTED[:-1]:
        np.testing.assert_allclose(
            getattr(pieces, name), getattr(whole, name), rtol=1e-7, atol=1e-9
        )


@each_kind
def test_partial_fit_goes_on_after_fit(kind):
    """From its weights and in its units; Adam's averages begin anew."""
    pieces = autoencoder(kind, max_iter=1).fit(X).partial_fit(X)
    whole = autoencoder(kind, max_iter=1, warm_start=True).fit(X).fit(X)
    assert_same_bits(pieces, whole)
    assert autoencoder(kind, max_iter=1).fit(X)._state is None
    other_units = autoencoder(kind, max_iter=1).fit(X).partial_fit(100 * X)
    assert other_units.penalties_ == pieces.penalties_


@each_kind
def test_pickles_and_continues(kind):
    model = autoencoder(kind).partial_fit(X)
    back = pickle.loads(pickle.dumps(model))
    assert_same_bits(model.partial_fit(X[:300]), back.partial_fit(X[:300]))


@pytest.mark.parametrize("tied_weights", [False, True])
def test_partial_fit_after_lbfgs_starts_from_its_weights(tied_weights):
    model = autoencoder(solver="lbfgs", max_iter=200, tied_weights=tied_weights)
    model.fit(X)
    score = model.score(X)
    model.set_params(solver="adam", learning_rate_init=1e-6).partial_fit(X)
    assert model.score(X) == pytest.approx(score, abs=1e-3)


def test_partial_fit_needs_adam():
    model = autoencoder(solver="lbfgs")
    assert not hasattr(model, "partial_fit")
    with pytest.raises(AttributeError, match="partial_fit") as error:
        model.partial_fit(X)
    reason = str(error.value)
    assert "solver='lbfgs'" in reason and "set_params(solver='adam')" in reason


def test_partial_fit_with_other_features():
    model = autoencoder().partial_fit(X)
    before = model.components_.copy()
    with pytest.raises(ValueError, match=r"X has 5 features, but .* is expecting 64"):
        model.partial_fit(X[:, :5])
    np.testing.assert_array_equal(model.components_, before)


def test_the_first_piece_sets_the_scale():
    model = autoencoder().partial_fit(X)
    penalties, weight = model.penalties_, model.sparsity_weight_
    model.partial_fit(2 * X)
    assert (model.penalties_, model.sparsity_weight_) == (penalties, weight)
    s2 = X.var(axis=0).mean()
    assert penalties["squares"] == pytest.approx([3e-3 * s2**2, 1e-4])
    # A refusal leaves it as it is, and a fit sets it anew.
    with pytest.raises(ValueError, match="too large"):
        clone(model).fit(1e150 * X)
    with pytest.raises(ValueError, match="too large"):
        model.fit(1e150 * X)
    model.partial_fit(X)
    assert model.sparsity_weight_ == weight
    assert model.fit(2 * X).sparsity_weight_ == pytest.approx(4 * weight)
    assert model.partial_fit(X).sparsity_weight_ == pytest.approx(4 * weight)


def test_a_first_piece_that_is_refused_sets_nothing():
    model = autoencoder(learning_rate_init=1e200)
    with pytest.raises(ValueError, match="learning_rate_init"):
        model.partial_fit(1e3 * X)
    model.set_params(learning_rate_init=1e-3).partial_fit(X)
    assert_same_bits(model, autoencoder(learning_rate_init=1e-3).partial_fit(X))


def test_a_lower_learning_rate_counts_from_the_next_piece():
    model = autoencoder().partial_fit(X)
    before = model.components_.copy()
    model.set_params(learning_rate_init=1e-12).partial_fit(X)
    np.testing.assert_allclose(model.components_, before, atol=1e-9)


def test_pieces_of_other_dtype_and_tied_weights():
    model = autoencoder().partial_fit(X.astype(np.float32)).partial_fit(X)
    assert model.components_.dtype == np.float64
    assert np.isfinite(model.components_).all()
    model.partial_fit(X.astype(np.float32))
    assert model.components_.dtype == np.float32
    model.set_params(tied_weights=True).partial_fit(X)  # Adam's state is another's
    assert model.decoder_components_ is model.components_


def test_partial_fit_holds_nothing_out():
    one = autoencoder(early_stopping=True).partial_fit(X[:1])
    assert one.validation_scores_ is None


def test_a_refused_piece_leaves_no_trace():
    kept, refused = autoencoder().partial_fit(X), autoencoder().partial_fit(X)
    for scale in (1e110, 1e200):
        with pytest.raises(ValueError, match="scale X"):
            refused.partial_fit(X * scale)
    assert_same_bits(kept.partial_fit(X), refused.partial_fit(X))


def test_a_first_piece_without_variation_sets_no_scale():
    """That of all rows so far does."""
    model = autoencoder().partial_fit(X[:1]).partial_fit(X)
    whole = autoencoder().partial_fit(np.vstack([X[:1], X]))
    weight = pytest.approx(whole.sparsity_weight_, rel=1e-12)
    assert model.sparsity_weight_ == weight
    # And that is then the scale, whatever comes.
    assert model.partial_fit(100 * X).sparsity_weight_ == weight


def test_single_rows_teach_the_encoder():
    """Of two like columns one code holds nearly all."""
    rows = np.random.default_rng(0).standard_normal((300, 1)) * [1.0, 1.0]
    model = SparseAutoencoder(
        1, activation="tanh", sparsity=None, solver="adam", random_state=0
    )
    for row in rows:
        model.partial_fit(row[np.newaxis])
    assert model.score(rows) > 0.5


def test_a_mean_code_does_not_outlive_its_units():
    """Codes of tanh units lie in (-1, 1), those of logistic ones in (0, 1)."""
    rows = np.random.default_rng(0).standard_normal((50, 4))
    model = SparseAutoencoder(3, activation="tanh", solver="adam", random_state=0)
    model.partial_fit(rows).set_params(activation="logistic").partial_fit(rows)
    assert (model._state["mean_statistics"] > 0).all()

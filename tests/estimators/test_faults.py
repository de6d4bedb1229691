"""A fit that is none says so, whatever its solver found."""

import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from autoencoders import X, autoencoder, each_kind
from sklearn.exceptions import ConvergenceWarning

from skae import (
    DenoisingAutoencoder,
    SparseAutoencoder,
    SparseCoding,
    StackedAutoencoder,
    StackedAutoencoderRegressor,
)
from skae.engines.batches import BatchEngine

pytestmark = pytest.mark.filterwarnings("ignore:Training stopped")

TOO_LONG = pytest.warns(ConvergenceWarning, match="has diverged.*learning_rate_init=")


@each_kind
def test_steps_too_long_are_warned_of(kind):
    """Constant predictions leave a score of 0, this fit one far below."""
    model = autoencoder(kind, max_iter=3, learning_rate_init=1e6)
    with TOO_LONG:
        model.fit(X)
    assert model.score(X) < -1
    with TOO_LONG:
        autoencoder(kind, learning_rate_init=1e6).partial_fit(X)


@pytest.mark.parametrize("rate", [10.0, 1e3, 1e6])
def test_steps_too_long_of_a_network_are_warned_of(rate):
    # With more decay weights do not go as far.
    model = StackedAutoencoder(
        (8, 4), solver="adam", alpha=("scale", 0.1), max_iter=20, random_state=0
    )
    with TOO_LONG:
        model.set_params(learning_rate_init=rate).fit(X)


@each_kind
def test_steps_too_long_in_a_layer_are_warned_of(kind):
    layer = autoencoder(kind, max_iter=3, learning_rate_init=1e6)
    with TOO_LONG, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Fine-tuning stopped")
        StackedAutoencoder((4,), autoencoder=layer, max_iter=1).fit(X)


@pytest.mark.parametrize(
    "model",
    [
        # Their losses are high on the way: dropout and emphasis count in them.
        StackedAutoencoder((8, 8), autoencoder=None, hidden_dropout=0.9),
        DenoisingAutoencoder(8, emphasis=(100.0, 1.0)),
    ],
)
def test_a_high_loss_is_no_divergence(model):
    model.set_params(solver="adam", max_iter=3, random_state=0)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", ".*diverged")
        warnings.filterwarnings("ignore", "Fine-tuning stopped")
        model.fit(X)


def test_ctrl_c_ends_all_starts_of_a_fit_that_has_diverged(monkeypatch):
    model = autoencoder(n_init=3, max_iter=3, learning_rate_init=1e6)
    calls, run = [], BatchEngine.__call__

    def interrupted(*arguments):
        calls.append(None)
        if len(calls) == n_batches + 1:
            raise KeyboardInterrupt
        return run(*arguments)

    n_batches = -(-len(X) // model.batch_size)
    monkeypatch.setattr(BatchEngine, "__call__", interrupted)
    with TOO_LONG, pytest.warns(UserWarning, match="interrupted by user"):
        model.fit(X)
    assert len(calls) == n_batches + 1


def test_a_fit_that_goes_on_from_a_minimum_is_none_of_these():
    model = SparseAutoencoder(8, tol=1e-2, sparsity=None, random_state=0).fit(X)
    assert model.score(X) > 0.1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.set_params(warm_start=True).fit(X)


def test_constant_targets_are_learnt_at_once():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = StackedAutoencoderRegressor(4, random_state=0).fit(
            X, np.full(len(X), 3)
        )
    np.testing.assert_allclose(model.predict(X), 3, atol=1e-3)


def test_many_columns_do_not_pass_for_convergence_with_noise_either():
    """Entries of the gradient are small where they are many: so is what ends a run."""
    rng = np.random.default_rng(0)
    wide = rng.standard_normal((60, 3)) @ rng.standard_normal((3, 1500))
    model = DenoisingAutoencoder(
        8, corruption_level=0.1, tol=1e-3, max_iter=40, random_state=0
    )
    model.fit(wide)
    assert model.n_iter_ > 3
    assert model.score(wide) > 0.2


def test_fits_in_threads_leave_the_filters_of_warnings_as_they_were():
    """Pre-training hides no warnings, so there is nothing that threads could mix up."""

    def fit(seed):
        model = StackedAutoencoder((4, 3), max_iter=2, random_state=seed)
        for _ in range(5):
            model.fit(X[:60])

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Fine-tuning stopped")
        before = warnings.filters.copy()
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(fit, range(3)))
        assert warnings.filters == before


CENTRED = X[:40, 18:23] - X[:40, 18:23].mean(axis=0)
LEARNT_NOTHING = r"has learnt nothing.*{}"


def silenced(**params):
    """An autoencoder whose codes a penalty holds at zero, whatever trains it."""
    return SparseAutoencoder(
        3,
        activation="relu",
        sparsity="l1",
        sparsity_weight=1e3,
        random_state=0,
        **params,
    )


@pytest.mark.parametrize(
    "model",
    [
        silenced(),
        silenced(solver="adam", max_iter=400, learning_rate="linear"),
        SparseCoding(4, sparsity_weight=1e4, random_state=0),
    ],
)
def test_a_fit_that_has_learnt_nothing_names_what_to_turn(model):
    with pytest.warns(
        ConvergenceWarning, match=LEARNT_NOTHING.format("sparsity_weight")
    ):
        model.fit(CENTRED)
    assert abs(model.transform(CENTRED)).max() < 1e-2


@pytest.mark.parametrize("missing", [False, True])
def test_nothing_learnt_from_zeros_and_ones(missing):
    """Of which nothing of a log loss is entropy, in float32 either."""
    rows = (X[:60, 18:26] > 0.5).astype(np.float32)
    if missing:
        rows[::7, 2] = np.nan
    model = silenced(output_activation="logistic", loss="log_loss")
    with pytest.warns(ConvergenceWarning, match=LEARNT_NOTHING.format("weight")):
        model.fit(rows)


def test_what_cannot_be_taken_from_a_log_loss_does_not_count():
    """Of codes about ½ nearly all of it is their entropy."""
    rng = np.random.default_rng(0)
    codes = 0.5 + 0.03 * np.tanh(rng.normal(size=(200, 2)) @ rng.normal(size=(2, 12)))
    model = DenoisingAutoencoder(
        6,
        corruption_level=0.0,
        redraw_every=None,
        tol=1e-6,
        random_state=0,
        output_activation="logistic",
        loss="log_loss",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(codes)
    assert model.score(codes) > 0.5
    # Constant predictions lose hardly more than these do.
    p = codes.mean(axis=0)
    constant = -(p * np.log(p) + (1 - p) * np.log(1 - p)).sum()
    assert model.loss_terms_["reconstruction"] > 0.99 * constant


def test_a_stack_that_predicts_a_constant_is_warned_of():
    with pytest.warns(ConvergenceWarning, match=LEARNT_NOTHING.format("alpha")):
        model = StackedAutoencoderRegressor(
            3, autoencoder=None, alpha=1e6, random_state=0
        ).fit(CENTRED, X[:40, 20])
    assert np.ptp(model.predict(CENTRED)) < 1e-3 * np.ptp(X[:40, 20])


def test_pieces_that_teach_nothing_are_warned_of_in_time():
    model = silenced(solver="adam", learning_rate_init=0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.partial_fit(X[:40, :5])  # nobody learns in one step
    with pytest.warns(ConvergenceWarning, match=LEARNT_NOTHING.format("")):
        for _ in range(50):
            model.partial_fit(X[:40, :5])


def test_l1_leaves_codes_of_wide_data_alive():
    """One factor in 600 columns: its variance is all but a hundredth."""
    rng = np.random.default_rng(0)
    wide = rng.standard_normal((40, 1)) * rng.choice([-1.0, 1.0], 600)
    wide += 0.1 * rng.standard_normal(wide.shape)
    model = SparseAutoencoder(2, activation="identity", sparsity="l1", random_state=0)
    assert model.fit(wide).score(wide) > 0.8

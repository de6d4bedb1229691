"""solver="adam", partial_fit and early stopping, for all autoencoders."""

import pickle
import re
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning

from skae import ContractiveAutoencoder, DenoisingAutoencoder, SparseAutoencoder
from skae.engines.batches import BatchEngine
from skae.engines.threads import ThreadEngine
from skae.estimators import _base

pytestmark = pytest.mark.filterwarnings("ignore:Training stopped")

X = load_digits().data[:600] / 16
FITTED = [
    "components_",
    "intercept_hidden_",
    "decoder_components_",
    "intercept_visible_",
    "mean_activation_",
    "loss_curve_",
]
KINDS = [SparseAutoencoder, DenoisingAutoencoder, ContractiveAutoencoder]
each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
each_solver = pytest.mark.parametrize("solver", ["lbfgs", "adam"])


def autoencoder(kind=SparseAutoencoder, **params):
    defaults = {"n_components": 8, "solver": "adam", "max_iter": 5, "batch_size": 50}
    return kind(**{**defaults, "random_state": 0, **params})


def assert_same_bits(one, other, names=FITTED):
    for name in names:
        assert getattr(one, name).tobytes() == getattr(other, name).tobytes(), name


def loss_of_means(data):
    return 0.5 * data.var(axis=0).sum()


# -- fit -------------------------------------------------------------------------


@each_kind
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_fits_in_every_epoch_lower_and_keeps_dtype(kind, dtype):
    model = autoencoder(kind, max_iter=40, learning_rate_init=1e-2)
    model.fit(X.astype(dtype))
    assert model.components_.dtype == model.mean_activation_.dtype == dtype
    assert model.n_iter_ == len(model.loss_curve_) == 40
    assert model.loss_curve_[-1] < model.loss_curve_[9] < model.loss_curve_[0]
    assert model.loss_ == model.loss_curve_[-1]
    assert sum(model.loss_terms_.values()) == pytest.approx(model.loss_, rel=1e-9)
    assert model.validation_scores_ is None
    assert model.score(X) > 0.3


@each_kind
def test_same_seed_same_bits(kind):
    fits = [autoencoder(kind, random_state=seed).fit(X) for seed in (0, 0, 1)]
    assert_same_bits(fits[0], fits[1])
    assert (fits[0].components_ != fits[2].components_).any()


def test_n_jobs_changes_no_bit():
    alone = autoencoder(n_init=2, max_iter=2).fit(X)
    assert_same_bits(alone, autoencoder(n_init=2, max_iter=2, n_jobs=2).fit(X))


@pytest.mark.parametrize(
    "activation",
    # Tied weights have one scale, which cannot suit all data.
    ["logistic", "tanh", "relu", "identity"],
)
@pytest.mark.parametrize("factor", [1e-8, 1.0, 1e3, 1e8])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_data_of_any_scale_train_alike(activation, factor, dtype):
    """float32 is near float64 even at the extremes."""
    model = autoencoder(activation=activation, alpha=0.0, sparsity=None)
    plain = clone(model).fit(X)
    scaled = model.fit((factor * X).astype(dtype))
    tolerance = 1e-3 if dtype == np.float32 else 1e-9
    np.testing.assert_allclose(
        scaled.loss_curve_ / factor**2, plain.loss_curve_, rtol=tolerance
    )
    np.testing.assert_allclose(
        scaled.predict((factor * X).astype(dtype)) / factor,
        plain.predict(X),
        atol=10 * tolerance,
    )


@each_kind
def test_shifted_and_scaled_data_train_alike(kind):
    options = {"alpha": 0.0}
    if kind is DenoisingAutoencoder:
        options["corruption"] = "gaussian"  # masking sets to 0, which is no place
        options["corruption_level"] = 0.2
    plain = autoencoder(kind, **options).fit(X)
    if kind is DenoisingAutoencoder:
        options["corruption_level"] *= 1e3
    moved = autoencoder(kind, **options).fit(1e3 * X + 1e4)
    np.testing.assert_allclose(moved.loss_curve_ / 1e6, plain.loss_curve_, rtol=1e-6)
    np.testing.assert_allclose(
        (moved.predict(1e3 * X + 1e4) - 1e4) / 1e3, plain.predict(X), atol=1e-6
    )


@each_kind
def test_polishing_by_lbfgs_goes_on_from_adams_weights(kind):
    model = autoencoder(kind, warm_start=True, max_iter=20, learning_rate_init=1e-2)
    model.fit(X)
    before, score = model.loss_, model.score(X)
    model.set_params(solver="lbfgs", max_iter=100).fit(X)
    # The first iterate is no worse than the start.
    assert model.loss_curve_[0] < 1.05 * before
    assert model.loss_ < 0.9 * before
    assert model.score(X) > score


@pytest.mark.parametrize("shuffle", [False, True])
def test_without_noise_an_epoch_of_one_batch_meets_the_whole_objective(shuffle):
    """The first value is J at the start: that of L-BFGS's first evaluation."""
    losses = []
    original = ThreadEngine.__call__

    def recorded(engine, theta):
        result = original(engine, theta)
        losses.append(result[0])
        return result

    model = autoencoder(batch_size=10**6, max_iter=1, shuffle=shuffle)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ThreadEngine, "__call__", recorded)
        clone(model).set_params(solver="lbfgs").fit(X)
    model.fit(X)
    assert model.loss_curve_[0] == pytest.approx(losses[0], rel=1e-10)


def test_shuffle_false_takes_rows_in_their_order(monkeypatch):
    seen = []
    original = BatchEngine.__call__

    def recorded(engine, theta, data, index, weight_sum):
        seen.append(index)
        return original(engine, theta, data, index, weight_sum)

    monkeypatch.setattr(BatchEngine, "__call__", recorded)
    autoencoder(shuffle=False, max_iter=2).fit(X)
    np.testing.assert_array_equal(np.concatenate(seen), np.tile(np.arange(600), 2))
    assert max(map(len, seen)) == 50


@pytest.mark.parametrize(
    ("given", "n_rows", "largest"), [("auto", 600, 200), (64, 600, 60), (999, 30, 30)]
)
def test_batch_size(monkeypatch, given, n_rows, largest):
    sizes = []
    original = BatchEngine.__call__

    def recorded(engine, theta, data, index, weight_sum):
        sizes.append(len(index))
        return original(engine, theta, data, index, weight_sum)

    monkeypatch.setattr(BatchEngine, "__call__", recorded)
    autoencoder(batch_size=given, max_iter=1).fit(X[:n_rows])
    assert max(sizes) == largest and sum(sizes) == n_rows


@each_kind
@pytest.mark.parametrize("early_stopping", [False, True])
def test_weight_zero_is_absence(kind, early_stopping):
    weights = np.random.default_rng(0).integers(0, 3, len(X)).astype(float)
    model = autoencoder(kind, early_stopping=early_stopping)
    there = weights > 0
    weighted = clone(model).fit(X, sample_weight=weights)
    absent = clone(model).fit(X[there], sample_weight=weights[there])
    assert_same_bits(weighted, absent)


def test_only_ratios_of_weights_matter():
    weights = np.random.default_rng(0).uniform(1, 3, len(X))
    one = autoencoder().fit(X, sample_weight=weights)
    other = autoencoder().fit(X, sample_weight=1024 * weights)
    assert_same_bits(one, other)


def test_converges_when_the_loss_stands_still():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = autoencoder(max_iter=500, tol=0.1, n_iter_no_change=3).fit(X)
    assert model.n_iter_ < 500
    # In units of the loss of the column means, and in the terms of the docstring.
    lowest = np.minimum.accumulate(model.loss_curve_) / loss_of_means(X)
    fell = np.r_[True, model.loss_curve_[1:] / loss_of_means(X) < lowest[:-1] - 0.1]
    assert not fell[-3:].any()
    stale = [not any(fell[i - 2 : i + 1]) for i in range(2, len(fell))]
    assert stale.index(True) == len(stale) - 1  # and not an epoch earlier


def test_warns_at_max_iter():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        autoencoder(max_iter=2).fit(X)
    (warning,) = caught
    assert warning.category is ConvergenceWarning
    assert "max_iter=2" in str(warning.message)


@pytest.mark.parametrize(("dtype", "rate"), [(np.float32, 1e25), (np.float64, 1e200)])
@each_kind
def test_absurd_learning_rate_is_an_error(kind, dtype, rate):
    model = autoencoder(kind, learning_rate_init=rate)
    with pytest.raises(ValueError, match=r"solver='adam'; lower learning_rate_init"):
        model.fit(X.astype(dtype))
    assert not hasattr(model, "components_")


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("solver", "sgd"),
        ("batch_size", 0),
        ("batch_size", 2.5),
        ("batch_size", "all"),
        ("learning_rate_init", 0),
        ("learning_rate_init", -1e-3),
        ("shuffle", "yes"),
        ("early_stopping", 2),
        ("validation_fraction", 0.0),
        ("validation_fraction", 1.0),
        ("n_iter_no_change", 0),
        ("n_iter_no_change", None),
    ],
)
def test_bad_values_are_named(parameter, value):
    model = autoencoder(**{parameter: value})
    with pytest.raises(ValueError, match=f"'{parameter}' parameter"):
        model.fit(X)
    if parameter != "solver":
        with pytest.raises(ValueError, match=f"'{parameter}' parameter"):
            model.partial_fit(X)


LINE = re.compile(
    r"epoch +(\d+)  loss (\S+)(?:  held-out score (\S+))?  evaluations +(\d+) +(\S+) s"
)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_verbose_prints_epochs(capsys, early_stopping):
    model = autoencoder(verbose=2, early_stopping=early_stopping).fit(X)
    *lines, last = capsys.readouterr().out.splitlines()
    rows = [LINE.fullmatch(line).groups() for line in lines]
    assert [int(row[0]) for row in rows] == [1, 2, 3, 4, 5]
    losses = [float(row[1]) for row in rows]
    np.testing.assert_allclose(losses, model.loss_curve_, rtol=1e-5)
    if early_stopping:
        scores = [float(row[2]) for row in rows]
        np.testing.assert_allclose(scores, model.validation_scores_, atol=1e-4)
    else:
        assert all(row[2] is None for row in rows)
    assert last.startswith("stopped: the limit of iterations, max_iter")


# -- partial_fit -----------------------------------------------------------------


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
    two = autoencoder(kind, max_iter=2).fit(X)
    one = autoencoder(kind, max_iter=1).fit(X)
    one.partial_fit(X)
    rest = {"atol": 1e-9, "rtol": 1e-7}
    if kind is DenoisingAutoencoder:
        # The noise's seed is drawn anew by an integer random_state: the same one.
        assert one.loss_ == pytest.approx(two.loss_, rel=1e-9)
    np.testing.assert_allclose(one.components_, two.components_, **rest)


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
    reason = str(error.value.__cause__)
    assert "solver='lbfgs'" in reason and "set_params(solver='adam')" in reason


def test_partial_fit_with_other_features():
    model = autoencoder().partial_fit(X)
    before = model.components_.copy()
    with pytest.raises(ValueError, match=r"X has 5 features, but .* is expecting 64"):
        model.partial_fit(X[:, :5])
    np.testing.assert_array_equal(model.components_, before)


def test_the_first_piece_sets_the_scale():
    model = autoencoder().partial_fit(X)
    alpha, weight = model.alpha_, model.sparsity_weight_
    model.partial_fit(2 * X)
    assert (model.alpha_, model.sparsity_weight_) == (alpha, weight)
    assert alpha == pytest.approx(min(1e-3, 0.03 * X.var(axis=0).mean() ** 2))
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


# -- early stopping --------------------------------------------------------------


def held_out_score(model, held_out, trained_on):
    """1 − loss/loss of the training rows' column means, by hand, without noise."""
    errors = ((model.predict(held_out) - held_out) ** 2).sum(axis=1)
    return 1 - 0.5 * errors.mean() / loss_of_means(trained_on)


def parted(model, data, monkeypatch):
    """Fit; which rows were held out, and which trained on."""
    from skae.estimators import _base

    out = []
    original = _base.hold_out

    def recorded(given, *args, **kwargs):
        training, held_out = original(given, *args, **kwargs)
        out.append(np.flatnonzero(training.weights == 0))
        np.testing.assert_array_equal(np.flatnonzero(held_out.weights), out[0])
        assert held_out.X is training.X is given.X  # 20 GB, perhaps
        return training, held_out

    monkeypatch.setattr(_base, "hold_out", recorded)
    model.fit(data)
    monkeypatch.undo()
    (rows,) = out
    return rows, np.setdiff1d(np.arange(len(data)), rows)


@each_solver
@pytest.mark.parametrize("kind", [SparseAutoencoder, ContractiveAutoencoder])
def test_early_stopping_keeps_the_best_iterate(kind, solver, monkeypatch):
    few = np.random.default_rng(0).standard_normal((80, 30))  # nothing general in it
    model = autoencoder(
        kind,
        n_components=15,
        solver=solver,
        alpha=0.0,
        max_iter=400,
        learning_rate_init=1e-2,
        early_stopping=True,
        validation_fraction=0.25,
        tol=1e-4,
        batch_size=10,
        n_iter_no_change=5,
    )
    if kind is ContractiveAutoencoder:
        model.set_params(contraction_weight=0.0)
    else:
        model.set_params(sparsity=None)
    out, rest = parted(model, few, monkeypatch)
    assert len(out) == 20
    scores = model.validation_scores_
    assert len(scores) == model.n_iter_ == len(model.loss_curve_) < 400
    best = int(np.argmax(scores))
    assert best < len(scores) - 1  # or the last would have done
    again = held_out_score(model, few[out], few[rest])
    assert again == pytest.approx(scores.max(), rel=1e-6)
    assert model.loss_ == model.loss_curve_[best]


@each_solver
def test_early_stopping_stops_when_scores_are_stale(solver):
    patience, tol = 4, 1e-3
    model = autoencoder(
        solver=solver,
        early_stopping=True,
        max_iter=1000,
        tol=tol,
        n_iter_no_change=patience,
        learning_rate_init=1e-2,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(X)
    scores = model.validation_scores_
    highest = np.maximum.accumulate(np.r_[-np.inf, scores[:-1]])
    rose = scores > highest + tol
    assert not rose[-patience:].any()
    runs = [not rose[i - patience : i].any() for i in range(patience, len(rose) + 1)]
    if solver == "adam" or runs[-1]:  # L-BFGS may have converged before
        assert runs.index(True) == len(runs) - 1


@each_kind
@each_solver
def test_held_out_rows_do_not_influence_training(kind, solver, monkeypatch):
    """Other values there: other scores, the same weights, as none stops early."""
    model = autoencoder(kind, solver=solver, early_stopping=True, tol=0.0)
    model.set_params(n_iter_no_change=100)
    out, _ = parted(model, X, monkeypatch)
    changed = X.copy()
    changed[out] *= 0.9
    other = clone(model).fit(changed)
    assert (model.validation_scores_ != other.validation_scores_).any()
    both_at_the_end = [np.argmax(m.validation_scores_) for m in (model, other)]
    assert both_at_the_end == [model.n_iter_ - 1] * 2
    assert_same_bits(model, other)


def test_held_out_rows_have_no_part_in_ranges(monkeypatch):
    model = autoencoder(
        DenoisingAutoencoder,
        corruption="salt_and_pepper",
        early_stopping=True,
        n_iter_no_change=100,
    )
    out, rest = parted(model, X, monkeypatch)
    changed = X.copy()
    changed[out] += 7
    model.fit(changed)
    np.testing.assert_array_equal(
        model.feature_range_, [X[rest].min(axis=0), X[rest].max(axis=0)]
    )


@each_solver
def test_the_same_rows_are_held_out_by_the_same_seed(solver):
    model = autoencoder(solver=solver, early_stopping=True)
    assert_same_bits(clone(model).fit(X), clone(model).fit(X), ["validation_scores_"])
    other = clone(model).set_params(random_state=1).fit(X)
    assert (other.validation_scores_[0] != model.fit(X).validation_scores_[0]).any()


@each_solver
@pytest.mark.parametrize(
    ("n_rows", "fraction"), [(1, 0.5), (3, 0.1), (4, 0.1), (3, 0.9)]
)
def test_too_few_rows_to_hold_out(solver, n_rows, fraction):
    model = autoencoder(
        solver=solver, early_stopping=True, validation_fraction=fraction
    )
    with pytest.raises(ValueError, match=f"validation_fraction={fraction} holds out"):
        model.fit(X[:n_rows])


# -- interruption ----------------------------------------------------------------


def interrupt(monkeypatch, engine, at):
    """The ``at``-th evaluation from now on is interrupted."""
    original, calls = engine.__call__, []

    def interrupted(*args):
        calls.append(None)
        if len(calls) == at:
            raise KeyboardInterrupt
        return original(*args)

    monkeypatch.setattr(engine, "__call__", interrupted)


@each_kind
@pytest.mark.parametrize(
    ("solver", "engine", "at"),
    [("adam", BatchEngine, 100), ("lbfgs", ThreadEngine, 60)],
)
def test_interrupted_pickled_and_continued(monkeypatch, kind, solver, engine, at):
    """As low in the end as without: of what Ctrl-C left, nothing was spoilt."""
    model = autoencoder(
        kind,
        solver=solver,
        warm_start=True,
        max_iter=60 if solver == "adam" else 400,
        learning_rate_init=1e-2,
    )
    uninterrupted = clone(model).fit(X)
    interrupt(monkeypatch, engine, at)
    with pytest.warns(UserWarning, match="interrupted by user"):
        model.fit(X)
    monkeypatch.undo()
    assert model.n_iter_ == len(model.loss_curve_) < uninterrupted.n_iter_
    assert np.isfinite(model.components_).all()
    back = pickle.loads(pickle.dumps(model))
    back.fit(X)
    assert back.loss_ < 1.01 * uninterrupted.loss_


def test_interrupt_in_the_first_epoch_is_not_swallowed(monkeypatch):
    interrupt(monkeypatch, BatchEngine, 3)
    model = autoencoder()
    with pytest.raises(KeyboardInterrupt):
        model.fit(X)
    assert not hasattr(model, "components_")


@each_solver
@pytest.mark.parametrize("at", [1, 2, 3])
def test_interrupt_while_held_out_rows_are_scored(monkeypatch, solver, at):
    from skae.estimators import _base

    interrupt(monkeypatch, _base.HeldOutLoss, at)
    model = autoencoder(solver=solver, early_stopping=True)
    with pytest.warns(UserWarning, match="interrupted by user"):
        model.fit(X)
    assert model.n_iter_ == len(model.loss_curve_) == at
    assert len(model.validation_scores_) == at - 1
    assert np.isfinite(model.components_).all()


@each_solver
def test_interrupt_while_a_line_is_printed(monkeypatch, solver):
    """When the score is known and nothing has been made of it yet."""
    from skae.estimators._progress import Report

    interrupt(monkeypatch, Report, 1)
    model = autoencoder(solver=solver, early_stopping=True)
    with pytest.warns(UserWarning, match="interrupted by user"):
        model.fit(X)
    assert model.n_iter_ == len(model.validation_scores_) == 1
    assert model.loss_ == model.loss_curve_[0]


# -- pieces that are refused, and pieces unlike the others ----------------------------


def test_a_refused_piece_leaves_no_trace():
    kept, refused = autoencoder().partial_fit(X), autoencoder().partial_fit(X)
    for scale in (1e110, 1e200):
        with pytest.raises(ValueError, match="scale X"):
            refused.partial_fit(X * scale)
    assert_same_bits(kept.partial_fit(X), refused.partial_fit(X))


def test_a_first_piece_without_variation_sets_no_scale():
    model = autoencoder().partial_fit(X[:1])
    assert model.partial_fit(X).alpha_ == autoencoder().partial_fit(X).alpha_


def test_restarts_are_judged_by_the_rows_held_out(monkeypatch):
    runs = []

    def recorded(*args):
        runs.append(train(*args))
        return runs[-1]

    train = _base.train
    monkeypatch.setattr(_base, "train", recorded)
    model = autoencoder(n_init=4, early_stopping=True, max_iter=30).fit(X)
    best = [run.validation_scores.max() for run in runs]
    assert len(set(best)) == 4
    assert model.validation_scores_.max() == max(best)


def test_a_rate_that_falls_ends_as_scheduled():
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        falling = autoencoder(learning_rate="linear").fit(X)
    constant = autoencoder().fit(X)
    assert falling.loss_curve_[0] == constant.loss_curve_[0]  # the first rate is whole
    assert falling.loss_curve_[1] != constant.loss_curve_[1]

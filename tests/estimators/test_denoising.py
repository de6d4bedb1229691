"""DenoisingAutoencoder: it denoises, reproducibly, and refuses what makes no sense."""

import numpy as np
import pytest
import scipy.sparse
from joblib import parallel_config
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from skae import DenoisingAutoencoder, SparseAutoencoder
from skae.engines.threads import ThreadEngine

pytestmark = pytest.mark.filterwarnings("ignore:Training stopped")

DIGITS = load_digits().data / 16
TRAIN, TEST = DIGITS[:700], DIGITS[1400:]


def error(X, Y):
    return ((X - Y) ** 2).sum(axis=1).mean()


@pytest.mark.parametrize(
    ("corruption", "level"), [("gaussian", 0.25), ("masking", 0.3)]
)
def test_denoises_better_than_pca_and_a_plain_autoencoder(corruption, level):
    denoising = DenoisingAutoencoder(
        64,
        corruption=corruption,
        corruption_level=level,
        max_iter=200,
        random_state=0,
    ).fit(TRAIN)
    noisy = denoising.corrupt(TEST, random_state=1)
    plain = SparseAutoencoder(64, sparsity=None, max_iter=200, random_state=0)
    best_pca = min(
        error(pca.inverse_transform(pca.transform(noisy)), TEST)
        for pca in (PCA(k).fit(TRAIN) for k in range(5, 64, 5))
    )
    ours = error(denoising.predict(noisy), TEST)
    assert ours < 0.9 * best_pca
    assert ours < 0.9 * error(plain.fit(TRAIN).predict(noisy), TEST)


def test_fresh_noise_generalises_better_than_one_draw():
    fresh = DenoisingAutoencoder(
        64, corruption="gaussian", corruption_level=0.25, max_iter=200, random_state=0
    )
    frozen = clone(fresh).set_params(redraw_every=None)
    noisy = fresh.fit(TRAIN).corrupt(TEST, random_state=1)
    frozen.fit(TRAIN)
    assert error(fresh.predict(noisy), TEST) < error(frozen.predict(noisy), TEST)
    # One draw is learnt by heart: its own loss is the lower one.
    reconstruction = "reconstruction"
    assert frozen.loss_terms_[reconstruction] < fresh.loss_terms_[reconstruction]


@pytest.mark.parametrize("redraw_every", [1, 7, None])
def test_same_seed_same_bits(redraw_every):
    fits = [
        DenoisingAutoencoder(
            8, redraw_every=redraw_every, max_iter=30, random_state=seed
        ).fit(TRAIN)
        for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(fits[0].components_, fits[1].components_)
    assert (fits[0].components_ != fits[2].components_).any()
    assert all(fit.n_iter_ == len(fit.loss_curve_) == 30 for fit in fits)


def test_limits_hold_across_draws():
    fit = DenoisingAutoencoder(8, redraw_every=4, max_fun=23, random_state=0)
    evaluations = []
    original = ThreadEngine.__call__

    def counting(engine, theta):
        evaluations.append(engine.draw)
        return original(engine, theta)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ThreadEngine, "__call__", counting)
        fit.fit(TRAIN)
    assert len(evaluations) <= 23
    assert sorted(set(evaluations)) == list(range(max(evaluations) + 1))


@pytest.mark.filterwarnings("error")
def test_converges_when_fresh_noise_gives_no_lower_loss():
    fit = DenoisingAutoencoder(
        4, corruption_level=0.1, tol=1e-2, max_iter=5000, random_state=0
    ).fit(TRAIN)
    assert fit.n_iter_ < 1000


def test_corrupt_is_what_training_meets():
    fit = DenoisingAutoencoder(
        4, corruption="masking", corruption_level=0.4, max_iter=2
    ).fit(TRAIN)
    before = TEST.copy()
    corrupted = fit.corrupt(TEST, random_state=0)
    np.testing.assert_array_equal(TEST, before)
    changed = corrupted != TEST
    assert (corrupted[changed] == 0).all()
    assert changed.sum() / (TEST != 0).sum() == pytest.approx(0.4, abs=0.02)
    np.testing.assert_array_equal(fit.corrupt(TEST, random_state=0), corrupted)
    assert (fit.corrupt(TEST, random_state=1) != corrupted).any()


def test_salt_and_pepper_takes_each_features_extremes():
    X = TRAIN * np.linspace(1, 5, 64) - 1
    fit = DenoisingAutoencoder(
        4, corruption="salt_and_pepper", corruption_level=1.0, max_iter=2
    ).fit(X)
    np.testing.assert_array_equal(fit.feature_range_, [X.min(0), X.max(0)])
    corrupted = fit.corrupt(X)
    assert ((corrupted == X.min(axis=0)) | (corrupted == X.max(axis=0))).all()


def test_level_zero_is_the_plain_autoencoder():
    options = {"n_components": 8, "max_iter": 20, "random_state": 0}
    noiseless = DenoisingAutoencoder(
        corruption_level=0.0, redraw_every=None, **options
    ).fit(TRAIN)
    plain = SparseAutoencoder(sparsity=None, **options).fit(TRAIN)
    np.testing.assert_allclose(noiseless.loss_curve_, plain.loss_curve_, rtol=1e-9)


def test_mean_activation_is_of_clean_rows():
    fit = DenoisingAutoencoder(8, max_iter=20, random_state=0).fit(TRAIN)
    expected = fit.set_params(scale_codes=False).transform(TRAIN).mean(axis=0)
    np.testing.assert_allclose(fit.mean_activation_, expected, rtol=1e-10)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"corruption": "masking", "corruption_level": 1.2}, "corruption_level=1.2"),
        (
            {"corruption": "masking", "corruption_level": ("scale", 4)},
            "corruption_level",
        ),
        ({"corruption_level": "large"}, "'corruption_level' parameter"),
        ({"corruption_level": ("scale", -1)}, "corruption_level="),
        ({"corruption_level": ("times", 2)}, "corruption_level="),
        ({"corruption": "salt_and_pepper", "corruption_level": 7}, "corruption_level"),
        ({"corruption_level": -0.1}, "'corruption_level' parameter"),
        ({"corruption": "dropout"}, "'corruption' parameter"),
        ({"corruption": "gaussian", "emphasis": (1, 0)}, "corruption='gaussian'"),
        ({"emphasis": (1, 2, 3)}, "emphasis="),
        ({"emphasis": (0, 0)}, "emphasis="),
        ({"emphasis": (-1, 1)}, "emphasis="),
        ({"emphasis": ("a", "b")}, "emphasis="),
        ({"emphasis": (1, np.inf)}, "emphasis="),
        ({"emphasis": 3}, "'emphasis' parameter"),
        ({"redraw_every": 0}, "'redraw_every' parameter"),
        ({"activation": "relu", "sparsity": "kl"}, "activation='relu'"),
    ],
)
def test_refuses(parameters, message):
    with pytest.raises(ValueError, match=message):
        DenoisingAutoencoder(4, **parameters).fit(TRAIN)


def test_callable_of_another_shape_is_refused():
    with pytest.raises(ValueError, match="corruption"):
        DenoisingAutoencoder(4, corruption=lambda X, U: X[:, :3]).fit(TRAIN)


def test_callable_that_returns_nan_is_refused():
    with pytest.raises(ValueError, match="corruption"):
        DenoisingAutoencoder(4, corruption=lambda X, U: X * np.nan).fit(TRAIN)


@pytest.mark.parametrize("at", [14, 15, 16])
def test_interrupt_at_the_start_of_a_draw_keeps_what_was_learnt(at):
    calls = []

    def corruption(X, U):
        calls.append(None)
        if len(calls) == at:
            raise KeyboardInterrupt
        return np.where(U < 0.3, 0, X)

    fit = DenoisingAutoencoder(
        4, corruption=corruption, redraw_every=10, tol=0, random_state=0
    )
    with pytest.warns(UserWarning, match="interrupted"):
        fit.fit(TRAIN)
    assert 9 <= fit.n_iter_ <= 13
    assert np.isfinite(fit.components_).all()


def test_rows_of_weight_zero_are_absent_from_ranges_too():
    X = np.vstack([np.full((1, 64), 50.0), TRAIN])
    weights = np.r_[0.0, np.ones(len(TRAIN))]
    options = {"corruption": "salt_and_pepper", "max_iter": 10, "random_state": 0}
    weighted = DenoisingAutoencoder(4, **options).fit(X, sample_weight=weights)
    absent = DenoisingAutoencoder(4, **options)
    absent.fit(TRAIN, sample_weight=np.ones(len(TRAIN)))
    np.testing.assert_array_equal(weighted.feature_range_, absent.feature_range_)
    np.testing.assert_array_equal(weighted.components_, absent.components_)


def test_starts_meet_the_same_noise_one_after_the_other_or_side_by_side():
    """All are of one objective, and the noise of a start counts its own draws."""
    X = load_digits().data[:150]
    with parallel_config(backend="threading"):  # processes start slowly
        one, two = (
            DenoisingAutoencoder(
                4, n_init=3, n_jobs=n_jobs, redraw_every=2, max_iter=7, random_state=0
            ).fit(X)
            for n_jobs in (1, 2)
        )
    np.testing.assert_array_equal(one.components_, two.components_)
    assert one.loss_ == two.loss_


@pytest.mark.parametrize(
    ("returned", "got"),
    [(None, "got None"), ("rows", "got <U4 of shape"), (1.0, "got shape")],
)
def test_a_corruption_that_returns_no_rows_is_told_so(returned, got):
    model = DenoisingAutoencoder(2, corruption=lambda X, U: returned)
    with pytest.raises(ValueError, match=f"corruption must return .*{got}"):
        model.fit(np.eye(4))


def draws_of_evaluations(model, X):
    """The number of the draw at each evaluation, and the rows it was evaluated on."""
    met = []
    original = ThreadEngine.__call__

    def noting(engine, theta):
        met.append((engine.draw, engine._blocks.n_samples))
        return original(engine, theta)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ThreadEngine, "__call__", noting)
        model.fit(X)
    return met


def test_later_runs_are_longer_and_on_more_draws():
    model = DenoisingAutoencoder(
        3, redraw_every=1, max_iter=20, tol=0, random_state=0, alpha=0.01
    )
    draws = [draw for draw, _ in draws_of_evaluations(model, TRAIN[:200])]
    # The numbers are new ones in order, four times alone, then two by two.
    firsts = [draws.index(draw) for draw in range(max(draws) + 1)]
    assert firsts == sorted(firsts)
    assert draws[firsts[4] :][:4] == [4, 5, 4, 5]
    assert draws[: firsts[4]] == sorted(draws[: firsts[4]])


def expected_loss(model, X, n_draws=20):
    """J of the textbook, the mean of draws that training has not met."""
    noisy = [model.corrupt(X, random_state=seed) for seed in range(100, 100 + n_draws)]
    left = np.mean([error(model.predict(rows), X) for rows in noisy]) / 2
    weights = model.components_, model.decoder_components_
    return left + model.alpha / 2 * sum((W**2).sum() for W in weights)


def test_loss_is_that_of_noise_that_training_has_not_met():
    options = {"alpha": 1e-4, "max_iter": 80, "tol": 0, "random_state": 0}
    fresh, frozen = (
        DenoisingAutoencoder(32, redraw_every=every, **options).fit(TRAIN[:300])
        for every in (10, None)
    )
    assert fresh.loss_ == pytest.approx(expected_loss(fresh, TRAIN[:300]), rel=0.02)
    assert frozen.loss_ < 0.9 * expected_loss(frozen, TRAIN[:300])


def test_ends_are_averaged_where_that_is_better():
    """About a minimum, ends of runs are a mean plus noise: the mean has less of it."""
    from skae.solvers import Result
    from skae.training.full_batch import _Ends

    def fun(x):
        return x @ x, 2 * x, (float(x @ x), {})

    rng, ends = np.random.default_rng(0), _Ends()
    for _ in range(30):
        last = rng.normal(size=50)
        ends.add(last)
    result = Result(last, 0.0, last, None, 9, 10, "max_iter")
    better = ends.better(result, fun)
    assert better.value == better.x @ better.x < 0.3 * (last @ last)
    np.testing.assert_array_equal(better.gradient, 2 * better.x)
    assert (better.n_fun, better.n_iter, better.status) == (12, 9, "max_iter")
    # On the way down the last of them is the best.
    ends = _Ends()
    for size in (3.0, 2.0, 1.0):
        ends.add(np.full(50, size))
    result = Result(np.full(50, size), 0.0, last, None, 9, 10, "max_iter")
    assert (ends.better(result, fun).x == size).all()


def test_a_sample_and_all_rows_meet_different_draws():
    X = np.tile(TRAIN, (9, 1))[:10_000, ::4]
    model = DenoisingAutoencoder(2, max_iter=40, redraw_every=2, tol=0, random_state=0)
    met = draws_of_evaluations(model, X)
    rows = {}
    for draw, n_rows in met:
        rows.setdefault(draw, set()).add(n_rows)
    assert len({n for n_rows in rows.values() for n in n_rows}) > 1
    assert all(len(n_rows) == 1 for n_rows in rows.values())


# -- noise that suits the rows -------------------------------------------------------


@pytest.mark.parametrize("container", [np.asarray, scipy.sparse.csr_array])
@pytest.mark.parametrize(("zeros", "expected"), [(0.4, "gaussian"), (0.6, "masking")])
def test_auto_masks_rows_that_are_mostly_zero(zeros, expected, container):
    rng = np.random.RandomState(0)
    X = rng.rand(90, 10) * (rng.rand(90, 10) > zeros)
    fit = DenoisingAutoencoder(3, max_iter=2).fit(container(X))
    assert fit.corruption_ == expected
    kept_zeros = fit.corrupt(X, random_state=0)[X == 0] == 0
    assert kept_zeros.all() == (expected == "masking")


def test_auto_masks_where_entries_are_emphasised():
    fit = DenoisingAutoencoder(3, emphasis=(1, 0.5), max_iter=2).fit(TRAIN[:90])
    assert fit.corruption_ == "masking"


def test_later_pieces_are_corrupted_as_the_first():
    rng = np.random.RandomState(0)
    X = rng.rand(200, 10)
    sparser = X * (rng.rand(200, 10) > 0.7)
    fit = DenoisingAutoencoder(3, solver="adam").partial_fit(X)
    level = fit.corruption_level_
    fit.partial_fit(sparser)
    assert (fit.corruption_, fit.corruption_level_) == ("gaussian", level)
    fit.set_params(corruption="masking", corruption_level=0.5).partial_fit(X)
    assert (fit.corruption_, fit.corruption_level_) == ("masking", 0.5)
    fit.set_params(corruption="auto", emphasis=(1, 0.5)).partial_fit(X)
    assert fit.corruption_ == "masking"
    fit.set_params(emphasis=None, corruption_level="scale")
    assert fit.fit(X).corruption_ == "gaussian"
    assert fit.fit(sparser).corruption_ == "masking"


def test_the_level_has_the_units_of_the_rows():
    X = TRAIN[:90]
    fits = [
        DenoisingAutoencoder(
            3, corruption="gaussian", corruption_level=level, random_state=0
        ).fit(rows)
        for level, rows in (("scale", X), ("scale", 1024 * X), (("scale", 2), X))
    ]
    spread = np.sqrt(X.var(axis=0).mean())
    for fit, times in zip(fits, (1, 1024, 2), strict=True):
        np.testing.assert_allclose(fit.corruption_level_, 0.3 * spread * times)
    np.testing.assert_allclose(fits[1].loss_, 1024**2 * fits[0].loss_, rtol=1e-6)
    masking = DenoisingAutoencoder(3, corruption="masking", max_iter=2).fit(X)
    assert masking.corruption_level_ == 0.3

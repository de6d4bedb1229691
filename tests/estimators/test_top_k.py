"""TopKAutoencoder: codes, what they reconstruct, what is counted, and bad input."""

import warnings

import numpy as np
import pytest
from scipy.sparse import csr_array, csr_matrix, isspmatrix
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning

from skae import TopKAutoencoder
from skae._sklearn import HAS_CALLBACKS
from skae.inspection import matched_units

X = load_digits().data[:600]
SHORT = {"n_components": 48, "n_nonzero_coefs": 4, "max_iter": 8, "random_state": 0}
BOTH = pytest.mark.parametrize("selection", ["batch", "row"])


@pytest.fixture(scope="module", params=["batch", "row"])
def model(request):
    return TopKAutoencoder(**SHORT, selection=request.param).fit(X)


def dense_codes(model, X):
    """h of the formula, by dense matrices."""
    P = (X - model.intercept_visible_) @ model.components_.T + model.intercept_hidden_
    if model.selection == "batch":
        return np.where(P > model.threshold_, P, 0)
    rank = np.argsort(np.argsort(-P, axis=1), axis=1)
    return np.where((rank < model.n_nonzero_coefs) & (P > 0), P, 0)


def test_codes_and_reconstructions_are_those_of_the_formulas(model):
    codes = model.transform(X)
    assert isspmatrix(codes) and codes.format == "csr"
    H = dense_codes(model, X)
    assert codes.toarray() == pytest.approx(H)
    reconstructed = H @ model.decoder_components_ + model.intercept_visible_
    assert model.predict(X) == pytest.approx(reconstructed)
    assert model.inverse_transform(codes) == pytest.approx(reconstructed)
    assert model.inverse_transform(codes.toarray()) == pytest.approx(reconstructed)
    errors = ((X - reconstructed) ** 2).sum(axis=1)
    assert model.score_samples(X) == pytest.approx(-errors)
    variance = ((X - X.mean(axis=0)) ** 2).sum()
    assert model.score(X) == pytest.approx(1 - errors.sum() / variance)
    assert np.linalg.norm(model.decoder_components_, axis=1) == pytest.approx(1)


def test_what_is_counted_is_counted_on_the_training_rows(model):
    active = model.transform(X).toarray() != 0
    assert model.activation_frequency_ == pytest.approx(active.mean(axis=0))
    assert model.l0_ == pytest.approx(active.sum(axis=1).mean())
    assert model.dead_fraction_ == pytest.approx(np.mean(~active.any(axis=0)))


def test_a_threshold_gives_rows_so_many_codes_on_average():
    k = 4.5
    model = TopKAutoencoder(48, k, max_iter=40, random_state=0).fit(X)
    assert model.l0_ == pytest.approx(k, rel=0.1)
    counts = np.diff(model.transform(X).indptr)
    assert counts.min() < k < counts.max()


def test_rows_have_no_more_codes_than_that():
    model = TopKAutoencoder(**SHORT, selection="row").fit(X)
    assert np.diff(model.transform(X).indptr).max() == SHORT["n_nonzero_coefs"]


@BOTH
def test_a_row_has_the_same_code_alone_and_in_any_company(selection):
    rows = X.astype(np.float32)
    model = TopKAutoencoder(**SHORT, selection=selection).fit(rows)
    codes = model.transform(rows).toarray()
    for part in ([5], [5, 300, 301], range(3, 400), np.arange(600)[::-1]):
        assert (model.transform(rows[part]).toarray() == codes[part]).all()


@BOTH
def test_the_same_seed_gives_the_same_bits(selection):
    first, second = (
        TopKAutoencoder(**SHORT, selection=selection).fit(X) for _ in range(2)
    )
    assert (first.components_ == second.components_).all()
    assert first.threshold_ == second.threshold_


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_codes_keep_the_dtype(dtype):
    model = TopKAutoencoder(**SHORT).fit(X.astype(dtype))
    assert model.components_.dtype == dtype
    assert model.transform(X.astype(dtype)).dtype == dtype
    assert model.predict(X.astype(dtype)).dtype == dtype


def test_codes_are_of_the_kind_of_matrix_that_is_asked_for():
    model = TopKAutoencoder(**SHORT | {"max_iter": 1}).fit(X)
    try:
        context = config_context(sparse_interface="sparray")
    except TypeError:
        pytest.skip("scikit-learn has no such setting yet")
    try:
        with context:
            assert isinstance(model.transform(X), csr_array)
    except TypeError:
        pytest.skip("scikit-learn has no such setting yet")
    assert isinstance(model.transform(X), csr_matrix)


def test_sparse_rows_and_maps_give_what_dense_rows_give(tmp_path):
    expected = TopKAutoencoder(**SHORT).fit(X)
    path = tmp_path / "rows.npy"
    np.save(path, X)
    for rows in (csr_array(X), np.load(path, mmap_mode="r")):
        model = TopKAutoencoder(**SHORT).fit(rows)
        assert model.components_ == pytest.approx(expected.components_, abs=1e-9)
        assert model.transform(rows).toarray() == pytest.approx(
            expected.transform(X).toarray()
        )
        assert model.score(rows) == pytest.approx(expected.score(X))


def test_a_weight_is_a_repetition_where_codes_are_of_rows():
    weights = np.tile([0, 1, 2], 30)
    settings = SHORT | {"selection": "row", "batch_size": 1000}
    weighted = TopKAutoencoder(**settings).fit(X[:90], sample_weight=weights)
    repeated = TopKAutoencoder(**settings).fit(np.repeat(X[:90], weights, axis=0))
    assert weighted.components_ == pytest.approx(repeated.components_, abs=1e-9)
    assert weighted.l0_ == pytest.approx(repeated.l0_)


def test_pieces_learn_and_go_on():
    model = TopKAutoencoder(**SHORT)
    scores = []
    for _ in range(15):
        model.partial_fit(X[:300]).partial_fit(X[300:])
        scores.append(model.score(X))
    assert scores[0] < scores[4] < scores[-1]
    assert model.n_iter_ == len(model.loss_curve_) == 30


def test_a_piece_that_is_refused_leaves_no_trace():
    model = TopKAutoencoder(**SHORT).partial_fit(X)
    other = clone(model).partial_fit(X)
    with pytest.raises(ValueError, match="NaN"):
        model.partial_fit(np.full_like(X, np.nan))
    model.partial_fit(X)
    other.partial_fit(X)
    assert (model.components_ == other.components_).all()


def test_warm_start_goes_on():
    model = TopKAutoencoder(**SHORT, warm_start=True).fit(X)
    before = model.score(X)
    assert model.fit(X).score(X) > before
    with pytest.raises(ValueError, match=r"components_ of shape \(48, 64\)"):
        model.set_params(n_components=50).fit(X)


def test_rows_held_out_choose_the_epoch():
    settings = SHORT | {"max_iter": 12, "learning_rate_init": 0.3}
    model = TopKAutoencoder(**settings, early_stopping=True).fit(X)
    scores = model.validation_scores_
    best = int(np.argmax(scores))
    assert model.loss_ == model.loss_curve_[best]
    # Which are the first that are drawn.
    held_out = np.random.RandomState(0)
    held_out.randint(np.iinfo(np.int32).max)
    out = held_out.permutation(600)[:60]
    assert model.score(X[out]) == pytest.approx(scores[best])


def test_a_constant_rate_ends_when_the_loss_stands_still():
    settings = SHORT | {"max_iter": 500, "n_components": 6, "n_nonzero_coefs": 2}
    model = TopKAutoencoder(**settings, learning_rate="constant", tol=0.05).fit(X)
    assert 1 < model.n_iter_ < 500
    with pytest.warns(ConvergenceWarning, match="max_iter=3"):
        model.set_params(max_iter=3, tol=0.0).fit(X)


def planted(n_rows, seed=0, shift=0.0):
    """Rows that are sums of a few of 40 atoms in 16 dimensions."""
    random = np.random.RandomState(seed)
    atoms = random.standard_normal((40, 16))
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    codes = random.uniform(1, 2, (n_rows, 40)) * (
        random.uniform(size=(n_rows, 40)) < 0.05
    )
    return (codes @ atoms + shift).astype(np.float32), atoms


@pytest.mark.filterwarnings("ignore:Training of TopK.*dead")
@BOTH
def test_a_planted_dictionary_is_found(selection):
    rows, atoms = planted(3000)
    model = TopKAutoencoder(60, 2, selection=selection, max_iter=50, random_state=0)
    cosines = matched_units(atoms, model.fit(rows).decoder_components_)[2]
    assert np.mean(cosines > 0.9) > 0.8


def test_dead_units_are_revived_also_far_from_zero():
    settings = {"max_iter": 60, "learning_rate_init": 0.1, "random_state": 0}
    model = TopKAutoencoder(128, 4, **settings)
    with pytest.warns(ConvergenceWarning, match="units dead"):
        without = clone(model).set_params(auxiliary_weight=0).fit(X)
    revived = clone(model).fit(X)
    assert revived.dead_fraction_ < without.dead_fraction_ / 2
    far = X + 10 * X.std()
    shifted = clone(model).fit(far)
    assert shifted.score(far) == pytest.approx(revived.score(X), abs=0.02)
    assert shifted.dead_fraction_ < without.dead_fraction_ / 2


def test_the_first_units_of_prefixes_are_the_coarse_ones():
    def score_of_first(model, n):
        H = model.transform(X)[:, :n]
        rows = H @ model.decoder_components_[:n] + model.intercept_visible_
        return 1 - ((X - rows) ** 2).sum() / ((X - X.mean(axis=0)) ** 2).sum()

    settings = SHORT | {"max_iter": 20}
    nested = TopKAutoencoder(**settings, prefixes=(6, 16)).fit(X)
    plain = TopKAutoencoder(**settings).fit(X)
    assert score_of_first(nested, 6) > score_of_first(plain, 6) + 0.1
    assert score_of_first(nested, 48) == pytest.approx(nested.score(X))


def test_what_is_auto_comes_to_about_as_many_batches_everywhere():
    model = TopKAutoencoder(64, 4)
    for n_rows in (1, 100, 10_000, 1_000_000):
        batches = -(-n_rows // model._batch(n_rows)) * model._epochs(n_rows)
        assert 1 <= batches // 5000 <= 2 or model._epochs(n_rows) in (2, 5000)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_nonzero_coefs": 49}, "n_nonzero_coefs=49 exceeds n_components=48"),
        ({"n_nonzero_coefs": 0}, "n_nonzero_coefs"),
        ({"n_nonzero_coefs": 2.5, "selection": "row"}, "must be an integer"),
        ({"prefixes": (16, 49)}, "49, which exceeds n_components=48"),
        ({"prefixes": (16, 8)}, "ascending order"),
        ({"prefixes": (0, 8)}, "integers of 1 or more"),
        ({"prefixes": ()}, "integers of 1 or more"),
        ({"prefixes": (1.5,)}, "integers of 1 or more"),
        ({"dead_after": 0}, "dead_after"),
        ({"selection": "column"}, "selection"),
    ],
)
def test_parameters_that_are_not_allowed_are_named(parameters, message):
    with pytest.raises(ValueError, match=message):
        TopKAutoencoder(**SHORT | parameters).fit(X)


def test_nan_is_refused():
    with pytest.raises(ValueError, match="NaN"):
        TopKAutoencoder(**SHORT).fit(np.where(X == 3, np.nan, X))


def test_equal_rows_have_no_codes():
    rows = np.full((30, 64), 3.0)
    model = TopKAutoencoder(**SHORT).fit(rows)
    assert model.transform(rows).nnz == 0
    assert model.predict(rows) == pytest.approx(rows)
    assert model.l0_ == 0 and model.dead_fraction_ == 1


def test_one_row_is_its_own_mean():
    model = TopKAutoencoder(**SHORT).fit(X[:1])
    assert model.predict(X[:1]) == pytest.approx(X[:1])


def test_codes_of_another_number_of_units_are_refused():
    model = TopKAutoencoder(**SHORT | {"max_iter": 1}).fit(X)
    with pytest.raises(ValueError, match="X has 47 columns"):
        model.inverse_transform(model.transform(X)[:, :47])


def test_steps_that_are_too_long_are_told_of():
    with pytest.warns(ConvergenceWarning, match="learning_rate_init=100.0 are too"):
        TopKAutoencoder(**SHORT, learning_rate_init=100.0).fit(X)


def test_many_dead_units_are_told_of_with_what_to_change():
    rows = np.random.RandomState(0).standard_normal((80, 10))
    model = TopKAutoencoder(200, 5, max_iter=20, random_state=0)
    with pytest.warns(ConvergenceWarning) as record:
        model.fit(rows)
    silent = np.mean(model.transform(rows).sum(axis=0) == 0)
    assert silent > 0.25
    (message,) = (str(warning.message) for warning in record)
    assert f"left {silent:.0%} of the 200 units dead" in message
    assert message.endswith("Lower n_components, or n_nonzero_coefs, which is 5.")


def test_steps_that_are_too_long_are_told_of_as_such():
    rows = np.random.RandomState(0).standard_normal((80, 10))
    model = TopKAutoencoder(20, 4, learning_rate_init=5.0, max_iter=30, random_state=0)
    with pytest.warns(ConvergenceWarning, match=r"learning_rate_init=5.0.*lower it"):
        assert model.fit(rows).score(rows) < 0


def test_few_dead_units_are_not_worth_a_warning(model):
    assert 0 <= model.dead_fraction_ <= 0.25
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        clone(model).fit(X)


def test_dask_is_refused_where_it_does_not_fit():
    da = pytest.importorskip("dask.array")
    rows = da.from_array(X, chunks=(200, -1))
    with pytest.raises(ValueError, match="partial_fit on one computed chunk"):
        TopKAutoencoder(**SHORT).fit(rows)
    model = TopKAutoencoder(**SHORT).fit(X)
    with pytest.raises(ValueError, match="returns sparse codes"):
        model.transform(rows)
    assert np.asarray(model.predict(rows)) == pytest.approx(model.predict(X))
    assert model.score(rows) == pytest.approx(model.score(X))


@pytest.mark.skipif(not HAS_CALLBACKS, reason="scikit-learn has no callbacks yet")
def test_callbacks_follow_every_epoch():
    from sklearn.callback import ScoringMonitor

    monitor = ScoringMonitor(scoring={"score": lambda e, X, y: e.score(X)})
    model = TopKAutoencoder(**SHORT).set_callbacks(monitor).fit(X)
    rows = [row for row in monitor.get_logs().data if row["score"] is not None]
    assert rows[-1]["score"] == pytest.approx(model.score(X))
    assert len(rows) >= model.n_iter_


@pytest.mark.filterwarnings("ignore:Training of TopK.*dead")
@pytest.mark.parametrize(("n_features", "expected"), [(3, 1), (48, 8), (600, 32)])
def test_auto_keeps_fewer_codes_than_there_are_features(n_features, expected):
    rows = np.random.RandomState(0).standard_normal((40, n_features))
    settings = {"n_components": 64, "selection": "row", "max_iter": 1}
    model = TopKAutoencoder(**settings, random_state=0).fit(rows)
    counts = np.diff(model.transform(rows).indptr)
    assert counts.max() <= expected
    same = TopKAutoencoder(**settings, n_nonzero_coefs=expected, random_state=0)
    np.testing.assert_array_equal(same.fit(rows).components_, model.components_)

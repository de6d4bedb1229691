"""The denoising autoencoder."""

from collections.abc import Callable, Sequence
from numbers import Integral
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import check_random_state

from skae._sklearn import Interval, StrOptions
from skae.core.corruptions import CORRUPTIONS, Custom, Noise
from skae.estimators._base import BaseAutoencoder
from skae.estimators._parameters import (
    STRENGTH,
    Seed,
    SparsityMixin,
    Strength,
    resolved,
    strength,
)
from skae.rows.reading import MatrixLike

# corruption_level="scale": of the entries, or of their standard deviation.
_LEVEL = 0.3
# Rows of which corruption="auto" counts the zeros.
_A_FEW = 1000


class DenoisingAutoencoder(SparsityMixin, BaseAutoencoder):
    r"""Autoencoder that removes noise.

    Noise is added to each row x before it is encoded, which gives x̃. The autoencoder
    learns to reconstruct the clean row from it [1]_ [2]_:

    .. math::

        h = f(W \tilde x + b), \qquad \hat x = g(D^\top h + c),

    .. math::

        J = \frac{1}{n} \sum_i \mathbb{E} \, \frac{1}{2} \|\hat x_i - x_i\|^2
            + \frac{\alpha}{2} \left( \|W\|^2 + \|D\|^2 \right)
            + \mathrm{sparsity} .

    To do so, the encoder has to use the relations between the entries of a row. Its
    codes change little under the noise, and ``predict`` removes noise.

    𝔼 is the expectation over the noise. L-BFGS needs the same function in all
    evaluations of a line search, so the noise stays the same for ``redraw_every``
    iterations and is then drawn again. Adam draws new noise for every batch.

    Parameters
    ----------
    n_components : int, default=None
        Number of hidden units, which is the length of a code. It may exceed the number
        of features. None uses the number of features, but at most 8192.

    corruption : str or callable, default="auto"
        The noise.

        * "auto" is "masking" if at least half of the entries of X are zero, as in text
          and in many images, or if ``emphasis`` is given. Otherwise it is "gaussian".
        * "gaussian" adds N(0, σ²) to every entry.
        * "masking" sets a fraction of the entries to 0. Use it if 0 is a neutral value,
          as for pixels or centred data; scale other data first.
        * "salt_and_pepper" sets a fraction of the entries to the minimum or the maximum
          of the feature in the training data, with equal probability.
        * A callable ``f(X, U)`` is given rows X and an array U of the same shape with
          random numbers that are uniform in (0, 1). It returns the corrupted rows. It
          is called for a part of the rows at a time and in several threads, so the
          result for a row may only depend on this row of X and of U.

    corruption_level : float, "scale" or ("scale", float), default="scale"
        The standard deviation σ, in units of X and in [0, inf), for "gaussian"; the
        fraction of entries, in [0, 1], for "masking" and "salt_and_pepper". "scale" is
        0.3 s for "gaussian", where s is the root mean squared standard deviation of a
        feature, and 0.3 for the others. ("scale", 2) is twice "scale". Not used by a
        callable.

    emphasis : pair of float or None, default=None
        Weights of the loss on corrupted entries and on all other entries, non-negative
        and not both zero. For example, (1, 0.5) emphasises the corrupted entries, which
        have to be predicted. None gives all entries the same weight. With a callable,
        an entry counts as corrupted if its value was changed. "gaussian" changes every
        entry, so it needs None.

    redraw_every : int or None, default=20
        Number of iterations of L-BFGS between draws of the noise. It applies to the
        start of training; later draws are used for more iterations, and several of them
        are averaged. None draws only once. This is fastest, but the autoencoder then
        adapts to this one draw. Adam draws new noise for every batch.

    activation : {"logistic", "tanh", "relu", "identity"}, default="logistic"
        Activation f of the hidden units.

    output_activation : {"identity", "logistic"}, default="identity"
        Activation g of the outputs: "identity" for data on any scale, "logistic" for
        data in [0, 1].

    loss : {"squared_error", "log_loss"}, default="squared_error"
        Loss of a row: half the squared error, ½‖x̂ − x‖², or the cross-entropy
        Σ_k −x_k log x̂_k − (1 − x_k) log(1 − x̂_k). The cross-entropy needs X in [0, 1]
        and ``output_activation="logistic"``.

    tied_weights : bool, default=False
        Whether the decoder uses the weights of the encoder, D = W. With logistic or
        tanh units this works best if the features have a standard deviation of about 1,
        because the same weights then have to scale the data down and the codes up.

    alpha : float, "scale" or ("scale", float), default="scale"
        Weight decay α, in [0, inf). Biases are not penalised. "scale" makes the decay
        independent of the units of X: with s² the mean variance of a feature, α is
        3e-3 s⁴ for W and 1e-4 for D (see ``penalties_``). This equals 3e-3 and 1e-4 for
        features of unit variance. ("scale", 3) is three times "scale".

    l1_ratio : float, default=0.0
        Share of ``alpha`` that is applied to absolute values, in [0, 1]. With r =
        ``l1_ratio``, the decay of W, and likewise that of D, becomes

        .. math::

            \alpha \left( r \|W\|_1 + \frac{1 - r}{2} \|W\|^2 \right)

        The larger r is, the more weights are exactly zero. L-BFGS uses an orthant-wise
        variant [3]_, and Adam applies soft-thresholding after each step. Use it for
        units that depend on few features and can be interpreted, such as the pixels of
        one stroke or a handful of genes.

        With ``alpha="scale"``, α for features of unit variance is
        1/(r/5e-3 + (1 − r)/a), where a is the value given under ``alpha``. For other
        data, the penalty on absolute values is multiplied by s³ for W and by s for D,
        so that it does not depend on the units of X.

    sparsity : {"kl", "l1"} or None, default=None
        Penalty on the codes, as in `SparseAutoencoder`. "kl" uses the mean code of the
        corrupted rows.

    sparsity_target : float or "auto", default="auto"
        Target ρ for the mean code of each unit, in (0, 1). Only used by "kl". "auto" is
        max(0.2, 0.5 − 0.3 k/d) for k units and d features, which suits a linear model
        on the codes: a few units carry most information if their codes are high as
        often as low, and many units may be active more rarely. For units that can be
        interpreted, such as strokes or edges, use 0.02 to 0.1.

        How closely the mean codes follow the target depends on ``sparsity_weight``; see
        ``mean_activation_``. ``score`` always prefers less sparsity, so choose the
        target by the model that uses the codes.

    sparsity_weight : float, "scale" or ("scale", float), default="scale"
        Weight β of the sparsity penalty, in [0, inf). "scale" is a fifth of the loss of
        reconstructing every row by the column means; for the squared error, this is a
        tenth of the total variance. For "l1" it is divided by ``n_components`` or by
        ``n_features / 20``, whichever is larger, because a larger weight would set
        every code of wide data to zero. ("scale", 3) is three times "scale".

    scale_codes : bool, default=True
        Whether ``transform`` divides the codes of each unit by their standard deviation
        over the training rows, ``code_scale_``, and ``inverse_transform`` multiplies by
        it again. The estimator that uses the codes then gets features of unit spread.
        The codes are not centred, so zeros stay zeros. Training, ``predict`` and the
        other fitted attributes use unscaled codes.

    solver : {"lbfgs", "adam"}, default="lbfgs"
        "lbfgs" uses all rows in every step and converges to a minimum. "adam" updates
        the weights after every batch of rows. Use "adam" when there are many rows, or
        when they arrive in pieces (``partial_fit``). It gets close to a minimum within
        a few epochs. To continue to the minimum, call ``set_params(solver="lbfgs",
        warm_start=True)`` and ``fit`` again.

    max_iter : int, default=1000
        Maximum number of iterations of L-BFGS or, with Adam, of epochs. In an epoch,
        Adam uses every row once.

    max_fun : int, default=15000
        Maximum number of evaluations of J and its gradient by L-BFGS, which needs at
        least one in each iteration. Not used by Adam.

    growing_samples : bool, default=True
        Whether L-BFGS starts on samples of the rows if there are 10,000 rows or more:
        30 iterations on 1000 rows, then 30 on four times as many, and so on, and
        finally on all rows. This saves time. ``max_iter`` counts all of these
        iterations. The result is a minimum of the same loss, but it may be another
        minimum than with ``growing_samples=False``. Not used by Adam.

    tol : float, default=1e-2
        Training ends when J is expected to fall by no more than ``tol``, relative to J,
        if training continued. The remaining decrease is estimated as three times the
        decrease over the last quarter of the iterations of L-BFGS, at least ten of
        them, or of the epochs of Adam, at least ``n_iter_no_change`` of them. If J is
        below a tenth of the loss of the column means, ``tol`` is relative to that
        tenth. The meaning of ``tol`` does not depend on the number of columns or on
        their units. With ``early_stopping``, the score on the held-out rows decides
        instead.

        When L-BFGS draws new noise every ``redraw_every`` iterations, the losses at the
        starts of the draws decide: training ends when they have not fallen by more than
        ``tol`` over the last three draws, or over as many as have 40 iterations,
        whichever is more.

    batch_size : int or "auto", default="auto"
        Maximum number of rows in a batch of Adam. All batches have the same size, up to
        a difference of one row. "auto" is 200, or the number of rows if that is
        smaller.

    learning_rate : {"constant", "linear"}, default="constant"
        Whether the step length of Adam stays constant, or decreases linearly to zero
        over ``max_iter`` epochs. The decrease lets the weights settle when batches are
        noisy.

    learning_rate_init : float, default=3e-3
        Step length of Adam, in (0, inf): how far an entry of the weights moves in one
        step, in units in which the data have unit spread.

    shuffle : bool, default=True
        Whether Adam processes the rows in a new random order in every epoch.

    early_stopping : bool, default=False
        Whether to hold out some of the rows, with either solver, and to end training
        when the score on them has not risen by ``tol / n_iter_no_change`` for
        ``n_iter_no_change`` times in succession. The weights with the best score are
        kept. ``partial_fit`` holds out no rows.

    validation_fraction : float, default=0.1
        Fraction of the rows that ``early_stopping`` holds out, in (0, 1).

    n_iter_no_change : int, default=10
        Minimum number of epochs over which Adam measures the decrease for ``tol``;
        these epochs also have at least 1/``learning_rate_init`` batches. With
        ``early_stopping``: the number of iterations or epochs without a better score
        after which training ends.

    n_init : int, default=1
        Number of random starts. J is not convex, so different starts may end in
        different minima. The result with the lowest loss is kept.

    n_jobs : int, default=None
        Number of starts that are trained at the same time, with joblib. None means 1
        unless in a ``joblib.parallel_config`` context; -1 means all processors. A
        single start already uses as many threads as BLAS may use.

    random_state : int, RandomState instance or None, default=None
        Determines the initial weights, the noise, the order of the rows and the choice
        of held-out rows. Pass an int for reproducible results.

    warm_start : bool, default=False
        Whether ``fit`` continues from the weights of the previous call, with a single
        start, instead of new random weights. The solver may be changed between the
        calls.

    verbose : int, default=0
        1 prints a line for every tenth iteration or epoch, 2 for every one.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_features)
        W, the weights of the encoder: what each unit responds to.

    intercept_hidden_ : ndarray of shape (n_components,)
        b, the biases of the hidden units.

    decoder_components_ : ndarray of shape (n_components, n_features)
        D, the weights of the decoder: what each unit adds to a reconstruction.

    intercept_visible_ : ndarray of shape (n_features,)
        c, the biases of the outputs. Their initial values are the column means or, with
        logistic outputs, the logits of the column means.

    mean_activation_ : ndarray of shape (n_components,)
        Mean code of each unit over the training rows, without held-out rows. After
        ``partial_fit``: over the last piece.

    code_scale_ : ndarray of shape (n_components,)
        Standard deviation of the codes of each unit over the training rows, without
        held-out rows. It is 1 for a unit whose standard deviation is less than a
        thousandth of the typical one. For its value after ``partial_fit``, see that
        method.

    loss_ : float
        J after training. With Adam: the mean over the batches of the last epoch, each
        evaluated with the weights of that time. With ``early_stopping``: J of the
        iteration or epoch whose weights are kept.

    loss_terms_ : dict of str to float
        The parts of ``loss_``: "reconstruction", "decay" and "sparsity". With
        ``l1_ratio`` also "l1", the penalty on absolute values of the weights.

    loss_curve_ : ndarray of shape (n_iter_,)
        J after each iteration, or its mean over the batches of each epoch. While
        samples grow, J on the rows of the current sample.

    loss_curve_terms_ : dict of str to ndarray of shape (n_iter_,)
        The parts of J after each iteration.

    validation_scores_ : ndarray of shape (n_iter_,) or None
        With ``early_stopping``, the score on the held-out rows (under one draw of
        noise) after each iteration or epoch: the fraction by which the reconstruction
        reduces the loss of the column means. 1 is perfect. None without
        ``early_stopping``. If Ctrl-C interrupted the computation of a score, there is
        one entry less.

    n_iter_ : int
        Number of iterations or epochs. It is 1 after ``partial_fit``.

    penalties_ : dict of str to list of float
        The penalty weights that were used: "squares" holds the factors of ½‖W‖² and
        ½‖D‖², "absolute" those of ‖W‖₁ and ‖D‖₁.

        If ``alpha`` is a number, they are (1 − l1_ratio) α and l1_ratio α. With
        "scale", they are multiplied by u/z² and u/z, so that they do not depend on the
        units of X. Here u is s², or 1 with ``loss="log_loss"``. z says how the weights
        depend on the units: it is 1/s for W, s for D with linear outputs, 1 for D with
        logistic outputs, and 1 for tied weights. If entries are missing or have
        weights, both are also multiplied by the mean weight of an entry, where a
        missing entry counts 0.

    corruption_ : str or callable
        The noise that was used: ``corruption``, or what "auto" was.

    corruption_level_ : float
        The level that was used.

    feature_range_ : ndarray of shape (2, n_features)
        Minimum and maximum of each feature in the training rows, without held-out rows.
        After ``partial_fit``: in the last piece.

    sparsity_weight_ : float
        The value of β that was used; 0 if ``sparsity=None``.

    sparsity_target_ : float or None
        The value of ρ that was used; None if ``sparsity`` is not "kl".

    sparsity_of_weights_ : dict of str to float
        The fraction of weights that are exactly zero in ``components_`` ("encoder") and
        in ``decoder_components_`` ("decoder").

    n_features_in_ : int
        Number of features seen in ``fit``.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features. Only defined if X has feature names that are all strings.

    See Also
    --------
    SparseAutoencoder : Sparse codes.
    ContractiveAutoencoder : Robust codes without noise.
    sklearn.decomposition.PCA : Linear codes, in closed form. Its reconstruction removes
        noise, too.

    Notes
    -----
    The noise of an entry is a function of a seed, the number of the draw and the
    position of the entry in X. It is computed again in every evaluation, in blocks of
    rows, and never stored. With Adam, each batch counts as a draw, and the position is
    that within the batch. ``random_state`` determines the seed. A row of weight two
    differs from the same row given twice, because each copy gets its own noise.

    ``score``, ``transform`` and ``mean_activation_`` use clean data. ``loss_curve_`` is
    the loss with the noise of the current draw, so it rises at each draw.

    References
    ----------
    .. [1] P. Vincent, H. Larochelle, Y. Bengio and P.-A. Manzagol, "Extracting
       and composing robust features with denoising autoencoders", ICML 2008.
    .. [2] P. Vincent, H. Larochelle, I. Lajoie, Y. Bengio and P.-A. Manzagol,
       "Stacked denoising autoencoders", Journal of Machine Learning Research
       11, 2010: the corruptions, and emphasis.
    .. [3] G. Andrew and J. Gao, "Scalable training of L1-regularized log-linear
       models", ICML 2007: L-BFGS for an L1 penalty.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from skae import DenoisingAutoencoder
    >>> X, _ = load_digits(return_X_y=True)
    >>> autoencoder = DenoisingAutoencoder(
    ...     64, corruption="gaussian", corruption_level=4.0, tol=0.1, random_state=0
    ... )
    >>> autoencoder = autoencoder.fit(X[:1200])
    >>> noisy = autoencoder.corrupt(X[1200:], random_state=0)
    >>> denoised = autoencoder.predict(noisy)
    >>> error = np.mean((denoised - X[1200:]) ** 2) / np.mean((noisy - X[1200:]) ** 2)
    >>> bool(error < 0.4)
    True
    """

    corruption_: str | Callable[[np.ndarray, np.ndarray], np.ndarray]
    corruption_level_: float
    feature_range_: np.ndarray
    _parameter_constraints: dict = {
        **BaseAutoencoder._parameter_constraints,
        **SparsityMixin._parameter_constraints,
        "corruption": [StrOptions({"auto", *CORRUPTIONS}), callable],
        "corruption_level": STRENGTH,
        "emphasis": [tuple, list, None],
        "redraw_every": [Interval(Integral, 1, None, closed="left"), None],
    }

    def __init__(
        self,
        n_components: int | None = None,
        *,
        corruption: str | Callable[[np.ndarray, np.ndarray], np.ndarray] = "auto",
        corruption_level: Strength = "scale",
        emphasis: Sequence[float] | None = None,
        redraw_every: int | None = 20,
        activation: str = "logistic",
        output_activation: str = "identity",
        loss: str = "squared_error",
        tied_weights: bool = False,
        alpha: Strength = "scale",
        l1_ratio: float = 0.0,
        sparsity: str | None = None,
        sparsity_target: float | str = "auto",
        sparsity_weight: Strength = "scale",
        scale_codes: bool = True,
        solver: str = "lbfgs",
        max_iter: int = 1000,
        max_fun: int = 15000,
        growing_samples: bool = True,
        tol: float = 1e-2,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 3e-3,
        shuffle: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        n_init: int = 1,
        n_jobs: int | None = None,
        random_state: Seed = None,
        warm_start: bool = False,
        verbose: int = 0,
    ) -> None:
        self.n_components = n_components
        self.corruption = corruption
        self.corruption_level = corruption_level
        self.emphasis = emphasis
        self.redraw_every = redraw_every
        self.activation = activation
        self.output_activation = output_activation
        self.loss = loss
        self.tied_weights = tied_weights
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.sparsity = sparsity
        self.sparsity_target = sparsity_target
        self.sparsity_weight = sparsity_weight
        self.scale_codes = scale_codes
        self.solver = solver
        self.max_iter = max_iter
        self.max_fun = max_fun
        self.growing_samples = growing_samples
        self.tol = tol
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.shuffle = shuffle
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.n_init = n_init
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose

    def corrupt(self, X: MatrixLike, random_state: Seed = None) -> Any:
        """Add noise to X, as in training.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.
        random_state : int, RandomState instance or None, default=None
            Determines the noise. Pass an int for reproducible results.

        Returns
        -------
        ndarray or CSR matrix of shape (n_samples, n_features)
            A corrupted copy, in the dtype of X if that is float32 or float64. If X is
            sparse, the copy is sparse with ``corruption="masking"`` only: with other
            noise, hardly an entry stays zero.
        """
        rows = self._rows(X)
        seed = check_random_state(random_state).randint(np.iinfo(np.int32).max)
        feature_range = self.feature_range_.astype(rows.dtype)
        corruption = _corruption(
            self.corruption_, self.corruption_level_, feature_range
        )
        return rows.corrupted(Noise(corruption, seed))

    def _check_combinations(self):
        super()._check_combinations()
        number, _ = strength(self, "corruption_level")
        if not np.isfinite(number):
            raise ValueError(
                f"corruption_level must be finite, got {self.corruption_level!r}."
            )
        if self.emphasis is None:
            return
        kind = self.corruption
        if kind != "auto" and not callable(kind) and not CORRUPTIONS[kind].selects:
            raise ValueError(
                "emphasis weighs corrupted against kept entries, but "
                f"corruption={self.corruption!r} keeps none; use emphasis=None or "
                "corruption='masking'."
            )
        try:
            on_corrupted, on_kept = map(float, self.emphasis)
            valid = min(on_corrupted, on_kept) >= 0 < on_corrupted + on_kept < np.inf
        except (TypeError, ValueError):
            valid = False
        if not valid:
            raise ValueError(
                "emphasis must be None or a pair of non-negative weights (on "
                "corrupted entries, on kept entries), not both zero; got "
                f"emphasis={self.emphasis!r}."
            )

    def _kind_of_corruption(self, data, first):
        """``corruption``, or what "auto" is for these rows."""
        if self.corruption != "auto":
            return self.corruption
        # Gaussian noise leaves no entry to emphasise, and no sparse row sparse.
        if self.emphasis is not None:
            return "masking"
        if not first:  # later pieces are corrupted as the first one is
            return self.corruption_
        return "masking" if _are_mostly_zero(data) else "gaussian"

    def _level(self, kind, scale):
        """``corruption_level`` as a number, for rows of that scale."""
        is_fraction = not callable(kind) and CORRUPTIONS[kind].is_fraction
        unit = 1.0 if is_fraction else scale.spread
        level = resolved(self, "corruption_level", _LEVEL * unit)
        if is_fraction and level > 1:
            raise ValueError(
                f"corruption={kind!r} takes corruption_level, a fraction of the "
                f"entries, in [0, 1]; got corruption_level={self.corruption_level!r}."
            )
        return level

    def _terms(self, data, scale, n_components, random_state, first):
        terms, fitted = self._sparsity(scale, n_components)
        kind = self._kind_of_corruption(data, first)
        level = self._level(kind, scale)
        feature_range = data.X.ranges(data.weights)
        seed = random_state.randint(np.iinfo(np.int32).max)
        noise = Noise(_corruption(kind, level, feature_range), seed)
        keywords = {"terms": terms, "noise": noise, "emphasis": self.emphasis}
        fitted |= {"corruption_": kind, "corruption_level_": level}
        return keywords, {**fitted, "feature_range_": feature_range}


def _corruption(kind, level, feature_range):
    if callable(kind):
        return Custom(kind)
    return CORRUPTIONS[kind](float(level), *feature_range)


def _are_mostly_zero(data):
    """Whether at least half of the entries are zero, of up to a thousand rows."""
    X = data.sample(_A_FEW).X.given
    n = X.count_nonzero() if issparse(X) else np.count_nonzero(X)
    return 2 * n <= np.prod(X.shape)

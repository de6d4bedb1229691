"""The denoising autoencoder."""

from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from skae._sklearn import Interval, StrOptions
from skae.core.corruptions import CORRUPTIONS, Custom, Noise
from skae.estimators._base import BaseAutoencoder
from skae.estimators._parameters import Seed, SparsityMixin, Strength
from skae.rows.reading import MatrixLike


class DenoisingAutoencoder(SparsityMixin, BaseAutoencoder):
    """Autoencoder that learns to undo noise.

    Each row x is corrupted to x̃ before it is encoded, and the reconstruction is
    compared with the clean x::

        h = f(W x̃ + b),    x̂ = g(Dᵀ h + c),
        J = (1/n) Σ_i E ½‖x̂_i − x_i‖² + (α/2)(‖W‖² + ‖D‖²) + sparsity.

    The encoder then must find what a row's entries tell about each other, which
    makes codes that hardly change with the noise, and ``predict`` a denoiser.
    The expectation E over the noise is met by drawing it afresh every
    ``redraw_every`` iterations: within such a run the noise is frozen, since a
    line search needs one function. ``solver="adam"`` needs none, and draws the noise
    of every batch afresh.

    Parameters
    ----------
    n_components : int, default=None
        Number of hidden units, the length of a code. It may exceed the number
        of features. None takes as many as there are features, up to 8192.

    corruption : {"masking", "gaussian", "salt_and_pepper"} or callable, \
            default="masking"
        "masking" sets a fraction of the entries to 0 (a natural "nothing" for
        pixels or centred data; scale other data first), "salt_and_pepper" sets it
        to the feature's minimum or maximum in the training data by a fair coin,
        "gaussian" adds N(0, σ²) to every entry. A callable ``f(X, U)`` is given
        rows and numbers uniform in (0, 1), one for each entry, and returns the
        corrupted rows. It meets some rows at a time, in several threads, so what
        it does to a row may depend on that row of X and of U only.

    corruption_level : float, default=0.3
        The fraction, in [0, 1], for "masking" and "salt_and_pepper"; σ, in units
        of X, in [0, inf), for "gaussian". Not used by a callable.

    emphasis : pair of float or None, default=None
        Weights (on corrupted, on kept entries) of the loss, non-negative and not
        both zero. (1, 0.5), say, lays weight on what has to be guessed. None
        counts all entries alike. With a callable, an entry is corrupted if it
        was changed. "gaussian" keeps no entry, so it takes None only.

    redraw_every : int or None, default=20
        Iterations of L-BFGS between draws of the noise, at first; later there are
        more, on several draws at a time. Adam draws it for every batch. None draws
        once, which is cheapest but learns that one draw's noise by heart.

    activation : {"logistic", "tanh", "relu", "identity"}, default="logistic"
        f, the activation of the hidden units.

    output_activation : {"identity", "logistic"}, default="identity"
        The outputs' g: "identity" suits data on any scale, "logistic" data in [0, 1].

    loss : {"squared_error", "log_loss"}, default="squared_error"
        Loss of a row: ½‖x̂ − x‖², or the cross-entropy
        Σ_k −x_k log x̂_k − (1 − x_k) log(1 − x̂_k), for X in [0, 1] and with
        ``output_activation="logistic"``.

    tied_weights : bool, default=False
        Whether the decoder uses the encoder's weights, D = W. With logistic or
        tanh units that works best for data of about unit spread, as the same
        weights must shrink the data and grow the reconstruction.

    alpha : float, "scale" or ("scale", float), default="scale"
        Weight decay α, in [0, inf). Biases are not penalised. "scale" decays W as
        3e-3 and D as 1e-4 would for data of unit spread, in whatever unit X is
        measured: with s² the mean variance of a feature, W by 3e-3 s⁴ and D by 1e-4
        (see ``penalties_``). ("scale", 3) is three times that.

    l1_ratio : float, default=0.0
        Share of ``alpha`` that goes to the sums of absolute values, in [0, 1]. The
        decay becomes, for W and likewise for D::

            α (l1_ratio ‖W‖₁ + ½ (1 − l1_ratio) ‖W‖²),

        and the more weights are exactly zero the larger it is, at a minimum that
        L-BFGS finds orthant by orthant [3]_, and that Adam approaches by
        soft-thresholding after each step. Use it for units that look at few
        features each and can be read: pixels of one stroke, a handful of genes.
        alpha="scale" is then 1/(l1_ratio/5e-3 + (1 − l1_ratio)/a) for data of unit
        spread, with a from above: absolute values, too, are penalised alike in whatever
        unit X is measured, those of W by s³ and those of D by s times as much.

    sparsity : {"kl", "l1"} or None, default=None
        Penalty on the codes, as in `SparseAutoencoder`; "kl" is of the mean code
        of the corrupted rows.

    sparsity_target : float or "auto", default="auto"
        Target ρ, in (0, 1): the mean code asked of each unit. Only used by "kl". "auto"
        is max(0.2, 0.5 − 0.3 k/d) for k units and d features: few units tell most if
        they are as often high as low, and many may be rarer, which makes features
        that a linear model can use. For units that each stand for one thing, as strokes
        or edges, ask for 0.02 to 0.1. It
        pulls, more or less as ``sparsity_weight`` says: compare
        ``mean_activation_``. ``score`` alone always prefers less sparsity, so
        choose it by what the codes are for.

    sparsity_weight : float, "scale" or ("scale", float), default="scale"
        Weight β, in [0, inf). "scale" uses a fifth of the loss of reconstructing every
        row by the column means (a tenth of the total variance, for the squared
        error), and for "l1" that divided by ``n_components`` or, if that is more,
        by ``n_features / 20``: a stronger one silences every code of wide data.
        ("scale", 3) is three times that.

    scale_codes : bool, default=True
        Whether ``transform`` divides each unit's code by its standard deviation over
        the training rows, ``code_scale_``, which ``inverse_transform`` undoes. What
        comes after then meets features of unit spread, not centred, so that zeros stay.
        Training, ``predict`` and the other fitted attributes know unscaled codes only.

    solver : {"lbfgs", "adam"}, default="lbfgs"
        "lbfgs" works on all rows at every step and goes to a minimum. "adam" takes
        a step after every batch of rows: the choice where rows are many, or come
        in pieces (``partial_fit``). It comes near a minimum in a few epochs and
        stays there; with ``warm_start=True``, ``set_params(solver="lbfgs")`` and
        another ``fit`` go the rest of the way.

    max_iter : int, default=1000
        Most iterations of L-BFGS; with Adam, most epochs, each of which goes
        through all rows once.

    max_fun : int, default=15000
        Most evaluations of J and its gradient by L-BFGS, at least one an
        iteration. Not used by Adam.

    growing_samples : bool, default=True
        Whether L-BFGS begins on samples of the rows that grow, where there are 10,000
        rows or more: 30 iterations on 1000 rows, then on four times as many, and so on,
        before those on all rows. ``max_iter`` counts all of them. The minimum is one of
        the same loss, but maybe another one. Not used by Adam.

    tol : float, default=1e-2
        Training has converged when J would fall by no more than this, relatively, if
        it went on: by ``tol`` times J, or a tenth of the loss of the column means
        where J is below that. That is estimated as three times what J has fallen by in
        the last quarter of L-BFGS's iterations, ten of them at least, or of Adam's
        epochs, ``n_iter_no_change`` of them at least. The meaning is the same for any
        number of columns in any units. With ``early_stopping`` the score
        on held-out rows decides. With noise drawn afresh, it is the loss at the start
        of a draw that decides: whether it has fallen by more in the last three,
        or in 40 iterations.

    batch_size : int or "auto", default="auto"
        Most rows of a batch of Adam's; batches are of equal size, give or take a
        row. "auto" is 200, or all rows if they are fewer.

    learning_rate : {"constant", "linear"}, default="constant"
        Whether "adam" keeps its step, or lets it fall linearly to nothing over
        ``max_iter`` epochs, which settles the weights where batches are noisy.

    learning_rate_init : float, default=3e-3
        Length of Adam's steps, in (0, inf): how far an entry of the weights moves
        at a time, in units in which the data have unit spread.

    shuffle : bool, default=True
        Whether Adam goes through the rows in another order every epoch.

    early_stopping : bool, default=False
        Whether to hold rows out of training, with either solver, and to stop when
        the score on them has not risen by ``tol / n_iter_no_change``,
        ``n_iter_no_change`` times over. The weights kept are those that scored best.
        ``partial_fit`` holds none out.

    validation_fraction : float, default=0.1
        The fraction of the rows that ``early_stopping`` holds out, in (0, 1).

    n_iter_no_change : int, default=10
        Epochs that Adam looks back at, at least, before it stops, and as many as have
        1/``learning_rate_init`` batches; and iterations or epochs without a better
        score before ``early_stopping`` stops.

    n_init : int, default=1
        Number of random starts. J is not convex; the lowest loss is kept.

    n_jobs : int, default=None
        Number of starts trained at the same time, through joblib. None is 1
        unless in a ``joblib.parallel_config`` context, -1 is all processors.
        A single start uses as many threads as BLAS is allowed, without this.

    random_state : int, RandomState instance or None, default=None
        Draws the initial weights, the noise, the order of the rows and those held
        out. Pass an int for reproducible results.

    warm_start : bool, default=False
        Whether ``fit`` continues from the weights of the previous call, with
        one start, instead of drawing new ones. The solver may have changed since.

    verbose : int, default=0
        1 prints a line every tenth iteration or epoch, 2 every one.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_features)
        W, the weights of the encoder: what each unit looks for.

    intercept_hidden_ : ndarray of shape (n_components,)
        b, the biases of the hidden units.

    decoder_components_ : ndarray of shape (n_components, n_features)
        D, the weights of the decoder: what each unit adds to a reconstruction.

    intercept_visible_ : ndarray of shape (n_features,)
        c, the biases of the output. Training starts them at the column means
        (at their logit, behind a logistic output).

    mean_activation_ : ndarray of shape (n_components,)
        Mean code of each unit over the training data, without the rows held out;
        after ``partial_fit``, over the last piece.

    code_scale_ : ndarray of shape (n_components,)
        Standard deviation of each unit's code over the training data, without the
        rows held out; 1 for a unit that has less than a thousandth of the typical
        one. After ``partial_fit``, see there.

    loss_ : float
        J after training. With Adam, its mean over the batches of the last epoch,
        as they were met on the way; with ``early_stopping``, that of the
        iteration or epoch whose weights are kept.

    loss_terms_ : dict of str to float
        The parts of ``loss_``: "reconstruction", "decay" and "sparsity";
        with ``l1_ratio`` also "l1", that of the absolute values of the weights.

    loss_curve_ : ndarray of shape (n_iter_,)
        J after each iteration, or its mean over the batches of each epoch. While
        samples grow, J on the rows of the moment.

    loss_curve_terms_ : dict of str to ndarray of shape (n_iter_,)
        The parts of J after each iteration.

    validation_scores_ : ndarray of shape (n_iter_,) or None
        With ``early_stopping``, the fraction of the loss of the column means that
        the reconstruction of the held-out rows does away with (under one draw of
        noise), after each iteration or epoch: 1 is perfect. None without. Where
        Ctrl-C came during a score, it is one entry shorter.

    n_iter_ : int
        Number of iterations done, or of epochs: 1 after ``partial_fit``.

    penalties_ : dict of str to list of float
        What multiplies ½‖W‖² and ½‖D‖², as "squares", and ‖W‖₁ and ‖D‖₁, as "absolute".
        Where ``alpha`` is a number it is (1 − l1_ratio) α and l1_ratio α. "scale" is
        multiplied by u/z², and by u/z for absolute values, where weights grow as z with
        the unit of X: 1/s for W, s for D below linear outputs and 1 below logistic
        ones, and 1 if they are tied; u is s², and 1 with ``loss="log_loss"``.

    feature_range_ : ndarray of shape (2, n_features)
        Minimum and maximum of each feature in the training data, without the rows
        held out; after ``partial_fit``, in the last piece.

    sparsity_weight_ : float
        The β used; 0 where ``sparsity=None``.

    sparsity_target_ : float or None
        The ρ used; None where ``sparsity`` is not "kl".

    sparsity_of_weights_ : dict of str to float
        The fractions of ``components_``, as "encoder", and of
        ``decoder_components_``, as "decoder", that are exactly zero.

    n_features_in_ : int
        Number of features seen in ``fit``.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if X had any that are all strings.

    See Also
    --------
    SparseAutoencoder : Codes that are active only now and then.
    ContractiveAutoencoder : Robust codes without noise.
    sklearn.decomposition.PCA : Linear codes, in closed form; its reconstruction
        denoises too.

    Notes
    -----
    The noise of an entry is a pure function of a seed, the number of the draw,
    and the entry's place in X: it is made afresh, in blocks of rows, at every
    evaluation and never stored. With Adam a batch counts as a draw, and the place
    is that in the batch. ``random_state`` draws the seed. Weighted rows
    and repeated rows differ, since each repetition meets its own noise.

    ``score``, ``transform`` and ``mean_activation_`` are of clean data.
    ``loss_curve_`` is the loss on the noise of the moment, so it steps up at
    each draw.

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

    feature_range_: np.ndarray
    _parameter_constraints: dict = {
        **BaseAutoencoder._parameter_constraints,
        **SparsityMixin._parameter_constraints,
        "corruption": [StrOptions(set(CORRUPTIONS)), callable],
        "corruption_level": [Interval(Real, 0, None, closed="left")],
        "emphasis": [tuple, list, None],
        "redraw_every": [Interval(Integral, 1, None, closed="left"), None],
    }

    def __init__(
        self,
        n_components: int | None = None,
        *,
        corruption: str | Callable[[np.ndarray, np.ndarray], np.ndarray] = "masking",
        corruption_level: float = 0.3,
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
        """Corrupt X as training does.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.
        random_state : int, RandomState instance or None, default=None
            Draws the noise. Pass an int for reproducible results.

        Returns
        -------
        ndarray or CSR matrix of shape (n_samples, n_features)
            A corrupted copy, in the dtype of X if that is float32 or float64. It is
            sparse where X is and ``corruption="masking"``: other noise leaves hardly
            an entry zero.
        """
        rows = self._rows(X)
        seed = check_random_state(random_state).randint(np.iinfo(np.int32).max)
        corruption = self._corruption(self.feature_range_.astype(rows.dtype))
        return rows.corrupted(Noise(corruption, seed))

    def _check_combinations(self):
        super()._check_combinations()
        kind = Custom if callable(self.corruption) else CORRUPTIONS[self.corruption]
        if kind.is_fraction and self.corruption_level > 1:
            raise ValueError(
                f"corruption={self.corruption!r} takes corruption_level, a fraction of "
                f"the entries, in [0, 1]; got corruption_level={self.corruption_level}."
            )
        if self.emphasis is None:
            return
        if not kind.selects:
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

    def _corruption(self, feature_range):
        if callable(self.corruption):
            return Custom(self.corruption)
        low, high = feature_range
        return CORRUPTIONS[self.corruption](float(self.corruption_level), low, high)

    def _terms(self, data, scale, n_components, random_state):
        terms, fitted = self._sparsity(scale, n_components)
        feature_range = data.X.ranges(data.weights)
        seed = random_state.randint(np.iinfo(np.int32).max)
        noise = Noise(self._corruption(feature_range), seed)
        keywords = {"terms": terms, "noise": noise, "emphasis": self.emphasis}
        return keywords, {**fitted, "feature_range_": feature_range}

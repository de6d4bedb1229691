"""The sparse autoencoder."""

from skae.estimators._base import BaseAutoencoder
from skae.estimators._parameters import Seed, SparsityMixin, Strength


class SparseAutoencoder(SparsityMixin, BaseAutoencoder):
    r"""Autoencoder with sparse codes.

    An encoder computes the code h of a row x, and a decoder computes the reconstruction
    x̂ from the code:

    .. math::

        h = f(W x + b), \qquad \hat x = g(D^\top h + c) .

    Training minimises the mean loss of the n rows, a decay of the weights, and a
    penalty that keeps the codes sparse [1]_:

    .. math::

        J = \frac{1}{n} \sum_i \frac{1}{2} \|\hat x_i - x_i\|^2
            + \frac{\alpha}{2} \left( \|W\|^2 + \|D\|^2 \right)
            + \beta \sum_j \mathrm{KL}(\rho \,\|\, \hat\rho_j) .

    Here ρ̂_j is the mean code of unit j over all rows, ρ is the target for this mean,
    and KL(ρ‖ρ̂) = ρ log(ρ/ρ̂) + (1−ρ) log((1−ρ)/(1−ρ̂)) is the Kullback-Leibler
    divergence. Each unit then learns a feature that only some of the rows have, such as
    a stroke of a digit or an edge in a photograph.

    J is minimised over all rows at once by L-BFGS [2]_, or in batches of rows by Adam
    [3]_. The same ``random_state`` gives the same bits.

    Parameters
    ----------
    n_components : int, default=None
        Number of hidden units, which is the length of a code. It may exceed the number
        of features: the sparsity penalty keeps such codes useful. None uses the number
        of features, but at most 8192.

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
        variant [4]_, and Adam applies soft-thresholding after each step. Use it for
        units that depend on few features and can be interpreted, such as the pixels of
        one stroke or a handful of genes.

        With ``alpha="scale"``, α for features of unit variance is
        1/(r/5e-3 + (1 − r)/a), where a is the value given under ``alpha``. For other
        data, the penalty on absolute values is multiplied by s³ for W and by s for D,
        so that it does not depend on the units of X.

    sparsity : {"kl", "l1"} or None, default="kl"
        Penalty on the codes.

        * "kl": the Kullback-Leibler divergence above, for logistic and tanh units. The
          codes of tanh units, in (−1, 1), enter it as (h + 1)/2.
        * "l1": ``β (1/n) Σ_i Σ_j |h_ij|``, with any activation.
        * None: no penalty. This is a plain autoencoder. With identity activations it
          spans the same space as PCA.

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
        Determines the initial weights, the order of the rows and the choice of held-out
        rows. Pass an int for reproducible results.

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
        With ``early_stopping``, the score on the held-out rows after each iteration or
        epoch: the fraction by which the reconstruction reduces the loss of the column
        means. 1 is perfect. None without ``early_stopping``. If Ctrl-C interrupted the
        computation of a score, there is one entry less.

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
    sklearn.decomposition.PCA : Linear codes, in closed form.
    sklearn.neural_network.BernoulliRBM : Another unsupervised network.
    sklearn.decomposition.DictionaryLearning : Sparse codes by optimisation of
        each code, without an encoder.

    Notes
    -----
    Features are not scaled. As in PCA, those with the largest variance have most
    influence, unless a scaler comes first.

    Inside ``GridSearchCV(n_jobs=-1)``, every worker uses the number of threads that
    joblib assigns to it, so no further setting is needed. X of float32 is trained in
    float32, in about half the time.

    If the penalties are far too strong for the data, all weights become zero, every row
    is reconstructed by the column means, and ``score`` is 0.

    A constant column is reconstructed by its output bias. If all rows are equal, the
    data are treated as having unit spread.

    With Adam, a batch contains only some of the rows. The KL penalty is therefore
    evaluated at a running mean of the mean codes of about the last ten batches.
    ``loss_`` and ``loss_terms_`` use its value there.

    References
    ----------
    .. [1] A. Ng, "Sparse autoencoder", CS294A Lecture notes, Stanford
       University, 2011: the objective above, and its gradient.
    .. [2] J. Nocedal and S. J. Wright, "Numerical Optimization", 2nd edition,
       Springer, 2006, chapters 3 and 7: L-BFGS and its line search.
    .. [3] D. P. Kingma and J. Ba, "Adam: a method for stochastic optimization",
       ICLR 2015, Algorithm 1.
    .. [4] G. Andrew and J. Gao, "Scalable training of L1-regularized log-linear
       models", ICML 2007: L-BFGS for an L1 penalty.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import SparseAutoencoder
    >>> X, _ = load_digits(return_X_y=True)
    >>> autoencoder = SparseAutoencoder(32, random_state=0)
    >>> codes = autoencoder.fit_transform(X)
    >>> codes.shape
    (1797, 32)
    >>> bool(autoencoder.score(X) > 0.8)
    True

    Rows that arrive in pieces; here all pieces are used ten times:

    >>> import numpy as np
    >>> online = SparseAutoencoder(32, solver="adam", random_state=0)
    >>> for piece in 10 * np.array_split(X, 6):
    ...     online = online.partial_fit(piece)
    >>> bool(online.score(X) > 0.6)
    True
    """

    _parameter_constraints: dict = {
        **BaseAutoencoder._parameter_constraints,
        **SparsityMixin._parameter_constraints,
    }

    def __init__(
        self,
        n_components: int | None = None,
        *,
        activation: str = "logistic",
        output_activation: str = "identity",
        loss: str = "squared_error",
        tied_weights: bool = False,
        alpha: Strength = "scale",
        l1_ratio: float = 0.0,
        sparsity: str | None = "kl",
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

    def _terms(self, data, scale, n_components, random_state, first):
        terms, fitted = self._sparsity(scale, n_components)
        return {"terms": terms}, fitted

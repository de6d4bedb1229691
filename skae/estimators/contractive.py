"""The contractive autoencoder."""

import numpy as np

from skae.core.activations import ACTIVATIONS
from skae.core.penalties import Contraction
from skae.estimators._base import BaseAutoencoder
from skae.estimators._parameters import STRENGTH, Seed, Strength, resolved
from skae.rows.reading import MatrixLike


class ContractiveAutoencoder(BaseAutoencoder):
    r"""Autoencoder whose codes are stable under small changes of the data.

    It adds a penalty to the loss of the reconstruction: the squared Frobenius norm of
    the Jacobian of the code, which is the sum of the squares of all derivatives of the
    code with respect to the row [1]_:

    .. math::

        h = f(W x + b), \qquad \hat x = g(D^\top h + c),

    .. math::

        J = \frac{1}{n} \sum_i \frac{1}{2} \|\hat x_i - x_i\|^2
            + \frac{\alpha}{2} \left( \|W\|^2 + \|D\|^2 \right)
            + \lambda \, \frac{1}{n} \sum_i
              \left\| \frac{\partial h_i}{\partial x_i} \right\|_F^2 .

    The reconstruction needs codes that change along the directions in which the data
    vary. In all other directions, the penalty keeps the code nearly constant.

    The Jacobian of a row is diag(f′(z)) W with z = W x + b, so its squared norm is
    Σ_j f′(z_j)² ‖w_j‖². This is exact and does not need the Jacobian itself.

    Parameters
    ----------
    n_components : int, default=None
        Number of hidden units, which is the length of a code. It may exceed the number
        of features. None uses the number of features, but at most 8192.

    contraction_weight : float, "scale" or ("scale", float), default="scale"
        Weight λ of the penalty, in [0, inf). "scale" is 0.1 s² times the loss of
        reconstructing every row by the column means, where s² is the mean variance of a
        feature. This has the same meaning in all units of X. ("scale", 3) is three
        times "scale".

    activation : {"logistic", "tanh"}, default="logistic"
        Activation f of the hidden units. "identity" and "relu" raise an error. The
        Jacobian of linear units is the same for every row, so the penalty would be a
        weight decay (``alpha``). The Jacobian of rectified units is piecewise constant,
        and its gradient does not see the jumps.

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
        variant [2]_, and Adam applies soft-thresholding after each step. Use it for
        units that depend on few features and can be interpreted, such as the pixels of
        one stroke or a handful of genes.

        With ``alpha="scale"``, α for features of unit variance is
        1/(r/5e-3 + (1 − r)/a), where a is the value given under ``alpha``. For other
        data, the penalty on absolute values is multiplied by s³ for W and by s for D,
        so that it does not depend on the units of X.

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
        The parts of ``loss_``: "reconstruction", "decay", "sparsity" and "contraction".
        With ``l1_ratio`` also "l1", the penalty on absolute values of the weights.

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

    contraction_weight_ : float
        The value of λ that was used.

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
    DenoisingAutoencoder : Stable codes, by training on corrupted rows.
    sklearn.decomposition.PCA : Linear codes, in closed form.

    Notes
    -----
    Without tied weights, the encoder's weights could shrink while the decoder's grow.
    This makes the Jacobian small and changes nothing else. Weight decay prevents it,
    and so does ``tied_weights=True``, which is how [1]_ defines the method.

    References
    ----------
    .. [1] S. Rifai, P. Vincent, X. Muller, X. Glorot and Y. Bengio, "Contractive
       auto-encoders: explicit invariance during feature extraction", ICML 2011,
       equations 4 and 6.
    .. [2] G. Andrew and J. Gao, "Scalable training of L1-regularized log-linear
       models", ICML 2007: L-BFGS for an L1 penalty.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import ContractiveAutoencoder
    >>> X, _ = load_digits(return_X_y=True)
    >>> loose = ContractiveAutoencoder(
    ...     16, contraction_weight=0.0, tol=0.05, random_state=0
    ... ).fit(X)
    >>> tight = ContractiveAutoencoder(16, tol=0.05, random_state=0).fit(X)
    >>> bool(tight.jacobian_norm(X).mean() < loose.jacobian_norm(X).mean())
    True
    """

    contraction_weight_: float
    _parameter_constraints: dict = {
        **BaseAutoencoder._parameter_constraints,
        "contraction_weight": STRENGTH,
    }

    def __init__(
        self,
        n_components: int | None = None,
        *,
        contraction_weight: Strength = "scale",
        activation: str = "logistic",
        output_activation: str = "identity",
        loss: str = "squared_error",
        tied_weights: bool = False,
        alpha: Strength = "scale",
        l1_ratio: float = 0.0,
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
        self.contraction_weight = contraction_weight
        self.activation = activation
        self.output_activation = output_activation
        self.loss = loss
        self.tied_weights = tied_weights
        self.alpha = alpha
        self.l1_ratio = l1_ratio
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

    def jacobian_norm(self, X: MatrixLike) -> np.ndarray:
        """Compute the Frobenius norm of the Jacobian of the code for each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        ndarray of shape (n_samples,)
            ‖∂h_i/∂x_i‖_F, in units of a code per unit of X.
        """
        rows = self._rows(X)
        W, activation = self.components_, ACTIVATIONS[self.activation]
        squares = np.vecdot(W, W).astype(rows.dtype, copy=False)

        def write(encode, decode, X, norms):
            codes = encode(X)
            slopes = np.empty_like(codes)
            activation.derivative(codes, out=slopes)
            np.square(slopes, out=slopes)
            np.matmul(slopes, squares, out=norms)
            np.sqrt(norms, out=norms)

        return self._fill(np.empty(len(rows), rows.dtype), write, rows)

    def _check_combinations(self):
        super()._check_combinations()
        if ACTIVATIONS[self.activation].curvature is None:
            smooth = sorted(
                name for name, f in ACTIVATIONS.items() if f.curvature is not None
            )
            raise ValueError(
                "ContractiveAutoencoder needs a smooth activation that saturates, got "
                f"activation={self.activation!r}; the slope of its units is piecewise "
                f"constant, so the penalty would act as a weight decay. Use one of "
                f"{smooth}, or increase alpha, the weight decay."
            )

    def _terms(self, data, scale, n_components, random_state, first):
        weight = resolved(self, "contraction_weight", scale.contraction_weight)
        term = Contraction(weight, ACTIVATIONS[self.activation])
        return {"terms": [term]}, {"contraction_weight_": weight}

"""The contractive autoencoder."""

import numpy as np

from skae.core.activations import ACTIVATIONS
from skae.core.penalties import Contraction
from skae.estimators._base import BaseAutoencoder
from skae.estimators._parameters import STRENGTH, Seed, Strength, resolved
from skae.rows.reading import MatrixLike


class ContractiveAutoencoder(BaseAutoencoder):
    """Autoencoder whose codes resist small changes of the data.

    To the loss of the reconstructions it adds the squared Frobenius norm of the
    Jacobian of the code, the sum of squares of all its derivatives by the data::

        h = f(W x + b),    x̂ = g(Dᵀ h + c),
        J = (1/n) Σ_i ½‖x̂_i − x_i‖² + (α/2)(‖W‖² + ‖D‖²)
            + λ (1/n) Σ_i ‖∂h_i/∂x_i‖²_F.

    Codes are drawn together in all directions but those that reconstruction
    needs, which are those along which the data vary. The Jacobian of a row is
    diag(f′(z)) W, so its squared norm is Σ_j f′(z_j)² ‖w_j‖²: exact, with no
    Jacobian ever formed.

    Parameters
    ----------
    n_components : int, default=None
        Number of hidden units, the length of a code. It may exceed the number
        of features. None takes as many as there are features, up to 8192.

    contraction_weight : float, "scale" or ("scale", float), default="scale"
        Weight λ, in [0, inf). "scale" uses 0.1 s² times the loss of reconstructing
        every row by the column means, where s² is the mean variance of a
        feature, so that it means the same in whatever unit X is measured.
        ("scale", 3) is three times that.

    activation : {"logistic", "tanh"}, default="logistic"
        f, the activation of the hidden units. "identity" and "relu" are refused:
        the Jacobian of a linear unit is the same for every row, so that
        contraction would be weight decay (``alpha``), and that of a rectified
        one is constant but for jumps that no gradient sees.

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
        L-BFGS finds orthant by orthant [2]_, and that Adam approaches by
        soft-thresholding after each step. Use it for units that look at few
        features each and can be read: pixels of one stroke, a handful of genes.
        alpha="scale" is then 1/(l1_ratio/5e-3 + (1 − l1_ratio)/a) for data of unit
        spread, with a from above: absolute values, too, are penalised alike in whatever
        unit X is measured, those of W by s³ and those of D by s times as much.

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
        on held-out rows decides.

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
        Draws the initial weights, the order of the rows and those held out. Pass an
        int for reproducible results.

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
        The parts of ``loss_``: "reconstruction", "decay", "sparsity" and
        "contraction"; with ``l1_ratio`` also "l1", that of the absolute values of
        the weights.

    loss_curve_ : ndarray of shape (n_iter_,)
        J after each iteration, or its mean over the batches of each epoch. While
        samples grow, J on the rows of the moment.

    loss_curve_terms_ : dict of str to ndarray of shape (n_iter_,)
        The parts of J after each iteration.

    validation_scores_ : ndarray of shape (n_iter_,) or None
        With ``early_stopping``, the fraction of the loss of the column means that
        the reconstruction of the held-out rows does away with, after each
        iteration or epoch: 1 is perfect. None without. Where Ctrl-C came during a
        score, it is one entry shorter.

    n_iter_ : int
        Number of iterations done, or of epochs: 1 after ``partial_fit``.

    penalties_ : dict of str to list of float
        What multiplies ½‖W‖² and ½‖D‖², as "squares", and ‖W‖₁ and ‖D‖₁, as "absolute".
        Where ``alpha`` is a number it is (1 − l1_ratio) α and l1_ratio α. "scale" is
        multiplied by u/z², and by u/z for absolute values, where weights grow as z with
        the unit of X: 1/s for W, s for D below linear outputs and 1 below logistic
        ones, and 1 if they are tied; u is s², and 1 with ``loss="log_loss"``.

    contraction_weight_ : float
        The λ used.

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
    DenoisingAutoencoder : Robust codes by training on corrupted rows.
    sklearn.decomposition.PCA : Linear codes, in closed form.

    Notes
    -----
    With untied weights the encoder could shrink and the decoder grow, which
    makes the Jacobian small and changes nothing else; weight decay is what stops
    that, and so do ``tied_weights``, which is how [1]_ defines the method.

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
        """Compute the Frobenius norm of each row's Jacobian of the code.

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
                f"activation={self.activation!r}, the Jacobian of whose units is "
                f"constant, but for jumps that a gradient cannot see; use one of "
                f"{smooth}, or weight decay, alpha."
            )

    def _terms(self, data, scale, n_components, random_state):
        weight = resolved(self, "contraction_weight", scale.contraction_weight)
        term = Contraction(weight, ACTIVATIONS[self.activation])
        return {"terms": [term]}, {"contraction_weight_": weight}

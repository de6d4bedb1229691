"""A deep, mirrored autoencoder, pre-trained layer by layer."""

from collections.abc import Sequence
from typing import Self

import numpy.typing as npt

from skae._sklearn import StrOptions
from skae.core.activations import ACTIVATIONS
from skae.engines.blas import single_threaded_blas
from skae.estimators._fitting import unchanged_on_error, warn_if_cut_short
from skae.estimators._parameters import OutputMixin, Seed, Strength, check_works
from skae.estimators._pretraining import (
    Pretraining,
    activation_of,
    output_activation_of,
)
from skae.estimators._reconstruction import ReconstructionMixin
from skae.estimators._stack import BaseStack
from skae.estimators._targets import Targets
from skae.rows.reading import MatrixLike, read
from skae.training.early_stopping import HeldOutLoss


class StackedAutoencoder(OutputMixin, ReconstructionMixin, BaseStack):
    """Deep autoencoder: an encoder of several layers and its mirror image.

    Each layer is pre-trained as an autoencoder of the codes of the layer below; then
    the stack is unrolled [1]_, the decoders in reverse above the encoders,

    .. code-block:: text

        h⁰ = x,    hˡ = f(W_l hˡ⁻¹ + b_l)               l = 1 … L, the code is h^L,
        r^L = h^L, rˡ⁻¹ = f(D_l rˡ + c_l)               l = L … 2,
        x̂ = g(D_1 r¹ + c_1),

    (a decoder ends in a logistic function where its autoencoder has logistic outputs,
    and is linear elsewhere), and all weights, now independent of each other, are
    fine-tuned on

    .. code-block:: text

        J = (1/n) Σ_i ℓ(x_i, x̂_i) + (α/2) Σ_l (‖W_l‖² + ‖D_l‖²).

    A few codes then reconstruct what takes many principal components. For a handful
    of columns, or where linear structure is all there is, PCA is as good and exact.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default=(100,)
        Units of each layer of the encoder, the code's last. The decoder mirrors them.

    autoencoder : {"denoising", "sparse", "contractive", "rbm"}, estimator, list of \
            these, or None, default="denoising"
        What pre-trains a layer; a list has one for each. An estimator is cloned and
        given its size as ``n_components``; fitted, it must have ``components_`` and
        ``intercept_hidden_``, and ``intercept_visible_`` to decode, as the
        autoencoders here and scikit-learn's ``BernoulliRBM`` have, and where it has no
        ``activation`` it counts as logistic. Its other parameters can be searched, as
        in ``autoencoder__sparsity_target``. A name stands for that autoencoder with
        this stack's solver and limits and its own defaults otherwise; after logistic
        layers with logistic outputs and ``loss="log_loss"``. Its ``tol`` is ten
        times the stack's, up to 0.1. "rbm" is
        ``BernoulliRBM``, for rows in [0, 1]. None starts from random weights.

    activation : {"logistic", "tanh", "relu", "identity"}, default="logistic"
        f, where ``autoencoder`` is a name or None. An estimator brings its own.

    code_activation : {"logistic", "tanh", "relu", "identity"}, default=None
        The same for the top layer, whose codes ``transform`` returns; "identity" as
        in [1]_. None is ``activation``.

    output_activation : {"identity", "logistic"}, default="identity"
        The outputs' g: "identity" suits data on any scale, "logistic" data in [0, 1].

    loss : {"squared_error", "log_loss"}, default="squared_error"
        ℓ: ½‖x̂ − x‖², or the cross-entropy Σ_k −x log x̂ − (1 − x) log(1 − x̂), which
        needs ``output_activation="logistic"``.

    fine_tune : bool, default=True
        Whether to train all weights together in the end. Without, the autoencoders
        are simply applied one after the other.

    scale_codes : bool, default=True
        Whether ``transform`` divides each unit's code by its standard deviation over
        the training rows, ``code_scale_``, which ``inverse_transform`` undoes. What
        comes after then meets features of unit spread, not centred, so that zeros stay.
        Training, ``predict`` and the other fitted attributes know unscaled codes only.

    solver : {"lbfgs", "adam"}, default="lbfgs"
        "lbfgs" works on all rows at once, and is the better choice for up to some
        ten thousand rows; "adam" on mini-batches.

    alpha : float, "scale" or ("scale", float), default="scale"
        Weight decay α, in [0, inf). Biases are never penalised. A number is the
        same for all layers, in squared units of X. "scale" decays the weights as 1e-3
        would for data of unit spread, in whatever unit X is measured: with s² the mean
        variance of a feature, α is 1e-3 s⁴ for the first layer, 1e-3 for the last one
        and 1e-3 s² between, because their weights grow as 1/s, s and not at all while
        the loss grows as s² (behind logistic outputs the last one's do not grow
        either, nor does ``loss="log_loss"``). ("scale", 3) is three times that.

    l1_ratio : float, default=0.0
        Share of ``alpha`` that goes to the sums of absolute values, in [0, 1]. The
        penalty of a layer becomes::

            α (l1_ratio ‖W_l‖₁ + ½ (1 − l1_ratio) ‖W_l‖²),

        and the more weights are exactly zero the larger it is: L-BFGS finds a minimum
        orthant by orthant, Adam soft-thresholds after each step. Pre-training
        is not penalised so unless its autoencoder is: its own ``l1_ratio`` says.

    max_iter : int, default=1000
        Limit of iterations of "lbfgs", or of epochs of "adam", in fine-tuning and in
        each layer's pre-training by an autoencoder given by name.

    max_fun : int, default=15000
        Limit of evaluations of the loss, likewise, for "lbfgs".

    growing_samples : bool, default=True
        Whether L-BFGS begins on samples of the rows that grow, where there are 10,000
        rows or more: 30 iterations on 1000 rows, then on four times as many, and so on,
        before those on all rows. ``max_iter`` counts all of them. The minimum is one of
        the same loss, but maybe another one. Not used by Adam.

    tol : float, default=0.05
        Fine-tuning has converged when its loss would fall by no more than this,
        relatively, if it went on: by ``tol`` times the loss, or a tenth of that of
        the column means where it is below. That is estimated as three
        times what the loss has fallen by in the last quarter of L-BFGS's iterations,
        ten of them at least, or of Adam's epochs, ``n_iter_no_change`` at least.

    batch_size : int or "auto", default="auto"
        Rows of a batch of "adam"; "auto" is 200, or all if there are fewer.

    learning_rate : {"constant", "linear"}, default="constant"
        Whether "adam" keeps its step, or lets it fall linearly to nothing over
        ``max_iter`` epochs, which settles the weights where batches are noisy.

    learning_rate_init : float, default=1e-3
        Step of "adam", for data of unit scale.

    shuffle : bool, default=True
        Whether "adam" draws the rows in a new order each epoch.

    early_stopping : bool, default=False
        Whether to hold out rows, stop when the score on them no longer rises, and
        keep the weights that did best. No layer sees the rows held out.

    validation_fraction : float, default=0.1
        Fraction of the rows to hold out, in (0, 1).

    n_iter_no_change : int, default=10
        Iterations or epochs to wait for an improvement. Where an epoch has few batches,
        "adam" goes on until 1/``learning_rate_init`` of them have lowered the loss by
        less than ``tol``.

    input_dropout, hidden_dropout : float, default=0.0
        Probability, in [0, 1), that an entry of the input, or of a hidden layer, is
        left out of a batch. For "adam" only.

    random_state : int, RandomState instance or None, default=None
        Seeds starting weights, noise, and the order of rows. Pass an int for
        reproducible results.

    warm_start : bool, default=False
        Whether ``fit`` continues from the weights and with the activations of the
        last one: fine-tuning without pre-training again.

    verbose : int, default=0
        1 names each stage and prints every tenth iteration, 2 every one.

    Attributes
    ----------
    layers_ : list of estimator or None
        The fitted autoencoders, as they were before fine-tuning. None without
        pre-training.

    coefs_ : list of ndarray of shape (n_inputs, n_units)
        Weights of each layer, the output's last.

    intercepts_ : list of ndarray of shape (n_units,)
        Biases of each layer.

    penalties_ : dict of str to list of float
        What multiplies ½‖W_l‖², as "squares", and ‖W_l‖₁, as "absolute", of each
        layer in ``coefs_``.

    sparsity_of_weights_ : list of float
        The fraction of each layer's weights, as in ``coefs_``, that are exactly zero.

    code_scale_ : ndarray of shape (hidden_layer_sizes[-1],)
        Standard deviation of each unit's code over the training data, without the rows
        held out; 1 for a unit that has less than a thousandth of the typical one.

    loss_ : float or None
        J after fine-tuning; with "adam" the mean over the last epoch's batches, each
        at the weights of its time. With ``early_stopping``, of the weights kept.

    loss_curve_ : ndarray of shape (n_iter_,) or None
        J after every iteration of fine-tuning.

    loss_curves_ : dict of str to ndarray
        The curve of every stage that has one, each of its own J: "layer 1", …,
        "fine-tuning". ``BernoulliRBM`` records none.

    validation_scores_ : ndarray of shape (n_iter_,) or None
        Fraction of the loss of the column means that is done away with on the rows held
        out, if ``early_stopping``.

    n_iter_ : int
        Iterations or epochs of fine-tuning.

    n_layers_ : int
        Layers, input and output included.

    n_features_in_ : int
        Number of features.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, if X has names that are all strings.

    See Also
    --------
    SparseAutoencoder : One hidden layer, sparse codes.
    StackedAutoencoderClassifier : The encoder with a classifier on top.
    sklearn.decomposition.PCA : The linear autoencoder.

    References
    ----------
    .. [1] G. E. Hinton and R. R. Salakhutdinov, "Reducing the dimensionality of data
       with neural networks", Science 313, 2006: figure 1.

    Examples
    --------
    Ten codes for 64 pixels, beside ten principal components:

    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from skae import StackedAutoencoder
    >>> X, _ = load_digits(return_X_y=True)
    >>> stack = StackedAutoencoder(
    ...     (30, 10), code_activation="identity", tol=0.1, random_state=0
    ... )
    >>> deep = stack.fit(X).score(X)
    >>> linear = PCA(10).fit(X).explained_variance_ratio_.sum()
    >>> bool(deep > linear + 0.05)
    True
    """

    _parameter_constraints: dict = {
        **BaseStack._parameter_constraints,
        **OutputMixin._parameter_constraints,
        "code_activation": [StrOptions(set(ACTIVATIONS)), None],
    }
    _unit_alpha = 1e-3

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (100,),
        *,
        autoencoder: Pretraining = "denoising",
        activation: str = "logistic",
        code_activation: str | None = None,
        output_activation: str = "identity",
        loss: str = "squared_error",
        fine_tune: bool = True,
        scale_codes: bool = True,
        solver: str = "lbfgs",
        alpha: Strength = "scale",
        l1_ratio: float = 0.0,
        max_iter: int = 1000,
        max_fun: int = 15000,
        growing_samples: bool = True,
        tol: float = 0.05,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 1e-3,
        shuffle: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        input_dropout: float = 0.0,
        hidden_dropout: float = 0.0,
        random_state: Seed = None,
        warm_start: bool = False,
        verbose: int = 0,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.autoencoder = autoencoder
        self.activation = activation
        self.code_activation = code_activation
        self.output_activation = output_activation
        self.loss = loss
        self.fine_tune = fine_tune
        self.scale_codes = scale_codes
        self.solver = solver
        self.alpha = alpha
        self.l1_ratio = l1_ratio
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
        self.input_dropout = input_dropout
        self.hidden_dropout = hidden_dropout
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose

    def fit(
        self,
        X: MatrixLike,
        y: object = None,
        sample_weight: npt.ArrayLike | None = None,
    ) -> Self:
        """Pre-train the layers and fine-tune the whole.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data. float32 and float64 are kept, anything else becomes float64.
            Sparse X, of any format, gives the weights that dense X gives; see the
            notes. NaN is a missing entry.
        y : None
            Ignored; here for scikit-learn's conventions.
        sample_weight : array-like of shape (n_samples,), optional
            Non-negative weights of the rows, zero for absence. Pre-training heeds
            them where the autoencoder takes weights.

        Returns
        -------
        object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter, X or sample_weight is not what is allowed; the
            message names it.

        Notes
        -----
        The loss of a row with missing entries is a sum over those that were observed;
        where one is missing, the mean of its column is encoded.

        Pre-training need not converge, so it warns of no limit; fine-tuning does.
        Ctrl-C while fine-tuning keeps the weights so far and warns. Before that
        there is no whole stack to keep, so it ends the fit with KeyboardInterrupt and
        leaves the weights of an earlier fit. Where joblib runs this fit among others,
        as in a grid search, it ends them all.

        From scikit-learn 1.9 on, callbacks set by ``set_callbacks`` follow every
        layer, stage and iteration. A request to stop ends the iterations of a stage,
        not the stages, all of which a stack is made of.

        Of sparse X the first layer multiplies non-zeros only, in pre-training as far as
        its autoencoder does and in fine-tuning; codes are dense. With
        ``output_activation="identity"`` and ``loss="squared_error"`` the last layer
        does so too, and no reconstruction is formed; L-BFGS works on a second copy of
        the non-zeros then, by columns. Other outputs compare with dense rows, a block
        at a time. ``input_dropout`` draws factors of zeros too, so it takes time
        for each of the n_samples x n_features entries in every epoch. Callbacks are
        shown the sparse rows as targets, which scikit-learn's metrics refuse: give
        ``ScoringMonitor`` a function instead, such as ``scoring={"score": lambda
        estimator, X, y: estimator.score(X)}``.
        """
        with unchanged_on_error(self), single_threaded_blas():
            self._check_parameters()
            given = read(self, X, sample_weight, reset=not self._continues)
            check_works(self, given, self.solver)
            ended = self._learn(given, Targets(self.output_activation, self.loss))
        warn_if_cut_short(self, *ended)
        return self

    def _check_stages(self):
        super()._check_stages()
        self._check_combinations()
        given, wanted = self.autoencoder, self.code_activation
        if isinstance(given, list | tuple) and given:
            given = given[-1]
        if wanted is None or given is None or isinstance(given, str):
            return
        own = activation_of(given)
        if own != wanted:
            raise ValueError(
                f"code_activation={wanted!r} is for an autoencoder given by name, but "
                f"the last layer's, {given!r}, has activation={own!r}; give it "
                f"activation={wanted!r}, as in a list with one autoencoder for each "
                "layer, or use code_activation=None."
            )

    def _encoder_names(self):
        names = super()._encoder_names()
        names[-1] = self.code_activation or self.activation
        return names

    def _layer_sizes(self, data):
        d, sizes = data.X.shape[1], self._sizes()
        return (d, *sizes, *sizes[-2::-1], d)

    def _penalised_layers(self):
        return [True] * (2 * len(self._sizes()))

    def _activations(self, autoencoders):
        if autoencoders is None:
            names = self._encoder_names()
            return [*names, *names[-2::-1]]
        first, *others = (output_activation_of(a) for a in autoencoders)
        if first != self.output_activation:
            raise ValueError(
                f"{type(autoencoders[0]).__name__} for the first layer has "
                f"output_activation={first!r}, and its decoder becomes the last layer "
                f"of the stack, which got output_activation="
                f"{self.output_activation!r}; set the stack's output_activation="
                f"{first!r}, or use another autoencoder."
            )
        return [*(activation_of(a) for a in autoencoders), *others[::-1]]

    _trains_output = False

    def _start_above(self, problem, targets, theta, autoencoders, task):
        """Put the decoders, in reverse, above the encoders."""
        parameters = problem.objective.parameters(theta)
        depth = len(self._sizes())
        for layer, autoencoder in enumerate(reversed(autoencoders), depth):
            if not hasattr(autoencoder, "intercept_visible_"):
                raise ValueError(
                    f"autoencoder={autoencoder!r} has no intercept_visible_ after "
                    "fit, which decoding needs; use SparseAutoencoder or "
                    "BernoulliRBM, say."
                )
            # BernoulliRBM decodes by the weights it encodes by.
            decoder = getattr(
                autoencoder, "decoder_components_", autoencoder.components_
            )
            parameters.coefs[layer][:] = decoder.T
            parameters.intercepts[layer][:] = autoencoder.intercept_visible_

    def _validator(self, objective, held_out, unit):
        return HeldOutLoss(objective, held_out, unit, draw=None)  # no dropout

    @property
    def _n_features_out(self):
        return self.coefs_[len(self.coefs_) // 2 - 1].shape[1]

    def _encoder(self, dtype):
        return self._layers(dtype, last=len(self.coefs_) // 2)

    def _decoder(self, dtype):
        return self._layers(dtype, first=len(self.coefs_) // 2)

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
    r"""Deep autoencoder: an encoder of several layers and its mirror image.

    Each layer is pre-trained as an autoencoder of the codes of the layer below. Then
    the decoders are put on top of the encoders, in reverse order [1]_:

    .. math::

        h^0 = x, \qquad h^l = f(W_l h^{l-1} + b_l), \qquad l = 1, \ldots, L,

    .. math::

        r^L = h^L, \qquad r^{l-1} = f(D_l r^l + c_l), \qquad
        \hat x = g(D_1 r^1 + c_1) .

    The code is the top layer h^L. A decoder has logistic outputs if its autoencoder
    has; otherwise it is linear.

    Finally all weights, which are now independent of each other, are trained together,
    which is called fine-tuning. They minimise

    .. math::

        J = \frac{1}{n} \sum_i \ell(x_i, \hat x_i)
            + \frac{\alpha}{2} \sum_l \left( \|W_l\|^2 + \|D_l\|^2 \right) .

    A few such codes can reconstruct as much as many principal components. With only a
    handful of columns, or if the structure is linear, PCA is as good, and it is exact.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default=(100,)
        Number of units of each layer of the encoder. The last layer is the code. The
        decoder has the same sizes in reverse order.

    autoencoder : str, estimator, list or None, default="denoising"
        What pre-trains a layer.

        * A name: "denoising", "sparse", "contractive" or "rbm". It stands for this
          autoencoder with its default parameters, but with the solver and the limits of
          the stack. Above logistic layers it has logistic outputs and
          ``loss="log_loss"``. Its ``tol`` is ten times that of the stack, at most 0.1.
          "rbm" is scikit-learn's ``BernoulliRBM``, for rows in [0, 1].
        * An estimator. It is cloned, and its ``n_components`` is set to the size of the
          layer. After ``fit`` it must have ``components_`` and ``intercept_hidden_``,
          and ``intercept_visible_`` for the decoder, as the autoencoders here and
          ``BernoulliRBM`` have. If it has no ``activation``, it is taken to be
          logistic. Its parameters can be searched, as in
          ``autoencoder__sparsity_target``.
        * A list with one of these for each layer.
        * None: no pre-training, random initial weights.

    activation : {"logistic", "tanh", "relu", "identity"}, default="logistic"
        Activation f of the hidden layers if ``autoencoder`` is a name or None. An
        estimator uses its own activation.

    code_activation : {"logistic", "tanh", "relu", "identity"}, default=None
        Activation of the top layer, whose codes ``transform`` returns. It is "identity"
        in [1]_. None means ``activation``.

    output_activation : {"identity", "logistic"}, default="identity"
        Activation g of the outputs: "identity" for data on any scale, "logistic" for
        data in [0, 1].

    loss : {"squared_error", "log_loss"}, default="squared_error"
        Loss ℓ of a row: half the squared error, ½‖x̂ − x‖², or the cross-entropy
        Σ_k −x_k log x̂_k − (1 − x_k) log(1 − x̂_k). The cross-entropy needs X in [0, 1]
        and ``output_activation="logistic"``.

    fine_tune : bool, default=True
        Whether to train all weights together after pre-training. If False, the
        pre-trained autoencoders are applied one after the other.

    scale_codes : bool, default=True
        Whether ``transform`` divides the codes of each unit by their standard deviation
        over the training rows, ``code_scale_``, and ``inverse_transform`` multiplies by
        it again. The estimator that uses the codes then gets features of unit spread.
        The codes are not centred, so zeros stay zeros. Training, ``predict`` and the
        other fitted attributes use unscaled codes.

    solver : {"lbfgs", "adam"}, default="lbfgs"
        "lbfgs" uses all rows in every step. It is the better choice for up to about
        10,000 rows. "adam" uses mini-batches.

    alpha : float, "scale" or ("scale", float), default="scale"
        Weight decay α, in [0, inf). Biases are never penalised. A number applies to all
        layers, in squared units of X.

        "scale" makes the decay independent of the units of X and equals 1e-3 for
        features of unit variance. With s² the mean variance of a feature, α is 1e-3 s⁴
        for the first layer, 1e-3 for the last one and 1e-3 s² for those between,
        because their weights are proportional to 1/s, s and 1 while the loss is
        proportional to s². (With logistic outputs, the weights of the last layer do not
        depend on s; with ``loss="log_loss"``, the loss does not.) ("scale", 3) is three
        times "scale".

    l1_ratio : float, default=0.0
        Share of ``alpha`` that is applied to absolute values, in [0, 1]. With r =
        ``l1_ratio``, the penalty of a layer becomes

        .. math::

            \alpha \left( r \|W_l\|_1 + \frac{1 - r}{2} \|W_l\|^2 \right)

        The larger r is, the more weights are exactly zero. L-BFGS uses an orthant-wise
        variant, and Adam applies soft-thresholding after each step. It does not apply
        to pre-training: set the ``l1_ratio`` of the autoencoder for that.

    max_iter : int, default=1000
        Maximum number of iterations of "lbfgs", or of epochs of "adam", in fine-tuning,
        and in the pre-training of each layer if ``autoencoder`` is a name.

    max_fun : int, default=15000
        Maximum number of evaluations of the loss by "lbfgs", in the same stages as
        ``max_iter``.

    growing_samples : bool, default=True
        Whether L-BFGS starts on samples of the rows if there are 10,000 rows or more:
        30 iterations on 1000 rows, then 30 on four times as many, and so on, and
        finally on all rows. This saves time. ``max_iter`` counts all of these
        iterations. The result is a minimum of the same loss, but it may be another
        minimum than with ``growing_samples=False``. Not used by Adam.

    tol : float, default=0.05
        Fine-tuning ends when its loss is expected to fall by no more than ``tol``,
        relative to the loss, if training continued. The remaining decrease is estimated
        as three times the decrease over the last quarter of the iterations of L-BFGS,
        at least ten of them (25 with more than one hidden layer), or of the epochs of
        Adam, at least ``n_iter_no_change`` of them. If the loss is below a tenth of
        that of the column means, ``tol`` is relative to that tenth.

    batch_size : int or "auto", default="auto"
        Number of rows in a batch of "adam". "auto" is 200, or the number of rows if
        that is smaller.

    learning_rate : {"constant", "linear"}, default="constant"
        Whether the step length of Adam stays constant, or decreases linearly to zero
        over ``max_iter`` epochs. The decrease lets the weights settle when batches are
        noisy.

    learning_rate_init : float, default=1e-3
        Step length of "adam", for data of unit spread.

    shuffle : bool, default=True
        Whether Adam processes the rows in a new random order in every epoch.

    early_stopping : bool, default=False
        Whether to hold out some of the rows, to end training when the score on them no
        longer rises, and to keep the weights with the best score. Held-out rows are not
        used for pre-training either.

    validation_fraction : float, default=0.1
        Fraction of the rows that ``early_stopping`` holds out, in (0, 1).

    n_iter_no_change : int, default=10
        Number of iterations or epochs without an improvement after which training ends.
        If an epoch has few batches, "adam" continues until 1/``learning_rate_init``
        batches have lowered the loss by less than ``tol``.

    input_dropout, hidden_dropout : float, default=0.0
        Probability, in [0, 1), that an entry of the input, or of a hidden layer, is
        left out in a batch. Only for "adam".

    random_state : int, RandomState instance or None, default=None
        Determines the initial weights, the noise and the order of the rows. Pass an int
        for reproducible results.

    warm_start : bool, default=False
        Whether ``fit`` continues from the weights, and with the activations, of the
        previous call. It then only fine-tunes and does not pre-train again.

    verbose : int, default=0
        1 prints the name of each stage and a line for every tenth iteration, 2 a line
        for every iteration.

    Attributes
    ----------
    layers_ : list of estimator or None
        The fitted autoencoders, with their weights before fine-tuning. None without
        pre-training.

    coefs_ : list of ndarray of shape (n_inputs, n_units)
        Weights of each layer, the output layer last.

    intercepts_ : list of ndarray of shape (n_units,)
        Biases of each layer.

    penalties_ : dict of str to list of float
        The penalty weights that were used, for each layer in ``coefs_``: "squares"
        holds the factors of ½‖W_l‖², "absolute" those of ‖W_l‖₁. If entries are
        missing, those of "scale" are multiplied by the share that was observed.

    sparsity_of_weights_ : list of float
        The fraction of weights that are exactly zero, for each layer in ``coefs_``.

    code_scale_ : ndarray of shape (hidden_layer_sizes[-1],)
        Standard deviation of the codes of each unit over the training rows, without
        held-out rows. It is 1 for a unit whose standard deviation is less than a
        thousandth of the typical one.

    loss_ : float or None
        J after fine-tuning. With "adam": the mean over the batches of the last epoch,
        each evaluated with the weights of that time. With ``early_stopping``: J of the
        weights that are kept.

    loss_curve_ : ndarray of shape (n_iter_,) or None
        J after each iteration of fine-tuning.

    loss_curves_ : dict of str to ndarray
        The curve of every stage that has one, each with its own J: "layer 1", …,
        "fine-tuning". A ``BernoulliRBM`` records no curve.

    validation_scores_ : ndarray of shape (n_iter_,) or None
        With ``early_stopping``, the score on the held-out rows: the fraction by which
        the reconstruction reduces the loss of the column means.

    n_iter_ : int
        Number of iterations or epochs of fine-tuning.

    n_layers_ : int
        Number of layers, including the input and the output.

    n_features_in_ : int
        Number of features seen in ``fit``.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features. Only defined if X has feature names that are all strings.

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
    Ten codes for 64 pixels, compared with ten principal components:

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
        """Pre-train the layers and fine-tune the whole stack.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data. float32 and float64 are kept, other types are converted to
            float64. Sparse X, of any format, gives the same weights as dense X; see
            the notes. NaN is a missing entry.
        y : None
            Ignored; here for scikit-learn's conventions.
        sample_weight : array-like of shape (n_samples,), optional
            Non-negative weights of the rows; a row of weight zero is ignored.
            Pre-training uses the weights if the autoencoder accepts weights.

        Returns
        -------
        object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter, X or sample_weight has a value that is not allowed. The
            message names it.

        Notes
        -----
        Pre-training does not have to converge, so only fine-tuning warns when a limit
        is reached.

        Ctrl-C during fine-tuning keeps the weights found so far and warns. Before
        fine-tuning there is no complete stack to keep, so Ctrl-C raises
        KeyboardInterrupt and the weights of an earlier fit stay. If joblib runs this
        fit among others, as in a grid search, Ctrl-C ends all of them.

        From scikit-learn 1.9 on, callbacks set by ``set_callbacks`` follow every
        layer, stage and iteration. If a callback asks to stop, the current stage ends
        and the next one begins, because a stack needs all of its stages.

        The loss of a row with missing entries is a sum over its observed entries. For
        the encoder, a missing entry is replaced by the mean of its column.

        With sparse X, the first layer multiplies only the non-zeros, in fine-tuning
        and, if its autoencoder does so, in pre-training. Codes are dense.

        * With ``output_activation="identity"`` and ``loss="squared_error"``, the last
          layer also multiplies only the non-zeros, and no reconstruction is formed.
          L-BFGS then works on a second copy of the non-zeros, stored by columns.
        * Other outputs need dense rows, which are formed for one block of rows at a
          time.
        * ``input_dropout`` draws factors for the zeros, too, so its time in every epoch
          is proportional to n_samples x n_features.
        * Callbacks get the sparse rows as targets, which scikit-learn's metrics do not
          accept. Give ``ScoringMonitor`` a function instead, such as
          ``scoring={"score": lambda estimator, X, y: estimator.score(X)}``.
        """
        with unchanged_on_error(self), single_threaded_blas():
            self._check_parameters()
            given = read(self, X, sample_weight, reset=not self._continues)
            check_works(self, given, self.solver)
            *ended, extreme = self._learn(
                given, Targets(self.output_activation, self.loss)
            )
        self._warn_of_extreme_row(extreme)
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
                    "fit, which the decoder needs; use, for instance, "
                    "SparseAutoencoder or BernoulliRBM."
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

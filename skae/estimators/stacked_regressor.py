"""A deep regressor, pre-trained layer by layer."""

from collections.abc import Sequence
from typing import Self

import numpy as np
import numpy.typing as npt
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score

from skae._warnings import warn
from skae.estimators._lazy import computed, on_chunks
from skae.estimators._parameters import Seed, Strength
from skae.estimators._pretraining import Pretraining
from skae.estimators._supervised import SupervisedStack
from skae.estimators._targets import Targets, numbers
from skae.rows.array_api import host_of
from skae.rows.masked import refuse_masked
from skae.rows.reading import MatrixLike
from skae.training.early_stopping import HeldOutPrediction

# Where columns of y differ by more in range, the small one's part of the squared error
# is less than a thousandth.
_UNEQUAL = 30


class StackedAutoencoderRegressor(RegressorMixin, SupervisedStack):
    r"""Deep regressor: stacked autoencoders, fine-tuned together.

    Layer l is the encoder of an autoencoder that was trained to reconstruct the codes
    of layer l − 1 [1]_ [2]_. On top of the encoders is a linear layer:

    .. math::

        h^0 = x, \qquad h^l = f(W_l h^{l-1} + b_l), \qquad
        \hat y = V h^L + c .

    The top layer is first trained alone, on the codes of the layer below. Then all
    weights are trained together, which is called fine-tuning. They minimise the squared
    error plus a weight decay:

    .. math::

        J = \frac{1}{n} \sum_i \frac{1}{2} \|\hat y_i - y_i\|^2
            + \frac{\alpha}{2} \sum_l \|W_l\|^2 + \frac{\alpha}{2} \|V\|^2 .

    Pre-training does not use targets, so it also learns from rows without targets.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default=(100,)
        Number of units of each hidden layer, from the first to the last.

    autoencoder : str, estimator, list or None, default="denoising"
        What pre-trains a layer.

        * A name: "denoising", "sparse", "contractive" or "rbm". It stands for this
          autoencoder with its default parameters, but with the solver and the limits of
          the stack. Above logistic layers it has logistic outputs and
          ``loss="log_loss"``. Its ``tol`` is ten times that of the stack, at most 0.1.
          "rbm" is scikit-learn's ``BernoulliRBM``, for rows in [0, 1].
        * An estimator. It is cloned, and its ``n_components`` is set to the size of the
          layer. After ``fit`` it must have ``components_`` and ``intercept_hidden_``,
          as the autoencoders here and ``BernoulliRBM`` have. If it has no
          ``activation``, it is taken to be logistic. Its parameters can be searched, as
          in ``autoencoder__sparsity_target``.
        * A list with one of these for each layer.
        * None: no pre-training, random initial weights.

    activation : {"logistic", "tanh", "relu", "identity"}, default="logistic"
        Activation f of the hidden layers if ``autoencoder`` is a name or None. An
        estimator uses its own activation.

    fine_tune : bool, default=True
        Whether to train all weights together after pre-training. If False, this is a
        ridge regression on the codes of the pre-trained layers or, with ``l1_ratio``,
        an elastic net.

    scale_codes : bool, default=True
        Whether ``transform`` divides the codes of each unit by their standard deviation
        over the training rows, ``code_scale_``. The estimator that uses the codes then
        gets features of unit spread. The codes are not centred, so zeros stay zeros.
        Training, ``predict`` and the other fitted attributes use unscaled codes.

    solver : {"lbfgs", "adam"}, default="lbfgs"
        "lbfgs" uses all rows in every step. It is the better choice for up to about
        10,000 rows. "adam" uses mini-batches.

    alpha : float, "scale" or ("scale", float), default="scale"
        Weight decay α, in [0, inf). Biases are never penalised. A number applies to all
        layers, in squared units of y: if the values of y are ten times larger, the same
        effect needs an α a hundred times larger.

        "scale" makes the decay independent of the units of X and y and equals 2e-3 if
        both have unit variance. With s² the mean variance of a feature and s_y² that of
        a target, α is 2e-3 s² s_y² for the first layer, 2e-3 for V and 2e-3 s_y² for
        those between, because their weights are proportional to 1/s, s_y and 1 while
        the loss is proportional to s_y². ("scale", 3) is three times "scale".

        Unlike the parameter of ``MLPRegressor``, α is not divided by the number of
        rows, and it is meant for training that converges to a minimum. 2e-3 was chosen
        by cross-validation as a compromise: few and noisy rows need about 1e-2, rows
        without noise about 1e-4. It is worth a search.

    l1_ratio : float, default=0.0
        Share of ``alpha`` that is applied to absolute values, in [0, 1]. With r =
        ``l1_ratio``, the penalty of a layer becomes

        .. math::

            \alpha \left( r \|W_l\|_1 + \frac{1 - r}{2} \|W_l\|^2 \right)

        The larger r is, the more weights are exactly zero. L-BFGS uses an orthant-wise
        variant, and Adam applies soft-thresholding after each step. It cannot be
        combined with ``decay="start"``. It does not apply to pre-training: set the
        ``l1_ratio`` of the autoencoder for that.

    decay : {"all", "start", "output"}, default="all"
        Which weights α penalises in addition to V.

        * "all": the weights W_l of every layer.
        * "start": their distance from the weights after pre-training,
          (α/2) Σ_l ‖W_l − W_l⁰‖² [3]_. This preserves what was learnt in pre-training
          when there are few targets.
        * "output": no others.

    max_iter : int, default=1000
        Maximum number of iterations of "lbfgs", or of epochs of "adam", in fine-tuning,
        and in the pre-training of each layer if ``autoencoder`` is a name. With
        ``fine_tune=False`` it also limits the training of the output layer.

    max_fun : int, default=15000
        Maximum number of evaluations of the loss by "lbfgs", in the same stages as
        ``max_iter``.

    growing_samples : bool, default=True
        Whether L-BFGS starts on samples of the rows if there are 10,000 rows or more:
        30 iterations on 1000 rows, then 30 on four times as many, and so on, and
        finally on all rows. This saves time. ``max_iter`` counts all of these
        iterations. The result is a minimum of the same loss, but it may be another
        minimum than with ``growing_samples=False``. Not used by Adam.

    tol : float, default=1e-2
        Fine-tuning ends when its loss is expected to fall by no more than ``tol``,
        relative to the loss, if training continued. The remaining decrease is estimated
        as three times the decrease over the last quarter of the iterations of L-BFGS,
        at least ten of them (25 with more than one hidden layer), or of the epochs of
        Adam, at least ``n_iter_no_change`` of them. If the loss is below a tenth of
        that of predicting the means of the targets, ``tol`` is relative to that tenth.

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
        Whether to hold out some of the rows, to end training when the R² on them no
        longer rises, and to keep the weights with the best R². Held-out rows are not
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
        holds the factors of ½‖W_l‖², "absolute" those of ‖W_l‖₁.

    sparsity_of_weights_ : list of float
        The fraction of weights that are exactly zero, for each layer in ``coefs_``.

    code_scale_ : ndarray of shape (hidden_layer_sizes[-1],)
        Standard deviation of the codes of each unit over the training rows and
        ``X_unlabeled``, without held-out rows. It is 1 for a unit whose standard
        deviation is less than a thousandth of the typical one.

    loss_ : float or None
        J after fine-tuning. With "adam": the mean over the batches of the last epoch,
        each evaluated with the weights of that time. With ``early_stopping``: J of the
        weights that are kept.

    loss_curve_ : ndarray of shape (n_iter_,) or None
        J after each iteration of fine-tuning.

    loss_curves_ : dict of str to ndarray
        The curve of every stage that has one, each with its own J: "layer 1", …,
        "output", "fine-tuning". A ``BernoulliRBM`` records no curve.

    validation_scores_ : ndarray of shape (n_iter_,) or None
        With ``early_stopping``, R² on the held-out rows.

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
    StackedAutoencoderClassifier : The same for classification.
    StackedAutoencoder : The same without targets: deep codes and reconstructions.
    sklearn.neural_network.MLPRegressor : A network without pre-training.

    References
    ----------
    .. [1] Y. Bengio, P. Lamblin, D. Popovici and H. Larochelle, "Greedy layer-wise
       training of deep networks", NIPS 2006.
    .. [2] P. Vincent, H. Larochelle, I. Lajoie, Y. Bengio and P.-A. Manzagol,
       "Stacked denoising autoencoders", Journal of Machine Learning Research
       11, 2010: section 2.1 and figure 3.
    .. [3] X. Li, Y. Grandvalet and F. Davoine, "Explicit inductive bias for transfer
       learning with convolutional networks", ICML 2018: L2-SP.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skae import StackedAutoencoderRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> X = StandardScaler().fit_transform(X)
    >>> stack = StackedAutoencoderRegressor(20, random_state=0)
    >>> stack = stack.fit(X[:300], y[:300])
    >>> bool(stack.score(X[300:], y[300:]) > 0.3)
    True
    """

    _unit_alpha = 2e-3
    _onnx_outputs = {"predictions": True, "codes": False}

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (100,),
        *,
        autoencoder: Pretraining = "denoising",
        activation: str = "logistic",
        fine_tune: bool = True,
        scale_codes: bool = True,
        solver: str = "lbfgs",
        alpha: Strength = "scale",
        l1_ratio: float = 0.0,
        decay: str = "all",
        max_iter: int = 1000,
        max_fun: int = 15000,
        growing_samples: bool = True,
        tol: float = 1e-2,
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
        self.fine_tune = fine_tune
        self.scale_codes = scale_codes
        self.solver = solver
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.decay = decay
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
        y: npt.ArrayLike,
        X_unlabeled: MatrixLike | None = None,
        sample_weight: npt.ArrayLike | None = None,
    ) -> Self:
        """Pre-train on all rows and fine-tune on those with a target.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows with a target. float32 and float64 are kept, other types are converted
            to float64. Sparse X, of any format, gives the same weights as dense X; see
            the notes. NaN is a missing entry; the mean of its column is encoded in
            its place.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        X_unlabeled : {array-like, sparse matrix} of shape (n_unlabeled, \
                n_features), optional
            More rows for pre-training, in the same units as X at this step. A Pipeline
            transforms them only if ``transform_input`` names them. A search passes all
            of them to every fold, unless X has the same number of rows. An array
            without rows counts as None.
        sample_weight : array-like of shape (n_samples,), optional
            Non-negative weights of the rows with a target; a row of weight zero is
            ignored. Pre-training uses the weights if the autoencoder accepts weights,
            and gives weight one to the rows without a target.

        Returns
        -------
        object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or an array has a value that is not allowed.

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

        With sparse X, the first layer multiplies only the non-zeros, in fine-tuning
        and, if its autoencoder does so, in pre-training. Codes are dense. L-BFGS works
        on a second copy of the non-zeros, stored by columns. ``input_dropout`` draws
        factors for the zeros too, so its time in every epoch is proportional to
        n_samples x n_features. X and ``X_unlabeled`` may be sparse or dense
        independently of each other; if one is sparse, pre-training gets all rows as
        sparse rows.
        """
        return self._fit(X, y, X_unlabeled, sample_weight)

    def _targets(self, given):
        fitted = {"_one_column": given.y_ndim == 1}
        return Targets("identity", "squared_error", numbers, fitted=fitted)

    def _check_data(self, data):
        moments = data.targets.moments(data.weights)
        moments.check_magnitude(len(data.X), data.X.dtype, "y")
        if len(moments.mean) > 1:
            _warn_of_unequal_units(data.targets.ranges(data.weights))

    def _validator(self, objective, held_out, unit):
        if held_out.n_rows < 2:
            raise ValueError(
                "early_stopping=True needs at least two held-out rows for R², got one "
                f"with validation_fraction={self.validation_fraction}; use a larger "
                "validation_fraction or early_stopping=False."
            )
        return HeldOutPrediction(objective, held_out, r2_score)

    @on_chunks
    def predict(self, X: MatrixLike) -> np.ndarray:
        """Predict the targets of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
            In the shape that ``y`` had in ``fit``.
        """
        outputs = self._apply(X)
        return outputs.ravel() if self._one_column else outputs

    def score(
        self,
        X: MatrixLike,
        y: npt.ArrayLike,
        sample_weight: npt.ArrayLike | None = None,
    ) -> float:
        """R² of the predicted targets.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            True targets.
        sample_weight : array-like of shape (n_samples,), optional
            Non-negative weights of the rows.

        Returns
        -------
        float
            1 is perfect, 0 is as good as predicting the mean of ``y``. For dask
            collections, the predictions, ``y`` and the weights are computed together
            and compared in this process.
        """
        predicted = host_of(self.predict(X))
        predicted, y, sample_weight = computed(predicted, y, sample_weight)
        refuse_masked(y, "y")
        return float(r2_score(y, predicted, sample_weight=sample_weight))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def _warn_of_unequal_units(ranges):
    lowest, highest = ranges.astype(np.float64)
    extents = highest - lowest
    extents = extents[extents > 0]
    if len(extents) and extents.max() > _UNEQUAL * extents.min():
        warn(
            f"Columns of y have ranges from {extents.min():.2g} to "
            f"{extents.max():.2g}. The loss is the sum of their squared errors, so the "
            "columns with a small range are hardly learnt. Scale y, for instance with "
            "TransformedTargetRegressor(regressor, transformer=StandardScaler())."
        )

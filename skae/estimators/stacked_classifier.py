"""A deep classifier, pre-trained layer by layer."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.special import log_expit, log_softmax
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score

from skae._sklearn import StrOptions
from skae.core.layers import Layers
from skae.engines.row_map import apply_layers
from skae.estimators._lazy import computed, on_chunks
from skae.estimators._parameters import Seed, Strength
from skae.estimators._pretraining import Pretraining
from skae.estimators._supervised import SupervisedStack
from skae.estimators._targets import class_targets
from skae.rows.array_api import host_of
from skae.rows.masked import refuse_masked
from skae.rows.reading import MatrixLike
from skae.rows.source import source
from skae.training.early_stopping import HeldOutPrediction


class StackedAutoencoderClassifier(ClassifierMixin, SupervisedStack):
    r"""Deep classifier: stacked autoencoders, fine-tuned together.

    Layer l is the encoder of an autoencoder that was trained to reconstruct the codes
    of layer l − 1 [1]_ [2]_. On top of the encoders is a softmax layer or, for
    multilabel targets, a logistic unit for each label:

    .. math::

        h^0 = x, \qquad h^l = f(W_l h^{l-1} + b_l), \qquad
        p = \mathrm{softmax}(V h^L + c) .

    The top layer is first trained alone, on the codes of the layer below. Then all
    weights are trained together, which is called fine-tuning. They minimise the
    cross-entropy plus a weight decay:

    .. math::

        J = - \frac{1}{n} \sum_i \log p_i[y_i]
            + \frac{\alpha}{2} \sum_l \|W_l\|^2 + \frac{\alpha}{2} \|V\|^2 .

    Pre-training does not use labels, so it also learns from rows without labels. It is
    most useful when few of many rows have labels, and it depends on the autoencoder:
    compare with ``autoencoder=None``. If all rows have labels, expect little
    improvement over ``MLPClassifier``. In both cases also try a support vector machine.

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
        softmax regression on the codes of the pre-trained layers.

    scale_codes : bool, default=True
        Whether ``transform`` divides the codes of each unit by their standard deviation
        over the training rows, ``code_scale_``. The estimator that uses the codes then
        gets features of unit spread. The codes are not centred, so zeros stay zeros.
        Training, ``predict`` and the other fitted attributes use unscaled codes.

    solver : {"lbfgs", "adam"}, default="lbfgs"
        "lbfgs" uses all rows in every step. It is the better choice for up to about
        10,000 rows. "adam" uses mini-batches.

    alpha : float, "scale" or ("scale", float), default=1e-4
        Weight decay α, in [0, inf). Biases are never penalised. The effect of a number
        depends on the units of X: if the values of X are a thousand times larger, the
        weights of the first layer are a thousand times smaller and are hardly
        penalised. Therefore scale X first, or use "scale". (Nothing else in fine-tuning
        depends on the units of X.)

        "scale" is 1e-3, for the first layer multiplied by the mean variance of a
        feature. This equals 1e-3 for features of unit variance. ("scale", 3) is three
        times "scale".

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
          when there are few labels.
        * "output": no others, as in Stanford's UFLDL tutorial.

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
        Adam, at least ``n_iter_no_change`` of them. If the loss is below half of that
        of predicting the frequencies of the classes, ``tol`` is relative to that half.

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
        Whether to hold out some of the rows, to end training when the accuracy on them
        no longer rises, and to keep the weights with the best accuracy. Held-out rows
        are not used for pre-training either.

    validation_fraction : float, default=0.1
        Fraction of the rows that ``early_stopping`` holds out, in (0, 1).

    n_iter_no_change : int, default=10
        Number of iterations or epochs without an improvement after which training ends.
        If an epoch has few batches, "adam" continues until 1/``learning_rate_init``
        batches have lowered the loss by less than ``tol``.

    input_dropout, hidden_dropout : float, default=0.0
        Probability, in [0, 1), that an entry of the input, or of a hidden layer, is
        left out in a batch. Only for "adam".

    class_weight : dict, "balanced", list of dict or None, default=None
        Weights of the classes, as in scikit-learn's classifiers. They are multiplied by
        ``sample_weight``.

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
    classes_ : ndarray of shape (n_classes,)
        Class labels. For multilabel targets: the positions of the labels.

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
        With ``early_stopping``, the accuracy on the held-out rows.

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
    StackedAutoencoderRegressor : The same for regression.
    StackedAutoencoder : The same without targets: deep codes and reconstructions.
    sklearn.neural_network.MLPClassifier : A network without pre-training.

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
    Fifty of 1500 digits have labels:

    >>> from sklearn.datasets import load_digits
    >>> from skae import StackedAutoencoderClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> X = X / 16
    >>> stack = StackedAutoencoderClassifier((50, 20), tol=0.05, random_state=0)
    >>> stack = stack.fit(X[:50], y[:50], X_unlabeled=X[50:1500])
    >>> stack.predict(X[1500:]).shape
    (297,)
    """

    _parameter_constraints: dict = {
        **SupervisedStack._parameter_constraints,
        "class_weight": [dict, list, StrOptions({"balanced"}), None],
    }
    _unit_alpha = 1e-3
    classes_: np.ndarray
    _onnx_outputs = {"label": True, "probabilities": True, "codes": False}
    # Below this share of the loss of predicting frequencies, a lower loss takes long
    # and does not tell classes apart any better.
    _nearly_zero = 0.5

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (100,),
        *,
        autoencoder: Pretraining = "denoising",
        activation: str = "logistic",
        fine_tune: bool = True,
        scale_codes: bool = True,
        solver: str = "lbfgs",
        alpha: Strength = 1e-4,
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
        class_weight: dict[Any, float] | Sequence[dict[Any, float]] | str | None = None,
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
        self.class_weight = class_weight
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose

    def fit(
        self,
        X: MatrixLike,
        y: MatrixLike,
        X_unlabeled: MatrixLike | None = None,
        sample_weight: npt.ArrayLike | None = None,
    ) -> Self:
        """Pre-train on all rows and fine-tune on the labelled ones.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows with a label. float32 and float64 are kept, other types are converted
            to float64. Sparse X, of any format, gives the same weights as dense X; see
            the notes. NaN is a missing entry; the mean of its column is encoded in
            its place.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Classes; or, for multilabel targets, an indicator matrix of 0 and 1.
        X_unlabeled : {array-like, sparse matrix} of shape (n_unlabeled, \
                n_features), optional
            More rows for pre-training, in the same units as X at this step. A Pipeline
            transforms them only if ``transform_input`` names them. A search passes all
            of them to every fold, unless X has the same number of rows. An array
            without rows counts as None.
        sample_weight : array-like of shape (n_samples,), optional
            Non-negative weights of the rows with a label; a row of weight zero is
            ignored. Pre-training uses the weights if the autoencoder accepts weights,
            and gives weight one to the rows without a label.

        Returns
        -------
        object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or an array has a value that is not allowed, if there is only
            one class, or if y has a class that the weights of a previous ``fit``, with
            ``warm_start``, do not know.

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
        given.weigh_classes(self.class_weight)
        known = None
        if self._continues and not self._multilabel:
            known = self.classes_
        return class_targets(given, known)

    @property
    def _multilabel(self):
        return self._names[-1] == "logistic"

    def _validator(self, objective, held_out, unit):
        multilabel = objective.names[-1] == "logistic"
        score = _subset_accuracy if multilabel else _accuracy
        return HeldOutPrediction(objective, held_out, score)

    @on_chunks
    def predict(self, X: MatrixLike) -> np.ndarray:
        """Predict the class, or the labels, of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_labels)
            The most probable class. For multilabel targets: the labels with a
            probability of more than one half.
        """
        probabilities = self.predict_proba(X)
        if self._multilabel:
            return (probabilities > 0.5).astype(int)
        return self.classes_[host_of(probabilities.argmax(axis=1))]

    @on_chunks
    def predict_proba(self, X: MatrixLike) -> np.ndarray:
        """Probability of each class, or of each label.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of ``classes_``. Rows sum to 1, except for multilabel targets.
        """
        return self._apply(X)

    @on_chunks
    def predict_log_proba(self, X: MatrixLike) -> np.ndarray:
        """Logarithm of ``predict_proba``, finite even where the probability is 0.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of ``classes_``.
        """
        codes = self._apply(X, last=-1)
        last = [self.coefs_[-1].T], [self.intercepts_[-1]], ["identity"]
        Z = host_of(apply_layers(Layers(*last, codes.dtype), source(codes)).given)
        return log_expit(Z) if self._multilabel else log_softmax(Z, axis=1)

    def score(
        self,
        X: MatrixLike,
        y: npt.ArrayLike,
        sample_weight: npt.ArrayLike | None = None,
    ) -> float:
        """Fraction of rows whose class, or all of whose labels, is predicted.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            True classes or labels.
        sample_weight : array-like of shape (n_samples,), optional
            Non-negative weights of the rows.

        Returns
        -------
        float
            Between 0 and 1; 1 is best. For dask collections, the predictions, ``y`` and
            the weights are computed together and compared in this process.
        """
        predicted = host_of(self.predict(X))
        predicted, y, sample_weight = computed(predicted, y, sample_weight)
        refuse_masked(y, "y")
        return float(accuracy_score(y, predicted, sample_weight=sample_weight))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


def _accuracy(targets, outputs, sample_weight):
    labels, predicted = targets.argmax(axis=1), outputs.argmax(axis=1)
    return float(accuracy_score(labels, predicted, sample_weight=sample_weight))


def _subset_accuracy(targets, outputs, sample_weight):
    right = (targets.astype(int), (outputs > 0.5).astype(int))
    return float(accuracy_score(*right, sample_weight=sample_weight))

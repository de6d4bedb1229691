"""A deep classifier, pre-trained layer by layer."""

from collections.abc import Sequence
from typing import Any, ClassVar, Self

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
from skae.rows.masked import refuse_masked
from skae.rows.reading import MatrixLike
from skae.rows.source import source
from skae.training.early_stopping import HeldOutPrediction


class StackedAutoencoderClassifier(ClassifierMixin, SupervisedStack):
    """Deep classifier: autoencoders stacked, then fine-tuned together.

    Layer l is the encoder of an autoencoder that has learnt to reconstruct the codes
    of layer l − 1 [1]_ [2]_; on top lies a softmax, or a logistic unit per label,

    .. code-block:: text

        h⁰ = x,    hˡ = f(W_l hˡ⁻¹ + b_l),    p = softmax(V h^L + c),

    trained on the top codes alone at first. Then all weights are fine-tuned together
    on the cross-entropy

    .. code-block:: text

        J = −(1/n) Σ_i log p_i[y_i] + (α/2) Σ_l ‖W_l‖² + (α/2) ‖V‖².

    Pre-training sees no labels, so it also learns from rows that have none. If it
    pays, it does so with few labels among many rows, and depends on the autoencoder;
    compare with ``autoencoder=None``. With labels for all rows, expect little over
    ``MLPClassifier``; and try a support vector machine in either case.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default=(100,)
        Units of each hidden layer, the first one first.

    autoencoder : {"denoising", "sparse", "contractive", "rbm"}, estimator, list of \
            these, or None, default="denoising"
        What pre-trains a layer; a list has one for each. An estimator is cloned and
        given its size as ``n_components``; fitted, it must have ``components_`` and
        ``intercept_hidden_``, as the
        autoencoders here and scikit-learn's ``BernoulliRBM`` have, and where it has no
        ``activation`` it counts as logistic. Its other parameters can be searched, as
        in ``autoencoder__sparsity_target``. A name stands for that autoencoder with
        this stack's solver and limits and its own defaults otherwise; after logistic
        layers with logistic outputs and ``loss="log_loss"``. Its ``tol`` is ten
        times the stack's, up to 0.1. "rbm" is
        ``BernoulliRBM``, for rows in [0, 1]. None starts from random weights.

    activation : {"logistic", "tanh", "relu", "identity"}, default="logistic"
        f, where ``autoencoder`` is a name or None. An estimator brings its own.

    fine_tune : bool, default=True
        Whether to train all weights together in the end. Without, this is a softmax
        on the codes of the pre-trained layers.

    scale_codes : bool, default=True
        Whether ``transform`` divides each unit's code by its standard deviation over
        the training rows, ``code_scale_``. What comes after then meets features of unit
        spread, not centred, so that zeros stay. Training, ``predict`` and the other
        fitted attributes know unscaled codes only.

    solver : {"lbfgs", "adam"}, default="lbfgs"
        "lbfgs" works on all rows at once, and is the better choice for up to some
        ten thousand rows; "adam" on mini-batches.

    alpha : float, "scale" or ("scale", float), default=1e-4
        Weight decay α, in [0, inf). Biases are never penalised. Fine-tuning does
        not depend on the units of X, but for this: where its numbers are a thousand
        times larger, the first layer's weights are a thousandth, and hardly decay.
        Scale X first, or use "scale": 1e-3, for the first layer times the mean
        variance of a feature, which is 1e-3 as it would be for X of unit spread;
        ("scale", 3) is three times that.

    l1_ratio : float, default=0.0
        Share of ``alpha`` that goes to the sums of absolute values, in [0, 1]. The
        penalty of a layer becomes::

            α (l1_ratio ‖W_l‖₁ + ½ (1 − l1_ratio) ‖W_l‖²),

        and the more weights are exactly zero the larger it is: L-BFGS finds a minimum
        orthant by orthant, Adam soft-thresholds after each step. It does not
        go with ``decay="start"``. Pre-training
        is not penalised so unless its autoencoder is: its own ``l1_ratio`` says.

    decay : {"all", "start", "output"}, default="all"
        What α reaches beside V: "all", the weights W_l of every layer; "start", how
        far they are from what pre-training made of them, (α/2) Σ_l ‖W_l − W_l⁰‖²
        [3]_, which keeps pre-training from being forgotten where labels are few;
        "output", nothing, as in Stanford's UFLDL tutorial.

    max_iter : int, default=1000
        Limit of iterations of "lbfgs", or of epochs of "adam", in fine-tuning and in
        each layer's pre-training by an autoencoder given by name; and of iterations
        of the output layer, where that is the end of training.

    max_fun : int, default=15000
        Limit of evaluations of the loss, likewise, for "lbfgs".

    growing_samples : bool, default=True
        Whether L-BFGS begins on samples of the rows that grow, where there are 10,000
        rows or more: 30 iterations on 1000 rows, then on four times as many, and so on,
        before those on all rows. ``max_iter`` counts all of them. The minimum is one of
        the same loss, but maybe another one. Not used by Adam.

    tol : float, default=1e-2
        Fine-tuning has converged when its loss would fall by no more than this,
        relatively, if it went on: by ``tol`` times the loss, or half of that of
        predicting frequencies where it is below. That is estimated as three
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
        Whether to hold out rows, stop when the accuracy on them no longer rises, and
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

    class_weight : dict, "balanced", list of dict or None, default=None
        Weights of the classes, as in scikit-learn's classifiers; they multiply
        ``sample_weight``.

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
    classes_ : ndarray of shape (n_classes,)
        Class labels; for multilabel targets, the labels' positions.

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
        Standard deviation of each unit's code over the training data and
        ``X_unlabeled``, without the rows held out; 1 for a unit that has less than a
        thousandth of the typical one.

    loss_ : float or None
        J after fine-tuning; with "adam" the mean over the last epoch's batches, each
        at the weights of its time. With ``early_stopping``, of the weights kept.

    loss_curve_ : ndarray of shape (n_iter_,) or None
        J after every iteration of fine-tuning.

    loss_curves_ : dict of str to ndarray
        The curve of every stage that has one, each of its own J: "layer 1", …,
        "output", "fine-tuning". ``BernoulliRBM`` records none.

    validation_scores_ : ndarray of shape (n_iter_,) or None
        Accuracy on the rows held out, if ``early_stopping``.

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
    StackedAutoencoderRegressor : The same for numbers.
    StackedAutoencoder : The same without targets: deep features and reconstruction.
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
    Fifty labelled digits among 1,500:

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
    _onnx_outputs: ClassVar = {"label": True, "probabilities": True, "codes": False}
    # What little loss is left takes long, and classes are no better told for it.
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
            Rows with a label. float32 and float64 are kept, anything else becomes
            float64. Sparse X, of any format, gives the weights that dense X gives; see
            the notes. NaN is a missing entry, in whose place the mean of its column is
            encoded.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Classes; or, for multilabel targets, an indicator matrix of 0 and 1.
        X_unlabeled : {array-like, sparse matrix} of shape (n_unlabeled, \
                n_features), optional
            More rows to pre-train on, in the units in which this step sees X: a
            Pipeline scales them only if told to, by ``transform_input``. A search
            hands them to every fold whole, unless they are as many as X's rows.
            An array without rows counts as None.
        sample_weight : array-like of shape (n_samples,), optional
            Non-negative weights of the labelled rows, zero for absence. Pre-training
            heeds them where the autoencoder takes weights; rows without a label
            weigh one there.

        Returns
        -------
        object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or an array is not what is allowed, if there is a single
            class, or if ``warm_start`` meets a class that it does not know.

        Notes
        -----
        Pre-training need not converge, so it warns of no limit; fine-tuning does.
        Ctrl-C while fine-tuning keeps the weights so far and warns. Before that
        there is no whole stack to keep, so it ends the fit with KeyboardInterrupt and
        leaves the weights of an earlier fit. Where joblib runs this fit among others,
        as in a grid search, it ends them all.

        From scikit-learn 1.9 on, callbacks set by ``set_callbacks`` follow every
        layer, stage and iteration. A request to stop ends the iterations of a stage,
        not the stages, all of which a stack is made of.

        Of sparse X the first layer multiplies non-zeros only, in pre-training as far as
        its autoencoder does and in fine-tuning; codes are dense. L-BFGS works on a
        second copy of the non-zeros, by columns. ``input_dropout`` draws factors of
        zeros too, so it takes time for each of the n_samples x n_features entries in
        every epoch. X and ``X_unlabeled`` may be sparse or dense each; where one is
        sparse, pre-training sees all rows so.
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
            The most probable class; of multilabel targets, those labels of a
            probability over one half.
        """
        probabilities = self.predict_proba(X)
        if self._multilabel:
            return (probabilities > 0.5).astype(int)
        return self.classes_[probabilities.argmax(axis=1)]

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
            In the order of ``classes_``. Rows sum to 1, unless targets are
            multilabel.
        """
        return self._apply(X)

    @on_chunks
    def predict_log_proba(self, X: MatrixLike) -> np.ndarray:
        """Logarithm of ``predict_proba``, finite also where that is 0.

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
        Z = apply_layers(Layers(*last, codes.dtype), source(codes)).given
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
            Between 0 and 1, the best. Of dask's collections, predictions, ``y`` and
            weights are computed together and compared in this process.
        """
        predicted, y, sample_weight = computed(self.predict(X), y, sample_weight)
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

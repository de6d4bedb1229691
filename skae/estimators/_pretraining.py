"""Greedy layer-wise pre-training: each autoencoder learns the codes of the last."""

from collections.abc import Sequence
from functools import partial

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import BernoulliRBM
from sklearn.utils.validation import has_fit_parameter

from skae._warnings import warn
from skae.core.activations import ACTIVATIONS
from skae.core.layers import Layers
from skae.engines.row_map import apply_layers
from skae.estimators._base import BaseAutoencoder
from skae.estimators._callbacks import fit_of
from skae.estimators.contractive import ContractiveAutoencoder
from skae.estimators.denoising import DenoisingAutoencoder
from skae.estimators.sparse import SparseAutoencoder

_CLASSES = {
    # Of codes in (0, 1) some are lost, as in stacked denoising autoencoders.
    "denoising": partial(DenoisingAutoencoder, corruption="masking"),
    "sparse": SparseAutoencoder,
    "contractive": ContractiveAutoencoder,
}
NAMES = (*_CLASSES, "rbm")
# What users may ask for: one for all layers, or one for each.
Pretraining = str | BaseEstimator | Sequence[str | BaseEstimator] | None
# Parameters that an autoencoder asked for by name takes from the stack.
_SHARED = (
    "solver",
    "max_iter",
    "max_fun",
    "growing_samples",
    "tol",
    "batch_size",
    "learning_rate",
    "learning_rate_init",
    "shuffle",
)
# From weights that this ``tol`` leaves fine-tuning comes to predictions as good as from
# better ones, in a fraction of the time. A smaller one is taken ten times.
_ENOUGH, _TIMES = 0.1, 10


def make_autoencoders(stack, activations, random_state):
    """One unfitted autoencoder a layer, with its size and a seed.

    Parameters
    ----------
    stack : BaseStack
        Gives ``autoencoder`` and, to those asked for by name, its own parameters.
    activations : list of str
        Of each layer, for autoencoders asked for by name.
    random_state : RandomState
        Seeds those that have no seed of their own.

    Returns
    -------
    list of estimator
    """
    sizes = stack._sizes()
    given = stack.autoencoder
    if not isinstance(given, list | tuple):
        given = [given] * len(sizes)
    if len(given) != len(sizes):
        raise ValueError(
            "autoencoder must be one estimator or name, or a list with one per layer; "
            f"got a list of {len(given)} for hidden_layer_sizes="
            f"{stack.hidden_layer_sizes!r}, which has {len(sizes)}."
        )
    made = []
    for layer, (which, size) in enumerate(zip(given, sizes, strict=True)):
        if isinstance(which, str):
            autoencoder = _by_name(stack, which, activations[layer], made)
        else:
            autoencoder = _cloned(which)
        autoencoder.set_params(n_components=size)
        if autoencoder.get_params().get("random_state", 0) is None:
            seed = random_state.randint(np.iinfo(np.int32).max)
            autoencoder.set_params(random_state=seed)
        made.append(autoencoder)
    return made


def _by_name(stack, name, activation, below):
    """An autoencoder for the codes of the last of those ``below``."""
    if name not in NAMES:
        raise ValueError(
            f"autoencoder must be among {NAMES}, None, an estimator or a list of "
            f"these, one per layer; got {name!r}."
        )
    if name == "rbm":
        if activation != "logistic":
            raise ValueError(
                f"autoencoder='rbm' has logistic units, got activation={activation!r}; "
                "use activation='logistic' or another autoencoder."
            )
        return BernoulliRBM(verbose=stack.verbose)
    parameters = {parameter: getattr(stack, parameter) for parameter in _SHARED}
    parameters["verbose"] = stack.verbose
    parameters["tol"] = max(stack.tol, min(_ENOUGH, _TIMES * stack.tol))
    if not below:
        for parameter in ("output_activation", "loss"):
            if hasattr(stack, parameter):
                parameters[parameter] = getattr(stack, parameter)
    elif activation_of(below[-1]) == "logistic":
        # Codes in (0, 1) are well described by units of their own kind.
        parameters |= {"output_activation": "logistic", "loss": "log_loss"}
    if name == "sparse" and ACTIVATIONS[activation].bounds is None:
        parameters["sparsity"] = "l1"
    return _CLASSES[name](activation=activation, **parameters)


def _cloned(estimator):
    is_estimator = hasattr(estimator, "fit") and hasattr(estimator, "get_params")
    if not is_estimator or isinstance(estimator, type):
        raise ValueError(
            f"autoencoder must be among {NAMES}, None, an estimator or a list of "
            f"these, one per layer; got {estimator!r}."
        )
    if "n_components" not in estimator.get_params():
        raise ValueError(
            f"autoencoder={estimator!r} has no parameter n_components, which sets the "
            "size of a layer; use, for instance, SparseAutoencoder or BernoulliRBM."
        )
    return clone(estimator)


def activation_of(autoencoder):
    """Name of the activation of an autoencoder's codes."""
    return _named(autoencoder, "activation")


def output_activation_of(autoencoder):
    """Name of the activation of an autoencoder's reconstruction."""
    return _named(autoencoder, "output_activation")


def _named(autoencoder, parameter):
    # BernoulliRBM does not say: its units are logistic.
    name = getattr(autoencoder, parameter, "logistic")
    if name not in ACTIVATIONS:
        raise ValueError(
            f"autoencoder={autoencoder!r} has {parameter}={name!r}, but a stack knows "
            f"{sorted(ACTIVATIONS)}."
        )
    return name


def pretrain(autoencoders, rows, weights, verbose=0, task=None):
    """Fit each autoencoder to the codes of the one before.

    Parameters
    ----------
    autoencoders : list of estimator
        They are fitted.
    rows : Rows
    weights : ndarray of shape (n_samples,) or None
        Of the rows, for those autoencoders that can take them; rows of weight zero
        are left out for all.
    verbose : int
        Whether to name each layer.
    task : Task, optional
        Of which each layer is a part.
    """
    if not (rows.local and rows.in_threads):
        where = "arrays on a device" if rows.local else "dask collections"
        _check_are_ours(autoencoders, where)
    if not rows.local:
        weights = None  # its blocks have them
    taken = all(has_fit_parameter(a, "sample_weight") for a in autoencoders)
    if weights is not None and not weights.all() and not taken:
        there = np.flatnonzero(weights)
        weights, rows = weights[there], rows.picked(there)  # of what may be large
        if np.all(weights == 1):
            weights = None
    n_layers = len(autoencoders)
    for layer, autoencoder in enumerate(autoencoders, 1):
        if verbose:
            print(
                f"layer {layer} of {n_layers}: {type(autoencoder).__name__}, "
                f"{rows.shape[1]} -> {autoencoder.n_components}"
            )
        _check_range(autoencoder, rows, layer)
        options = {}
        if weights is not None and has_fit_parameter(autoencoder, "sample_weight"):
            options["sample_weight"] = weights
        with fit_of(task, f"layer {layer}", autoencoder):
            _fit_layer(autoencoder, rows, options, layer)
        _check_fitted(autoencoder, rows.shape[1])
        if layer == n_layers:
            return
        encoder = Layers(
            [autoencoder.components_],
            [autoencoder.intercept_hidden_],
            [activation_of(autoencoder)],
            rows.dtype,
        )
        rows = apply_layers(encoder, rows, weights)


def _fit_layer(autoencoder, rows, options, layer):
    """Fit; a start for fine-tuning need not have converged, but must be a fit."""
    if getattr(type(autoencoder), "fit", None) is not BaseAutoencoder.fit:
        # Somebody else's, a subclass's too, says itself how it went.
        autoencoder.fit(rows.given, **options)
        return
    trained, _ = autoencoder._learn(rows.given, **options)
    if trained.status == "interrupted":
        # Ctrl-C ended that fit; there is no stack yet that could be kept.
        raise KeyboardInterrupt
    if trained.fault is not None:
        name = type(autoencoder).__name__
        warn(f"Training of layer {layer}, {name}, {trained.fault}", ConvergenceWarning)


def _check_are_ours(autoencoders, where):
    for autoencoder in autoencoders:
        if not isinstance(autoencoder, BaseAutoencoder):
            raise ValueError(
                f"autoencoder={autoencoder!r} cannot learn from {where}; use "
                f"one among {tuple(_CLASSES)}, or an estimator of theirs."
            )


def _check_range(autoencoder, rows, layer):
    if not isinstance(autoencoder, BernoulliRBM):
        return
    ranges = rows.ranges()
    low, high = ranges[0].min(), ranges[1].max()
    if low < -1e-6 or high > 1 + 1e-6:
        raise ValueError(
            f"BernoulliRBM needs rows in [0, 1], got layer {layer} rows from "
            f"{low:.6g} to {high:.6g}; scale X, for instance with MinMaxScaler, or use "
            "autoencoder='denoising'."
        )


def _check_fitted(autoencoder, n_inputs):
    for attribute in ("components_", "intercept_hidden_"):
        if not hasattr(autoencoder, attribute):
            raise ValueError(
                f"autoencoder={autoencoder!r} has no {attribute} after fit; a stack "
                "needs components_ and intercept_hidden_, as SparseAutoencoder and "
                "BernoulliRBM have them."
            )
    shape, wanted = (
        np.shape(autoencoder.components_),
        (autoencoder.n_components, n_inputs),
    )
    if shape != wanted:
        raise ValueError(
            f"autoencoder={autoencoder!r} has components_ of shape {shape} after fit; "
            f"a stack needs (n_components, n_features) = {wanted}."
        )

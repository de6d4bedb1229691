"""Parameters that several estimators share: what they may be, and what they come to."""

from collections.abc import Callable
from functools import update_wrapper, wraps
from numbers import Integral, Real
from types import MethodType
from typing import Any, TypeVar, cast

import numpy as np

from skae._sklearn import Interval, StrOptions
from skae.core.activations import ACTIVATIONS
from skae.core.losses import LOSSES
from skae.core.penalties import L1, KullbackLeibler
from skae.export.versions import VersionedMixin
from skae.training.run import METHODS, SOLVERS

Seed = int | np.random.RandomState | None  # what ``random_state`` may be
# And the weight of a penalty: a number, "scale", or ("scale", a number).
Strength = float | str | tuple[str, float]
# What those parameters may be that say how to train.
TRAINING_CONSTRAINTS = {
    "solver": [StrOptions(set(SOLVERS))],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    "max_fun": [Interval(Integral, 1, None, closed="left")],
    "growing_samples": ["boolean"],
    "tol": [Interval(Real, 0, None, closed="left")],
    "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
    "learning_rate": [StrOptions({"constant", "linear"})],
    "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
    "shuffle": ["boolean"],
    "early_stopping": ["boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
    "random_state": ["random_state"],
    "warm_start": ["boolean"],
    "verbose": ["verbose"],
}
# Constraints of a ``Strength``, of which ``strength`` tells more.
STRENGTH = [Interval(Real, 0, None, closed="left"), StrOptions({"scale"}), tuple, list]
# And how strongly weights are penalised.
PENALTY_CONSTRAINTS = {
    "alpha": STRENGTH,
    "l1_ratio": [Interval(Real, 0, 1, closed="both")],
}


# With as many units as columns, no more columns: two matrices of so many by so many
# numbers are 1 GB, of which L-BFGS holds some twenty.
_WIDEST = 8192


def strength(estimator, name):
    """The weight of a penalty, and whether it multiplies what "scale" is.

    Parameters
    ----------
    estimator : estimator
    name : str
        Of a parameter: a number, "scale" or ("scale", a number).

    Returns
    -------
    number : float
    of_scale : bool
    """
    given = getattr(estimator, name)
    if isinstance(given, str):
        return 1.0, True
    if not isinstance(given, tuple | list):
        return float(given), False
    word, times = given if len(given) == 2 else (None, None)
    is_number = isinstance(times, Real) and 0 <= times < np.inf
    if not (isinstance(word, str) and word == "scale" and is_number):
        raise ValueError(
            f"{name} must be a number of 0 or more, 'scale' or a multiple of that, "
            f"such as ('scale', 3); got {name}={given!r}."
        )
    return float(times), True


def resolved(estimator, name, scale):
    """The weight of a penalty as a number, where "scale" is that number."""
    number, of_scale = strength(estimator, name)
    return number * float(scale) if of_scale else number


def n_units(n_components, n_features):
    """``n_components``, or where that is None as many as columns, if that can be."""
    if n_components is not None:
        return int(n_components)
    if n_features > _WIDEST:
        raise ValueError(
            f"n_components=None takes as many units as X has columns, {n_features}, "
            f"which would be {n_features**2:.2g} weights in each layer; give "
            "n_components, for instance n_components=100."
        )
    return n_features


def n_codes(estimator, n_components, n_features):
    """``n_nonzero_coefs``, an int where it is whole, if there are so many units."""
    k = estimator.n_nonzero_coefs
    if k == "auto":
        # With more, few units reconstruct every row, and the others die.
        return min(max(1, n_features // 6), 32, n_components)
    if k > n_components:
        raise ValueError(
            f"n_nonzero_coefs={k} exceeds n_components={n_components}; a row cannot "
            "have more codes than there are units: lower n_nonzero_coefs, or raise "
            "n_components."
        )
    if estimator.selection == "row" and k != int(k):
        raise ValueError(
            "selection='row' keeps the same number of codes of each row, so "
            f"n_nonzero_coefs must be an integer, got n_nonzero_coefs={k}; use "
            "selection='batch', where it is a mean."
        )
    return int(k) if k == int(k) else float(k)


def nested_prefixes(prefixes, n_components):
    """``prefixes`` with all units at the end; None is these alone."""
    if prefixes is None:
        return (n_components,)
    whole = all(isinstance(p, Integral) and p >= 1 for p in prefixes)
    if not len(prefixes) or not whole or any(np.diff(prefixes) <= 0):
        raise ValueError(
            f"prefixes={prefixes!r} must be integers of 1 or more in ascending order, "
            "such as (64, 256), or None."
        )
    if prefixes[-1] > n_components:
        raise ValueError(
            f"prefixes={prefixes!r} has {prefixes[-1]}, which exceeds "
            f"n_components={n_components}; a prefix is some of the units: lower it, or "
            "raise n_components."
        )
    smaller = [int(p) for p in prefixes if p < n_components]
    return (*smaller, n_components)


def check_works(estimator, given, solver):
    """Refuse what needs all rows in this process, or NumPy's, where they are not."""
    if given.on_device:
        _check_on_device(estimator)
    if given.local:
        return
    elsewhere = METHODS[solver].elsewhere
    if elsewhere is not None:
        raise ValueError(elsewhere)
    if getattr(estimator, "early_stopping", False):
        raise ValueError(
            "early_stopping=True holds out rows at random, which dask collections do "
            "not allow; use early_stopping=False, and compare scores on held-out rows "
            "of your own."
        )


def _check_on_device(estimator):
    """Refuse what needs NumPy's arrays where rows lie on a device."""
    name, remedy = type(estimator).__name__, "or pass X.get(), a copy of NumPy's."
    if getattr(estimator, "_skl_callbacks", None):
        raise ValueError(
            f"The callbacks of {name} need arrays of NumPy's, but X lies on a device; "
            f"fit without callbacks, {remedy}"
        )
    if callable(getattr(estimator, "corruption", None)):
        raise ValueError(
            "corruption=callable needs arrays of NumPy's, but X lies on a device; use "
            f"'masking', 'gaussian' or 'salt_and_pepper', {remedy}"
        )


Method = TypeVar("Method", bound=Callable[..., Any])


def only_where(check: Callable[[Any], None]) -> Callable[[Method], Method]:
    """Decorate a method that some parameters do not allow.

    As scikit-learn's ``available_if``, but with the error of ``check`` itself. There it
    is the cause of another one, and the last line that users read says no remedy.

    Parameters
    ----------
    check : callable
        Takes the estimator, and raises AttributeError where there is no such method.
    """

    def decorate(method: Method) -> Method:
        return cast(Method, _OnlyWhere(method, check))

    return decorate


class _OnlyWhere:
    def __init__(self, method, check):
        self._method, self._check = method, check
        update_wrapper(self, method)

    def around(self, decorate):
        """The same with ``decorate(method)``."""
        return _OnlyWhere(decorate(self._method), self._check)

    def __get__(self, estimator, owner=None):
        if estimator is not None:
            self._check(estimator)
            return MethodType(self._method, estimator)

        @wraps(self._method)  # of the class; scikit-learn wants a function
        def checked(estimator, *args, **kwargs):
            self._check(estimator)
            return self._method(estimator, *args, **kwargs)

        return checked


class DocLinkMixin(VersionedMixin):
    """Points scikit-learn's HTML display at skae's documentation, files at versions."""

    _doc_link_module = "skae"
    _doc_link_template = (
        "https://skae.readthedocs.io/en/stable/generated/skae.{name}.html"
    )

    def _doc_link_url_param_generator(self):
        return {"name": type(self).__name__}


class OutputMixin:
    """Parameters ``output_activation`` and ``loss``: what a reconstruction is."""

    _parameter_constraints: dict = {
        "output_activation": [StrOptions({"identity", "logistic"})],
        "loss": [StrOptions(set(LOSSES))],
    }

    def _check_combinations(self):
        if self.output_activation not in LOSSES[self.loss].outputs:
            raise ValueError(
                f"loss={self.loss!r} needs output_activation='logistic', got "
                f"output_activation={self.output_activation!r}; use "
                "output_activation='logistic' or loss='squared_error'."
            )

    def _check_data(self, data):
        """Refuse rows that the output cannot reach."""
        if self.output_activation != "logistic":
            return
        ranges = data.X.ranges(data.weights)
        low, high = float(ranges[0].min()), float(ranges[1].max())
        slack = 1e-6  # what a scaler's rounding may leave outside
        if low < -slack or high > 1 + slack:
            raise ValueError(
                "output_activation='logistic' needs X in [0, 1], got X from "
                f"{low:.6g} to {high:.6g}; scale X, for instance with MinMaxScaler, "
                "or use output_activation='identity' with loss='squared_error'."
            )


class ScaledCodesMixin:
    """Parameter ``scale_codes``: whether ``transform`` gives codes of unit spread."""

    _parameter_constraints: dict = {"scale_codes": ["boolean"]}

    def _code_scale(self, dtype):
        """What codes are divided by on their way out, (n_components,), or None."""
        if not self.scale_codes:
            return None
        return self.code_scale_.astype(dtype, copy=False)


class SparsityMixin:
    """Parameters ``sparsity``, ``sparsity_target`` and ``sparsity_weight``."""

    sparsity_weight_: float
    sparsity_target_: float | None
    _parameter_constraints: dict = {
        "sparsity": [StrOptions({"kl", "l1"}), None],
        "sparsity_target": [
            Interval(Real, 0, 1, closed="neither"),
            StrOptions({"auto"}),
        ],
        "sparsity_weight": STRENGTH,
    }

    def _check_combinations(self):
        super()._check_combinations()
        if self.sparsity == "kl" and ACTIVATIONS[self.activation].bounds is None:
            raise ValueError(
                "sparsity='kl' needs codes in (0, 1), got "
                f"activation={self.activation!r}; use activation='logistic' or "
                "sparsity='l1'."
            )

    def _sparsity(self, scale, n_components):
        """Terms of the penalty on the codes, and what its parameters came to."""
        if self.sparsity is None:
            return [], {"sparsity_weight_": 0.0, "sparsity_target_": None}
        units = n_components if self.sparsity == "l1" else None
        of_scale = scale.sparsity_weight(units)
        weight = resolved(self, "sparsity_weight", of_scale)
        target: float | None = None
        if self.sparsity == "l1":
            term = L1(weight)
        else:
            target = self.sparsity_target
            if target == "auto":
                target = scale.sparsity_target(n_components)
            target, bounds = float(target), ACTIVATIONS[self.activation].bounds
            term = KullbackLeibler(target, weight, bounds)
        return [term], {"sparsity_weight_": weight, "sparsity_target_": target}


def fraction_of_zeros(weight):
    """The fraction of entries that are exactly zero."""
    return 1 - int(np.count_nonzero(weight)) / weight.size

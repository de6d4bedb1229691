"""The version of skae in every file of an estimator, and a warning where it differs."""

from inspect import Parameter, signature
from typing import Any

from sklearn import exceptions

from skae._version import __version__
from skae._warnings import warn


class InconsistentVersionWarning(exceptions.InconsistentVersionWarning):
    """An estimator was saved by another version of skae.

    A kind of scikit-learn's warning of that name, so that what is done about the one is
    done about the other. The attributes of scikit-learn's versions are None.

    Parameters
    ----------
    estimator_name : str
        Name of the class.
    current_skae_version : str
        The version that loads.
    original_skae_version : str or None
        The version that saved; None if it did not say.
    """

    def __init__(
        self,
        *,
        estimator_name: str,
        current_skae_version: str,
        original_skae_version: str | None,
    ) -> None:
        super().__init__(
            estimator_name=estimator_name,
            current_sklearn_version=None,
            original_sklearn_version=None,
        )
        self.current_skae_version = current_skae_version
        self.original_skae_version = original_skae_version

    def __str__(self) -> str:
        saved = self.original_skae_version or "0.1.0 or earlier"
        return (
            f"{self.estimator_name} was saved by skae {saved} and is loaded by skae "
            f"{self.current_skae_version}. Check that it predicts what it did, or fit "
            "it anew and save it again."
        )


class VersionedMixin:
    """Saves the version with the state; stands before BaseEstimator."""

    def __getstate__(self) -> dict[str, Any]:
        """State to save: attributes, and the version."""
        state: Any = super().__getstate__()
        return {**state, "_skae_version": __version__}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over a saved state, and warn if another version saved it.

        Parameters that there were not yet take their defaults.
        """
        state = dict(state)
        version = state.pop("_skae_version", None)
        if version != __version__:
            state = {**_defaults(type(self)), **state}
            warn(
                InconsistentVersionWarning(
                    estimator_name=type(self).__name__,
                    current_skae_version=__version__,
                    original_skae_version=version,
                )
            )
        super().__setstate__(state)  # type: ignore[misc]


def _defaults(cls: type) -> dict[str, Any]:
    parameters = signature(cls).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not Parameter.empty}

"""Version of skae in saved estimators, and a warning if another version loads them."""

from copy import deepcopy
from inspect import Parameter, signature
from typing import Any, Self

from sklearn import exceptions

from skae._version import __version__
from skae._warnings import warn
from skae.core.arrays import in_containers, on_device, to_host


class InconsistentVersionWarning(exceptions.InconsistentVersionWarning):
    """An estimator was saved by another version of skae.

    This is a subclass of scikit-learn's warning with the same name, so that filters for
    that warning apply to both. The attributes with versions of scikit-learn are None.

    Parameters
    ----------
    estimator_name : str
        Name of the class.
    current_skae_version : str
        The version that loads the estimator.
    original_skae_version : str or None
        The version that saved the estimator; None if the file does not contain it.
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
    """Saves the version with the state. Must precede BaseEstimator in the bases."""

    def __getstate__(self) -> dict[str, Any]:
        """Return the state to save: attributes and version.

        Arrays on a device are saved as NumPy's, and tensors on one as those of the
        CPU, so that a file loads without a device.
        """
        state: Any = super().__getstate__()
        return {**in_containers(_on_host, state), "_skae_version": __version__}

    def __copy__(self) -> Self:
        """A copy that holds the same arrays, on a device too."""
        copied = object.__new__(type(self))
        copied.__dict__.update(self.__dict__)
        return copied

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """A copy with arrays of its own that lie where these do."""
        copied = object.__new__(type(self))
        memo[id(self)] = copied
        copied.__dict__.update(deepcopy(self.__dict__, memo))
        return copied

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a saved state, and warn if another version saved it.

        Parameters that did not exist in that version get their default values.
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


def _on_host(value: Any) -> Any:
    if on_device(value):
        return to_host(value)
    where = getattr(getattr(value, "device", None), "type", "cpu")
    return value.cpu() if where != "cpu" else value


def _defaults(cls: type) -> dict[str, Any]:
    parameters = signature(cls).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not Parameter.empty}

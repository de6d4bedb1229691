"""What happens after each iteration or epoch.

``Progress`` records the loss and its terms, prints the lines of ``verbose``, informs
callbacks of scikit-learn, and asks early stopping whether to continue.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from skae.solvers import Iteration, Result
from skae.training.early_stopping import Watch
from skae.training.problem import Problem, Task


class Progress:
    """Records losses, prints lines, and stops where held-out rows say so.

    Parameters
    ----------
    problem : Problem
        Gives ``settings`` and ``validate``, and the ``task`` that callbacks follow.
    unit : str
        What an iteration is called.
    measure : str
        What is printed beside its loss.
    """

    def __init__(self, problem: Problem[Any, Any], unit: str, measure: str) -> None:
        self.losses: list[float] = []
        self.terms: list[dict[str, float]] = []
        self.report = Report(problem.settings.verbose, unit, measure, problem.label)
        self.watch = None
        if problem.validate is not None:
            self.watch = Watch(problem.validate, problem.settings)
        self._interrupted = problem.interrupted
        self._tasks = None
        if problem.task is not None and problem.attributes is not None:
            self._tasks = Iterations(problem.task, unit, problem.attributes)

    def begin(self) -> None:
        """An iteration begins, unless one is under way."""
        if self._tasks is not None:
            self._tasks.begin()

    def __call__(self, iteration: Iteration, theta: Callable[[], np.ndarray]) -> None:
        """Take in an iteration; raise StopIteration if it is to be the last.

        And KeyboardInterrupt if Ctrl-C has been pressed where signals arrive.

        Parameters
        ----------
        iteration : Iteration
            Whose ``aux`` is (loss, terms).
        theta : callable
            ``theta() -> ndarray``: its point, in the units of the data.
        """
        loss, terms = iteration.aux
        self.losses.append(loss)
        self.terms.append(terms)
        score = None
        if self.watch is not None:
            score = self.watch.score(iteration, theta())
        self.report(iteration, score)
        if self._tasks is not None and self._tasks.end(iteration.n_iter, theta):
            raise StopIteration
        if self._interrupted is not None and self._interrupted():
            raise KeyboardInterrupt
        if self.watch is not None:
            self.watch.judge()

    def forgets(self) -> bool:
        """Whether an end was that of early stopping, which more rows may put off."""
        if self.watch is None or not self.watch.stopped:
            return False
        self.watch.forget()
        return True

    def close(self, result: Result, loss: float, message: str) -> None:
        """Training is over."""
        if self._tasks is not None:
            self._tasks.close()
        self.report.close(result, loss, message)

    @property
    def terms_curve(self) -> dict[str, np.ndarray]:
        """Each term's value at every iteration."""
        names = self.terms[0] if self.terms else ()
        return {name: np.array([t[name] for t in self.terms]) for name in names}


class Iterations:
    """The iterations of a solver as parts of a task that callbacks follow.

    Parameters
    ----------
    task : Task
        Of which they are parts.
    name : str
        Of each.
    attributes : callable
        ``attributes(theta, n_iter) -> dict``: those of an estimator that stops there.
    """

    def __init__(
        self,
        task: Task,
        name: str,
        attributes: Callable[[np.ndarray, int], dict[str, Any]],
    ) -> None:
        self._task, self._name, self._attributes = task, name, attributes
        self._current: Task | None = None

    def begin(self) -> None:
        """An iteration begins, unless one is under way."""
        if self._current is None:
            self._current = self._task.subtask(self._name).begin()

    def end(self, n_iter: int, theta: Callable[[], np.ndarray]) -> bool:
        """It has come to ``theta()``; returns whether it is to be the last."""
        current, self._current = self._current, None
        assert current is not None, "which has begun"
        return current.end(partial(self._fitted, n_iter, theta))

    def _fitted(self, n_iter: int, theta: Callable[[], np.ndarray]) -> dict[str, Any]:
        return self._attributes(theta(), n_iter)

    def close(self) -> None:
        """Training is over, maybe within an iteration that led nowhere."""
        if self._current is not None:
            self._current.end()
            self._current = None


class Report:
    """Prints a line now and then: every tenth iteration, or each if verbose > 1.

    Each begins with ``label``, which tells it from those of others.
    """

    def __init__(self, verbose: int, unit: str, measure: str, label: str = "") -> None:
        self._verbose, self._unit, self._measure = verbose, unit, measure
        self._label = [label] if label else []
        self._printed: int | None = None
        self._start = time.perf_counter()

    def __call__(self, iteration: Iteration, score: float | None = None) -> None:
        every = 1 if self._verbose > 1 else 10
        if self._verbose and (iteration.n_iter % every == 0 or iteration.n_iter == 1):
            self._line(iteration, iteration.aux[0], iteration.gradient_norm, score)

    def _line(
        self,
        at: Iteration | Result,
        loss: float,
        gradient_norm: float | None,
        score: float | None = None,
    ) -> None:
        self._printed = at.n_iter
        parts = [*self._label, f"{self._unit} {at.n_iter:5d}", f"loss {loss:.6e}"]
        if gradient_norm is not None:
            parts.append(f"{self._measure} {gradient_norm:.2e}")
        if score is not None:
            parts.append(f"held-out score {score:.4f}")
        parts.append(f"evaluations {at.n_fun:5d}")
        parts.append(f"{time.perf_counter() - self._start:7.2f} s")
        print("  ".join(parts))

    def close(self, result: Result, loss: float, message: str) -> None:
        """Print the last iteration, if it was not yet, and why it was the last."""
        if not self._verbose:
            return
        if result.n_iter != self._printed:
            self._line(result, loss, result.gradient_norm)
        print("  ".join([*self._label, f"stopped: {message}"]))

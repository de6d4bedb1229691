"""What happens after each iteration: it is recorded, printed and judged."""

import time
from copy import copy

import numpy as np

from skae.estimators._callbacks import Iterations


class Progress:
    """Records losses, prints lines, and stops where held-out rows say so.

    Parameters
    ----------
    problem : Problem
        Gives ``settings`` and ``validate``, and the ``task`` that callbacks follow.
    """

    def __init__(self, problem):
        self.losses, self.terms = [], []
        self.report = Report(problem)
        self.watch = None
        if problem.validate is not None:
            self.watch = Watch(problem.validate, problem.settings)
        self._tasks = None
        if problem.task is not None:
            unit = self.report.unit
            self._tasks = Iterations(problem.task, unit, problem.attributes)

    def begin(self):
        """An iteration begins, unless one is under way."""
        if self._tasks is not None:
            self._tasks.begin()

    def __call__(self, iteration, theta):
        """Take in an iteration; raise StopIteration if it is to be the last.

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
        if self.watch is not None:
            self.watch.judge()

    def close(self, result, loss, message):
        """Training is over."""
        if self._tasks is not None:
            self._tasks.close()
        self.report.close(result, loss, message)

    @property
    def terms_curve(self):
        """Each term's value at every iteration."""
        names = self.terms[0] if self.terms else ()
        return {name: np.array([t[name] for t in self.terms]) for name in names}


class Watch:
    """Keeps the iterate that did best on held-out rows.

    Parameters
    ----------
    validate : callable
        ``validate(theta) -> score``, higher is better.
    settings : Settings
        Gives ``tol`` and ``n_iter_no_change``.
    """

    def __init__(self, validate, settings):
        # A copy: runs from other starts may be under way in other threads.
        self._validate, self._settings = copy(validate), settings
        self._stale = 0
        self.scores = []
        self.stopped = False
        self.best_theta = self.best_iteration = None

    def score(self, iteration, theta):
        """Score θ, and keep it if it is the best so far."""
        score = self._validate(theta)
        best = max(self.scores, default=-np.inf)
        self.scores.append(score)
        self._stale = 0 if score > best + self._settings.tol else self._stale + 1
        if score > best:
            self.best_theta, self.best_iteration = theta.copy(), iteration
        return score

    def judge(self):
        """Raise StopIteration when the scores have not risen for long."""
        if self._stale >= self._settings.n_iter_no_change:
            self.stopped = True
            raise StopIteration


class Report:
    """Prints a line now and then: every tenth iteration, or each if verbose > 1."""

    def __init__(self, problem):
        self._verbose = problem.settings.verbose
        self.unit = "epoch" if problem.settings.solver == "adam" else "iteration"
        self._printed = None
        self._start = time.perf_counter()

    def __call__(self, iteration, score=None):
        every = 1 if self._verbose > 1 else 10
        if self._verbose and (iteration.n_iter % every == 0 or iteration.n_iter == 1):
            self._line(iteration, iteration.aux[0], iteration.gradient_norm, score)

    def _line(self, at, loss, gradient_norm=None, score=None):
        self._printed = at.n_iter
        parts = [f"{self.unit} {at.n_iter:5d}", f"loss {loss:.6e}"]
        if gradient_norm is not None:
            parts.append(f"gradient {gradient_norm:.2e}")
        if score is not None:
            parts.append(f"held-out score {score:.4f}")
        parts.append(f"evaluations {at.n_fun:5d}")
        parts.append(f"{time.perf_counter() - self._start:7.2f} s")
        print("  ".join(parts))

    def close(self, result, loss, message):
        """Print the last iteration, if it was not yet, and why it was the last."""
        if not self._verbose:
            return
        if result.n_iter != self._printed:
            self._line(result, loss, result.gradient_norm)
        print(f"stopped: {message}")

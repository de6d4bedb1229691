"""What scikit-learn's callbacks are told: a fit as a tree of tasks.

Where no callback follows a fit there is no task, None in its place, and nothing is
done for it.
"""

from contextlib import contextmanager

from skae._sklearn import callback_context, managed_callbacks


class Task:
    """A task of a fit, that has been begun.

    Parameters
    ----------
    estimator : estimator
        What is being fitted.
    context : CallbackContext
        The place among the tasks.
    told : dict
        ``X``, ``y`` and ``metadata``, for callbacks that ask.
    """

    def __init__(self, estimator, context, told):
        self.estimator, self.context, self._told = estimator, context, told

    def begin(self):
        """Tell the callbacks, and return the task."""
        self.context.call_on_fit_task_begin(estimator=self.estimator, **self._told)
        return self

    def end(self, attributes=None):
        """Tell the callbacks; returns whether one asks for an end of the like.

        Parameters
        ----------
        attributes : dict or callable, optional
            With which the estimator is as good as fitted: ``attributes() -> dict`` is
            called if a callback looks at it.
        """
        return self.context.call_on_fit_task_end(
            estimator=self.estimator, reconstruction_attributes=attributes, **self._told
        )

    def subtask(self, name, n_subtasks=0, index=None):
        """A part of this task, not begun.

        Parameters
        ----------
        name : str
        n_subtasks : int
            Of its own, at most.
        index : int, optional
            Where parts of this task are not one after the other.
        """
        context = self.context.subcontext(
            task_name=name, task_id=index, max_subtasks=n_subtasks
        )
        return Task(self.estimator, context, self._told)


@contextmanager
def fit_task(estimator, X, y, sample_weight, n_subtasks, sequential=True):
    """The task of a whole fit: in the end the estimator is to be fitted.

    Parameters
    ----------
    estimator : estimator
        What is being fitted.
    X, y : ndarray
        What ``score`` takes. An autoencoder's targets are its rows.
    sample_weight : ndarray or None
    n_subtasks : int
        At most.
    sequential : bool
        Whether subtasks are done one after the other.

    Yields
    ------
    task : Task or None
    """
    with managed_callbacks(estimator):
        context = callback_context(estimator, n_subtasks, sequential)
        if context is None:
            yield None
            return
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        task = Task(estimator, context, {"X": X, "y": y, "metadata": metadata})
        yield task.begin()
        task.end({})


@contextmanager
def subtask(task, name, n_subtasks=0, index=None):
    """A part of ``task`` from begin to end; None if that is None.

    A request to end the like is not heeded: a fit needs each of its parts.
    """
    part = None
    if task is not None:
        part = task.subtask(name, n_subtasks, index).begin()
    yield part
    if part is not None:
        part.end()


@contextmanager
def fit_of(task, name, estimator):
    """A part of ``task`` that is the fit of another estimator, which callbacks follow.

    The two are one task, and callbacks that are to follow hear of it from either.
    """
    if task is None:
        yield
        return
    part = task.subtask(name)
    with part.context.propagate_callback_context(estimator):
        part.begin()
        yield
        part.end()

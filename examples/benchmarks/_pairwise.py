"""Few combinations of parameters in which any two values meet."""

from itertools import combinations


def pairwise(choices, allowed):
    """Combinations in which each pair of values occurs that ``allowed`` lets occur.

    Greedy: a combination starts from a pair not seen yet, and takes for each other
    parameter the value that adds most of such pairs.

    Parameters
    ----------
    choices : dict of str to sequence
        The values of each parameter; the first is the one that is never refused.
    allowed : callable
        Says of a dict of some parameters whether they go together.
    """
    pairs = {
        frozenset([(one, i), (other, j)])
        for one, other in combinations(choices, 2)
        for i in range(len(choices[one]))
        for j in range(len(choices[other]))
    }

    def values(indices):
        return {name: choices[name][i] for name, i in indices.items()}

    def seen(indices):
        return {frozenset(pair) for pair in combinations(indices.items(), 2)}

    def completed(indices):
        for name in choices:
            if name not in indices:
                options = [indices | {name: i} for i in range(len(choices[name]))]
                options = [o for o in options if allowed(values(o))]
                if not options:
                    return None
                indices = max(options, key=lambda o: len(seen(o) & pairs))
        return indices

    for pair in sorted(map(sorted, pairs)):
        if frozenset(pair) not in pairs or not allowed(values(dict(pair))):
            continue
        indices = completed(dict(pair))
        if indices is not None:
            pairs -= seen(indices)
            yield {name: choices[name][indices[name]] for name in choices}

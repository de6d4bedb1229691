"""The table and the figure of ``bench_time_to_loss.py``."""

import math

# Of one brightness, to be seen on white and on black.
COLORS = {
    "L-BFGS": "#e4572e",
    "release": "#c08a00",
    "Adam": "#2e86de",
    "Adam, L-BFGS": "#d6409f",
    "torch Adam": "#17a589",
    "torch L-BFGS": "#9b59b6",
    "MLPRegressor": "#888888",
}


def show(found, figure):
    """Print all points and, if a file is named, draw them.

    Parameters
    ----------
    found : dict
        By problem and method lists of (evaluations, seconds, loss).
    figure : Path or None
    """
    for problem, lines in found.items():
        print(problem)
        for method, points in lines.items():
            cells = [f"{e:6.0f} {s:7.2f} s {loss:10.5g}" for e, s, loss in points]
            print(f"  {method:14}", "  |".join(cells))
    if figure is not None:
        draw(found, figure)


def draw(found, file):
    """Loss above the lowest of all, relatively, against seconds; a panel a problem."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import LogLocator, NullFormatter

    grey = "#808080"
    with plt.rc_context(
        {
            **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor"), grey),
            **dict.fromkeys(("xtick.color", "ytick.color"), grey),
            **{"grid.color": grey, "grid.alpha": 0.3, "font.size": 9},
        }
    ):
        n_columns = min(3 if len(found) < 7 else 4, len(found))
        shape = math.ceil(len(found) / n_columns), n_columns
        figure, axes = plt.subplots(
            *shape,
            figsize=(3.1 * shape[1], 2.6 * shape[0] + 0.5),
            layout="constrained",
            squeeze=False,
        )
        for ax in axes.flat[len(found) :]:
            ax.set_axis_off()
        for ax, (problem, lines) in zip(axes.flat, found.items(), strict=False):
            ax.patch.set_alpha(0)
            best = min(point[2] for points in lines.values() for point in points)
            for method, points in lines.items():
                # The lowest itself is drawn at the bottom of the panel.
                above = [max(loss / best - 1, 1e-4) for _, _, loss in points]
                style = "-" if method in ("L-BFGS", "Adam", "Adam, L-BFGS") else "--"
                ax.loglog(
                    [seconds for _, seconds, _ in points],
                    above,
                    style,
                    color=COLORS.get(method, grey),
                    marker="o",
                    markersize=3.5,
                    linewidth=1.6,
                    label=method,
                )
            ax.set_title(problem, fontsize=9)
            ax.grid(True, which="major")
            # On less than two decades minor labels run into each other.
            ax.xaxis.set_minor_formatter(NullFormatter())
            ax.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
            ax.xaxis.set_major_formatter("{x:g}")
        figure.supxlabel("CPU seconds of the fit, one thread")
        figure.supylabel("loss above the lowest, relatively")
        every = {}
        for ax in axes.flat:
            handles, labels = ax.get_legend_handles_labels()
            every |= dict(zip(labels, handles, strict=True))
        figure.legend(
            every.values(),
            every.keys(),
            loc="outside upper center",
            ncols=len(every),
            frameon=False,
        )
        figure.savefig(file, dpi=120, transparent=True)

"""Draw docs/images/results_*.png from the tables in docs/tables.

    python docs/draw_results.py

Colours are of middle brightness and backgrounds transparent, so that the figures can
be read on light and on dark pages.
"""

import re
from pathlib import Path

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt

DOCS = Path(__file__).resolve().parent
OURS, PEER, GREY = "#e4572e", "#2e86de", "#808080"
COLORS = (OURS, "#c08a00", GREY, PEER, "#17a589")
STYLE = {
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor"), GREY),
    **dict.fromkeys(("xtick.color", "ytick.color"), GREY),
    **{"axes.spines.top": False, "axes.spines.right": False, "font.size": 9.5},
}


def table(name):
    """Rows of the table, by their first column, each a list of the other cells."""
    rows = {}
    for line in (DOCS / "tables" / f"{name}.txt").read_text().splitlines():
        first, *cells = re.split(r"\s{2,}", line.strip())
        if cells and not first.startswith("-"):
            rows[first] = cells
    return rows


def save(figure, name):
    for ax in figure.axes:
        ax.patch.set_alpha(0)
    figure.savefig(DOCS / "images" / f"results_{name}.png", dpi=130, transparent=True)
    plt.close(figure)


def published():
    """Four experiments of the literature, here and as published."""
    sda, deep = table("bench_sda"), table("bench_deep_autoencoder")
    # Two tables of one file, with rows of the same name.
    text = (DOCS / "tables/bench_stacked_ufldl.txt").read_text()
    stacked, taught = re.findall(r"^seed 0 +(\S+) +(\S+) +(\S+)", text, re.MULTILINE)
    panels = (
        (
            "stacked autoencoder\ntest error, %",
            (100 - float(stacked[1]), 100 - float(stacked[2])),
        ),
        (
            "self-taught learning\ntest error, %",
            (100 - float(taught[0]), 100 - float(taught[1])),
        ),
        (
            "stacked denoising\ntest error, %",
            (float(sda["long, seed 0"][1]), float(sda["long, seed 0"][2])),
        ),
        (
            "deep autoencoder\ntest squared error",
            tuple(map(float, deep["784-1000-500-250-30"][:2])),
        ),
    )
    figure, axes = plt.subplots(
        1, len(panels), figsize=(8.4, 2.5), layout="constrained"
    )
    for ax, (title, values) in zip(axes, panels, strict=True):
        bars = ax.bar(("skae", "published"), values, color=(OURS, GREY), width=0.6)
        ax.bar_label(bars, fmt="%.2f", color=GREY, padding=2)
        ax.set_title(title, fontsize=9.5)
        ax.set_yticks([])
        ax.spines["left"].set_visible(False)
        ax.margins(y=0.15)
    save(figure, "published")


def few_labels():
    """Test error against the number of labels."""
    figure, ax = plt.subplots(figsize=(6.4, 3.4), layout="constrained")
    rows = table("bench_few_labels")
    names = [name for name in rows if "±" in rows[name][0]]
    order = sorted(names, key=lambda name: float(rows[name][0].split("±")[0]))
    for name, color in zip(order, COLORS, strict=True):
        mean, error = zip(
            *(map(float, c.split("±")) for c in rows[name][:3]), strict=True
        )
        style = "-" if name.startswith("stack") else "--"
        ax.errorbar(
            (100, 300, 1000),
            mean,
            error,
            fmt=f"o{style}",
            label=name,
            color=color,
            capsize=3,
            markersize=4,
        )
    ax.set_xscale("log")
    ax.set_xticks((100, 300, 1000), ("100", "300", "1000"))
    ax.minorticks_off()
    ax.set_xlabel("labelled rows")
    ax.set_ylabel("test error, %")
    ax.legend(frameon=False, fontsize=8.5)
    save(figure, "few_labels")


def fine_tuned():
    """Test error after fine-tuning, by what the layer was pre-trained with."""
    figure, ax = plt.subplots(figsize=(6.4, 2.6), layout="constrained")
    rows = {
        name: cells
        for name, cells in table("bench_fine_tuned_features").items()
        if len(cells) == 5 and name != "pre-training"
    }
    order = sorted(rows, key=lambda name: -float(rows[name][1]))
    ax.barh(
        order,
        [float(rows[name][1]) for name in order],
        xerr=[float(rows[name][2]) for name in order],
        color=[GREY if name == "none" else OURS for name in order],
        ecolor=GREY,
        height=0.6,
        capsize=3,
    )
    known = [name for name in order if rows[name][3] != "-"]
    ax.plot(
        [float(rows[name][3]) for name in known],
        known,
        "D",
        color=PEER,
        markersize=5,
        label="published",
    )
    ax.set_xlabel("test error, %")
    ax.legend(frameon=False, loc="upper right", bbox_to_anchor=(1, 0.6))
    save(figure, "fine_tuned")


def scaling():
    """Time of an evaluation against rows, features and components."""
    text = (DOCS / "tables/bench_scaling.txt").read_text()
    figure, axes = plt.subplots(1, 3, figsize=(8.4, 2.6), layout="constrained")
    for ax, part in zip(axes, text.split("\n\n")[1:4], strict=True):
        title, *lines = part.splitlines()
        pairs = re.findall(r"^(\d+)[ *]+(\S+)", "\n".join(lines), re.MULTILINE)
        sizes, ms = zip(
            *((float(size), float(time)) for size, time in pairs), strict=True
        )
        ax.loglog(sizes, ms, "o-", color=OURS, markersize=4)
        ax.loglog(sizes, [ms[-1] * size / sizes[-1] for size in sizes], ":", color=GREY)
        ax.set_title(re.split(r"\s{2,}", title)[0], fontsize=9.5)
        ax.minorticks_off()
    axes[0].set_ylabel("ms of an evaluation")
    axes[0].set_xlabel("rows")
    axes[1].set_xlabel("features")
    axes[2].set_xlabel("components")
    save(figure, "scaling")


def memory_map():
    """Resident memory of tasks on a file of twenty gigabytes."""
    rows = {n: c for n, c in table("bench_memory_map").items() if len(c) == 4}
    rows.pop("task", None)
    names = list(rows)[::-1]
    figure, ax = plt.subplots(figsize=(6.4, 2.3), layout="constrained")
    peak = [float(rows[name][3]) for name in names]
    rest = [float(rows[name][1]) for name in names]
    ax.barh(names, peak, color=OURS, height=0.6, label="peak during the task")
    ax.barh(names, rest, color=GREY, height=0.6, label="the process before it")
    ax.set_xlabel("MB of resident memory")
    ax.legend(frameon=False, loc="upper right", fontsize=8.5)
    save(figure, "memory_map")


def comparison():
    """Scores less those of PCA, with their intervals, by data set and size."""
    text = (DOCS / "tables/bench_compare.txt").read_text()
    row = re.compile(
        r"^(\w+Autoencoder) +(\d+) +\S+ ± \S+ +(\S+) \[(\S+), (\S+)\]", re.MULTILINE
    )
    labels, found = [], {}
    for part in re.split(r"\n(?=[^\n]+: \d+ rows)", text)[1:]:
        name = part.split(":")[0]
        for method, k, *numbers in row.findall(part):
            label = f"{name}, {k}"
            if label not in labels:
                labels.append(label)
            found.setdefault(method, {})[label] = [float(n) for n in numbers]
    figure, axes = plt.subplots(
        1,
        len(found),
        figsize=(8.4, 0.27 * len(labels) + 1.1),
        layout="constrained",
        sharey=True,
        sharex=True,
    )
    order = labels[::-1]
    for ax, (method, differences), color in zip(
        axes, found.items(), COLORS[::2], strict=True
    ):
        for label, (middle, low, high) in differences.items():
            y = order.index(label)
            ax.plot((low, high), (y, y), color=color, linewidth=1.6)
            ax.plot(middle, y, "o", color=color, markersize=4)
        ax.axvline(0, color=GREY, linewidth=0.8)
        ax.set_title(method, fontsize=9.5)
        ax.set_yticks(range(len(order)), order)
    figure.supxlabel("score less that of PCA, with 95 % intervals", fontsize=9.5)
    save(figure, "comparison")


def in_a_pipeline():
    """Mean difference to PCA by number of components, model and autoencoder."""
    text = (DOCS / "tables/bench_in_a_pipeline.txt").read_text()
    models = ("linear", "SVM", "k-NN", "k-means")
    figure, axes = plt.subplots(
        1, len(models), figsize=(8.4, 2.7), layout="constrained", sharey=True
    )
    parts = re.findall(r"^(\S+): difference to PCA.*\n(.*)\n((?:.+\n)+)", text, re.M)
    for (method, head, body), color in zip(parts, COLORS, strict=False):
        ks = re.findall(r"k=(\w+)", head)
        for ax, model in zip(axes, models, strict=True):
            lines = re.findall(rf"^{re.escape(model)} .*", body, re.M)
            means, counts = (
                [[float(n) for n in re.findall(pattern, line)] for line in lines]
                for pattern in (r"([+-][\d.]+) \(", r"of (\d+)\)")
            )
            weighted = [
                sum(m * n for m, n in zip(mean, count, strict=True)) / sum(count)
                for mean, count in zip(
                    zip(*means, strict=True), zip(*counts, strict=True), strict=True
                )
            ]
            ax.plot(ks, weighted, "o-", color=color, markersize=4, label=method)
            ax.axhline(0, color=GREY, linewidth=0.8)
            ax.set_title(model, fontsize=9.5)
    axes[0].set_ylabel("score less that of PCA")
    figure.supxlabel("components (2d: twice the columns)", fontsize=9.5)
    figure.legend(
        *axes[0].get_legend_handles_labels(),
        loc="outside upper center",
        ncols=4,
        frameon=False,
        fontsize=8.5,
    )
    save(figure, "in_a_pipeline")


if __name__ == "__main__":
    with plt.rc_context(STYLE):
        for draw in (published, few_labels, fine_tuned, scaling, memory_map):
            draw()
        comparison()
        in_a_pipeline()

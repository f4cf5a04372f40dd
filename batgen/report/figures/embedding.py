"""What the label embedding learned: a t-SNE map with its clusters (RCVAE paper, figs. 7 and S6)."""

import numpy as np
from matplotlib.figure import Figure

from batgen.report.figures.style import CYCLE, sheet, styled
from batgen.report.part import Part

#: Labels on the map: t-SNE of all (up to 9,400 at 100 cycles) would take minutes and show no more.
_LABELS = 1500
_CLUSTERS = 8


@styled
def draw_embedding(part: Part, seed: int = 0) -> Figure | None:
    """t-SNE of the embedding rows with k-means clusters of the map, each annotated with its mean EOL, mean ECL and the
    distance d = w EOL + (1 - w) ECL of that mean from (0, 0), eq. 14. None without an embedding of 5 labels or more.

    The paper clusters "using the KNN algorithm", which is a classifier and finds no clusters: k-means stands in for it.
    """
    from sklearn.cluster import KMeans  # slow to import, and few models have an embedding
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    embedding = part.embedding
    if embedding is None or not np.isfinite(embedding.weight).all() or len(embedding.weight) < 5:
        return None
    labels = len(embedding.weight)
    picked = np.sort(np.random.default_rng(seed).permutation(labels)[:_LABELS])
    weight, eol, ecl = embedding.weight[picked], embedding.eol[picked], embedding.ecl[picked]
    perplexity = min(30.0, (len(picked) - 1) / 3)
    # One thread: t-SNE's short parallel loops spend their time waiting wherever a core is busy (31 s became 0.5 s).
    with threadpool_limits(1):
        reduced = PCA(min(50, *weight.shape), random_state=seed).fit_transform(weight)
        places = TSNE(perplexity=perplexity, init="random", random_state=seed).fit_transform(reduced)
        clusters = KMeans(min(_CLUSTERS, len(picked) // 2), n_init=10, random_state=seed).fit_predict(places)

    shown = f"{len(picked)} of {labels}" if len(picked) < labels else f"{labels}"
    figure, axes = sheet(1, 1, 7.2, 5.6, f"Label embedding: {part.title()}")
    ax = axes[0, 0]
    for cluster in np.unique(clusters):
        mine = clusters == cluster
        colour = CYCLE[cluster % len(CYCLE)]
        ax.scatter(*places[mine].T, s=12, color=colour, alpha=0.7, lw=0)
        distance = embedding.distance_weight * eol[mine].mean() + (1 - embedding.distance_weight) * ecl[mine].mean()
        ax.annotate(
            f"EOL {eol[mine].mean():.0f}\nECL {ecl[mine].mean():.0f}\nd {distance:.0f}",
            np.median(places[mine], axis=0),
            ha="center",
            va="center",
            fontsize=8.5,
            bbox={"facecolor": "white", "alpha": 0.9, "edgecolor": colour, "lw": 1.5, "boxstyle": "round,pad=0.25"},
        )
    ax.set_title(
        f"t-SNE of {shown} labels, k-means clusters of the map;\n"
        "mean EOL, mean ECL and distance d from (0, 0) by eq. 14 of each",
        loc="left",
        color="#444444",
    )
    ax.set(xlabel="t-SNE 1", ylabel="t-SNE 2", xticks=[], yticks=[])
    return figure

"""explanation.h5 of a part: attention over the observed cycles and saliency of the forecast, for some test cells."""

from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import torch

from batgen.evaluation.forecast_settings import ForecastEvaluation
from batgen.evaluation.saliency import saliency
from batgen.files import replacing
from batgen.forecasting import batch_of
from batgen.preprocessing.sequence_series import Series
from batgen.sequence_cuts import tested_pairs
from batgen.sequence_part import Part


def write_explanation(path: Path, part: Part, settings: ForecastEvaluation, cuts: Sequence[int]) -> None:
    """Of the first fold's model, at the first cut, for `settings.explain` cells of each test set, spread over their lives.

    attention/<cell> (H, N): attrs input_cycle, cycle. saliency/<cell>/<target>/q<level> (H', N, F): attrs input_cycle, cycle,
    names. A slash in a cell id becomes "|".
    """
    member = part.members[0]
    assert member.model is not None
    with replacing(path) as temporary, h5py.File(temporary, "w") as file:
        for one, cut in _chosen(part, settings.explain, cuts):
            preprocessing, model = member.preprocessing, member.model
            stride, back = preprocessing.plan.stride, preprocessing.plan.input_stride
            steps = max(min(-(-(one.last_cycle - cut) // stride), preprocessing.training_steps), 1)
            batch = batch_of(preprocessing, [one], [cut], steps, training=False)
            with torch.no_grad():
                weights = model.attention(batch)[0].numpy()  # type: ignore[operator]
            length = weights.shape[1]
            read = min(int(batch.length[0]), length)
            input_cycle = cut - back * np.arange(read)[::-1]
            name = one.cell_id.replace("/", "|")
            data = file.create_dataset(f"attention/{name}", data=weights[:, :read])
            data.attrs.update({"input_cycle": input_cycle, "cycle": cut + stride * np.arange(1, steps + 1)})
            few = min(steps, settings.explain_steps)
            names = list(model.shape.past_names)  # type: ignore[union-attr,arg-type]
            seen = int(batch.length[0])
            for place, target in enumerate(preprocessing.target_names):
                gradients = saliency(model, batch, place, few)[0].numpy()
                for level, number in zip(model.levels.tolist(), range(gradients.shape[1]), strict=True):  # type: ignore[operator]
                    found = file.create_dataset(
                        f"saliency/{name}/{target}/q{level:g}", data=gradients[:, number, :seen]
                    )
                    found.attrs.update(
                        {
                            "input_cycle": cut - back * np.arange(seen)[::-1],
                            "cycle": cut + stride * np.arange(1, few + 1),
                            "names": names,
                        }
                    )


def _chosen(part: Part, count: int, cuts: Sequence[int]) -> list[tuple[Series, int]]:
    found: list[tuple[Series, int]] = []
    for name in part.parts.tests:
        targets = part.members[0].preprocessing.target_names
        for pairs in tested_pairs(part.parts, part.series, name, cuts[:1], targets):
            cells = sorted(pairs, key=lambda pair: pair[0].last_cycle)
            at = np.linspace(0, len(cells) - 1, min(count, len(cells))).round().astype(int)
            found += [cells[i] for i in np.unique(at)]
    return found

"""Many RCVAEs in one step: the same formulas on weights, rows and noise that have one more dimension in front."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from batgen.models.layers.stacked import StackedLinear
from batgen.models.rcvae import RCVAE


class RCVAEStack(RCVAE):
    """M RCVAEs of one architecture side by side, on given weights: x is (M, B, *x_shape), label vectors (M, B, D).

    models: one a member; they may differ in `beta` and in the layer that is removed, which is then a slot that is bypassed.
    weights: name -> (M, ...), of `state_dict` less `labels`; a slot that a member lacks, and embeddings of labels that it
    lacks, hold anything finite and get gradient 0. Members do not see each other: the gradient of the sum of their losses
    is that of each of their own.

    No torch.func.vmap: per operation it costs about as much again as the operation's own start, and many small
    operations are what this class is to save (`python scripts/benchmark.py ensemble`).
    """

    #: Settings of the model in which members may differ.
    DIFFER = ("beta", "remove")

    def __init__(self, models: Sequence[RCVAE], weights: Mapping[str, Tensor]) -> None:
        nn.Module.__init__(self)
        first = models[0]
        self.shape, self.latent, self.loss_reading = first.shape, first.latent, first.loss_reading
        self.no_embedding, self.activation = first.no_embedding, first.activation
        like = weights["head_mean.weight"]
        self.beta = torch.tensor([[float(m.beta)] for m in models], dtype=like.dtype, device=like.device)
        self._member = torch.arange(len(models), device=like.device)[:, None]
        self._vectors = weights.get("embedding")

        def linear(name: str) -> StackedLinear:
            on = torch.tensor([_has(m, name) for m in models], device=like.device)
            return StackedLinear(weights[f"{name}.weight"], weights[f"{name}.bias"], None if bool(on.all()) else on)

        def numbered(side: str) -> nn.ModuleDict:
            found = {int(n.split(".")[1].rpartition("_")[2]) for n in weights if n.startswith(f"{side}.{side}_")}
            return nn.ModuleDict({f"{side}_{i}": linear(f"{side}.{side}_{i}") for i in sorted(found)})

        self.encoder, self.decoder = numbered("encoder"), numbered("decoder")
        self.head_mean, self.head_log_variance = linear("head_mean"), linear("head_log_variance")  # type: ignore[assignment]

    def told(self, placed: Tensor) -> Tensor:
        """(M, B, D) label vectors from (M, B) rows of the embeddings, or from (M, B, D) what stands for them."""
        return placed if self._vectors is None else self._vectors[self._member, placed]

    def through(self, layer: nn.Module, h: Tensor) -> Tensor:
        assert isinstance(layer, StackedLinear)
        return layer.bypassed(h, self.activation(layer(h)))


def _has(model: RCVAE, name: str) -> bool:
    try:
        model.get_submodule(name)
    except AttributeError:
        return False
    return True

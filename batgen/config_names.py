"""Names that a config may use, beside the arguments of what it builds."""

import re

PROTOCOLS = ("honest", "paper", "both")
#: Arguments that the program itself gives to what it builds; a config that sets one of them is refused.
GIVEN = (
    (re.compile(r"model|evaluation\.baselines\.\w+"), {"shape"}),
    (re.compile(r"model\.optim(\.generator|\.critic)?"), {"parameters"}),
    (re.compile(r"logger\.\w+"), {"folder", "name", "config"}),
)
#: What a dataset says of its curves, for the preprocessing.
CURVES = ("part", "signals", "companion", "honest_grid", "axis", "timed")
#: What a dataset says of its cycle sequences, for preprocessing, model and evaluation.
SEQUENCES = (
    "targets", "inputs", "covariates", "statics", "capacity", "stride", "input_stride", "horizon", "cuts", "until",
    "static_noise", "static_dropout",
)  # fmt: skip
#: What a dataset says of its profiles, for preprocessing, split and evaluation.
PROFILES = ("part", "signals", "conditions", "blocks", "apart", "folds", "run", "relative", "peak_after_s")
#: Nodes whose children are all built: each needs a _target_.
COLLECTIONS = ("callbacks", "logger", "evaluation.baselines", "model.physics")
#: A dataset within a pool of datasets.
MEMBER = re.compile(r"^data\.sources\.\w+$")
#: What `finetune` says: the run to start from, what of its models is trained, whose scaler is used.
FINETUNE = {
    "run": None,
    "train": ("all", "decoder", "heads", "heads_and_attention"),
    "scaler": ("source", "refit"),
}
#: Nodes that belong to a part of the config without being an argument of its target.
BESIDE = {"model": {"optim", "recipe", "recipes", "physics"}, "data": {"curves", "sequences", "profiles"}}

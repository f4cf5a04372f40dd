"""The errors batgen raises on bad input.

Each message is one sentence or two that name the file or the config key at fault and the remedy. `batgen.cli` prints
the message alone, without a traceback; anything that is not a `BatgenError` is a bug of ours and keeps its traceback.
"""


class BatgenError(Exception):
    """A problem the user can mend. The message names what is wrong, where, and what to do."""


class ConfigError(BatgenError):
    """The composed config cannot work: unknown key, wrong value, incompatible parts."""


class DataError(BatgenError):
    """A raw file, a store or a table is missing, damaged, or not what it claims to be."""


class CheckpointError(BatgenError):
    """A run folder or a checkpoint cannot be used: absent, of another version, incomplete."""

"""Which kind of machine to train on, from what the trainer says and what the root knob `device` says."""

from batgen.errors import ConfigError


def accelerator_on(accelerator: str, device: str | None) -> str:
    """cpu, gpu or auto. Raises ConfigError when the trainer and `device` contradict each other, or no GPU is there."""
    wanted = {None: accelerator, "cpu": "cpu", "cuda": "gpu"}[device]
    if accelerator not in (wanted, "auto"):
        raise ConfigError(f"device={device} contradicts trainer.accelerator={accelerator}. Leave one of them out.")
    if wanted == "gpu":
        import torch  # seconds, which reading a config need not wait for

        if not torch.cuda.is_available():
            raise ConfigError("trainer: accelerator=gpu, but this machine shows no GPU. Use trainer.accelerator=cpu.")
    return wanted

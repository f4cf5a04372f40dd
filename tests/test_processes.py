"""Which of several processes writes, and how many a job of a multirun may be."""

import pytest

from batgen.errors import ConfigError
from batgen.processes import check_devices, main_process
from batgen.search.fits import check_one_device


@pytest.mark.parametrize(
    ("environment", "first"),
    [
        ({}, True),
        ({"LOCAL_RANK": "0"}, True),
        ({"LOCAL_RANK": "1"}, False),
        ({"NODE_RANK": "1", "LOCAL_RANK": "0"}, False),
        ({"RANK": "4", "LOCAL_RANK": "0"}, False),
        ({"SLURM_PROCID": "0"}, True),
        ({"SLURM_PROCID": "3"}, False),
    ],
)
def test_only_the_first_process_writes(
    environment: dict[str, str], first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RANK", "SLURM_PROCID", "LOCAL_RANK", "NODE_RANK"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert main_process() is first


def test_a_job_of_a_multirun_waits_for_no_second_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SLURM_NTASKS", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    check_devices(1, 1)
    with pytest.raises(
        ConfigError, match=r"num_nodes=2: .* trainer\.num_nodes=1 .*launcher\.nodes=2 .*tasks_per_node=1"
    ):
        check_devices(1, 2)
    monkeypatch.setenv("SLURM_NTASKS", "2")
    check_devices(1, 2)


def test_a_trial_of_a_search_waits_for_no_second_machine() -> None:
    check_one_device({"devices": 1, "num_nodes": 1, "strategy": "auto"})
    check_one_device({})
    with pytest.raises(ConfigError, match=r"^trainer\.num_nodes: .*Use trainer\.num_nodes=1 trainer\.strategy=auto"):
        check_one_device({"devices": 1, "num_nodes": 2})
    with pytest.raises(ConfigError, match=r"^trainer\.strategy: .*Use trainer\.strategy=auto"):
        check_one_device({"devices": 1, "strategy": "ddp"})

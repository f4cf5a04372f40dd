"""What a leaderboard trains: the models that fit the data, with what they need; names and words that mean nothing are refused."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from batgen.cli import CONF
from batgen.errors import BatgenError, DataError
from batgen.leaderboard_cli import main
from batgen.leaderboard_plan import at_hand, kind_of, plan

WORDS = ("seed=[0,1]", "protocol=both")


def test_every_model_has_its_kind() -> None:
    kinds = {file.stem: kind_of(file.stem, CONF) for file in (CONF / "model").glob("*.yaml")}
    assert kinds["rcvae"] == kinds["rcvae_continuous"] == kinds["knn"] == "curves"
    assert kinds["hybrid"] == kinds["thermal_model"] == "profiles"
    assert kinds["cross_attention_cvae"] == "pulses"
    assert kinds["seq2seq_quantile"] == "sequences"


def test_generators_are_trained_and_their_baselines_evaluated_beside() -> None:
    found = plan("sim", [], ["curves"], WORDS, Path("o"), CONF)
    assert [job.model for job in found.jobs] == ["rcvae", "rcvae_continuous"]
    assert set(found.beside) == {"knn", "mean_curve", "nearest_copy", "pca_gaussian", "pca_ridge", "pointwise_ridge"}
    # The paper's array and charge throughput are two abscissas: errors on them are not compared.
    assert [job.board for job in found.jobs] == ["curves, 400 points over record", "curves, 200 points over charge"]
    assert found.jobs[0].folder == Path("o/rcvae")


def test_named_closed_form_models_get_runs_of_their_own_where_no_generator_covers_them() -> None:
    three = plan("sim", ["mean_curve", "nearest_copy", "knn"], ["curves"], WORDS, Path("nowhere"), CONF)
    assert [job.model for job in three.jobs] == ["knn", "mean_curve", "nearest_copy"]
    assert len({job.board for job in three.jobs}) == 1


def test_what_a_pair_needs_is_added_unless_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATGEN_DATA_DIR", str(tmp_path))
    (tmp_path / "nasa_pcoe").mkdir()
    (job,) = plan("nasa", ["rcvae"], [], WORDS, tmp_path, CONF).jobs
    assert job.needs == ("trainer.max_epochs=40", "data.censored=last_record")
    assert job.cfg.data.censored == "last_record"
    assert "data.censored=last_record" in job.board
    assert "max_epochs" not in job.board  # a budget: the curves are the same
    (job,) = plan("nasa", ["rcvae"], [], (*WORDS, "data.censored=drop"), tmp_path, CONF).jobs
    assert job.needs == ("trainer.max_epochs=40",)
    assert job.cfg.data.censored == "drop"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["models=[rcvae]"], "data=NAME is missing"),
        (["data=simm"], "data=simm: no such data; did you mean 'sim'"),
        (["data=sim", "models=[rcvea]"], "models: no model 'rcvea'; did you mean 'rcvae'"),
        (["data=sim", "families=[curvs]"], "families: no family 'curvs'; did you mean 'curves'"),
        (["data=mit_qdlin", "families=[pulses]"], "data=mit_qdlin holds curves, no pulses"),
        (["data=mit_qdlin", "models=[wgan_gp]"], "wgan_gp makes profiles, but data=mit_qdlin holds curves"),
        (
            ["data=sim", "models=[wgan_gp]", "families=[curves]"],
            "wgan_gp makes profiles, but the families asked for are",
        ),
        (["data=nasa", "models=[rcvae]"], "BATGEN_DATA_DIR is not set"),
        (["data=sim", "models=[mean_curve]", "trainer.epoch=3"], "(?s)mean_curve: .*max_epochs.*must fit every model"),
        (["data=sim", "models=[mean_curve]", "seed=0,1"], "mean_curve: .*seed"),
        (["data=sim", "models=[mean_curve]", "protocol=honset"], "did you mean 'honest'"),
        (["data=sim", "run_dir=x"], r"takes out=DIR instead of run_dir"),
        (["data=sim", "model=rcvae"], r"takes models=\[NAME,...\] instead of model"),
        (["data=sim", "rows=many"], "rows=many: must be a whole number"),
        (["sim"], "write KEY=VALUE"),
    ],
)
def test_bad_words_are_refused_before_anything_is_trained(words: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(BatgenError, match=message):
        main([*words, f"out={tmp_path / 'out'}"], CONF, tmp_path)
    assert not (tmp_path / "out").exists()


def test_help_says_how(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--help"], CONF, Path())
    assert "data=NAME" in capsys.readouterr().out


def test_data_that_can_be_downloaded_need_not_be_at_hand() -> None:
    at_hand(OmegaConf.create({"data": {"folder": "mit", "download": True}}))
    at_hand(OmegaConf.create({"data": {"folder": ""}}))
    with pytest.raises(DataError, match="BATGEN_DATA_DIR"):
        at_hand(OmegaConf.create({"data": {"folder": "nasa_pcoe"}}))

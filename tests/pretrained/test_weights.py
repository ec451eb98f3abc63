import copy

import pytest
import torch
from small_models import ALL_TARGETS, make_model

from electrain.files.checkpoints import read_checkpoint, write_checkpoint
from electrain.pretrained import locate
from electrain.pretrained.weights import lacks_weights, with_weights, without_weights


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    made = make_model(ALL_TARGETS, torch.float32)
    path = tmp_path_factory.mktemp("model") / "model.pt"
    copy.deepcopy(made).export().save(path)
    return made.get_checkpoint(), path


def test_weights_come_back_bit_for_bit(model, tmp_path):
    checkpoint, exported = model
    write_checkpoint(without_weights(checkpoint, exported), tmp_path / "small.ckpt")
    write_checkpoint(checkpoint, tmp_path / "whole.ckpt")
    assert (tmp_path / "small.ckpt").stat().st_size < 0.2 * (tmp_path / "whole.ckpt").stat().st_size
    small = read_checkpoint(tmp_path / "small.ckpt")
    assert lacks_weights(small) and not lacks_weights(checkpoint)
    whole = with_weights(small, exported)
    for state in ("model_state_dict", "best_model_state_dict"):
        assert list(whole[state]) == list(checkpoint[state])
        for name, value in checkpoint[state].items():
            assert whole[state][name].dtype == value.dtype
            torch.testing.assert_close(whole[state][name], value, rtol=0, atol=0)


def test_weights_of_another_model_are_refused(model, tmp_path):
    checkpoint, exported = model
    other = make_model(ALL_TARGETS, torch.float32)
    with torch.no_grad():
        other.network.heads["mtt::dos"].last.weight.add_(1.0)
    with pytest.raises(ValueError, match=r"is not the exported model of this checkpoint: .*mtt::dos.*differs"):
        without_weights(other.get_checkpoint(), exported)
    make_model(["energy"], torch.float32).export().save(tmp_path / "energies.pt")
    with pytest.raises(ValueError, match=r"energies.pt is not the exported model of this checkpoint: it has no"):
        with_weights(without_weights(checkpoint, exported), tmp_path / "energies.pt")


def test_a_cache_that_cannot_be_written(small, monkeypatch):
    (small.parent / "file").touch()
    monkeypatch.setenv("ELECTRAIN_CACHE", str(small.parent / "file"))
    with pytest.raises(OSError, match=r"the checkpoint of electrain-small cannot be written to .*ELECTRAIN_CACHE"):
        locate("electrain-small", ".ckpt")

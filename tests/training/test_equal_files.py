"""Equal trainings give equal files."""

import torch
from short_trainings import FRAMES, new_trainer, train
from tiny_models import ALL_TARGETS, dataset_info, make_dataset, make_model, model_hypers

from electrain.architectures.pet_mad.model import PETMAD


def test_equal_trainings_give_equal_checkpoints(tmp_path, monkeypatch):
    """Whatever was in memory before, whatever the file is called, and in which order metatrain fills in the losses."""
    options = {"type": "mse", "weight": 1.0, "reduction": "mean", "gradients": {}}
    names = ("energy", "mtt::bandgap")
    empty = torch.empty
    paths = []
    for number, order in enumerate((names, names[::-1])):
        # memory that nobody has initialised
        monkeypatch.setattr(torch, "empty", lambda *a, n=number, **k: empty(*a, **k).fill_(7 + n))
        model = make_model(ALL_TARGETS, torch.float32)
        monkeypatch.undo()
        trainer = new_trainer(num_epochs=1, loss={name: dict(options) for name in order})
        train(trainer, model, make_dataset(ALL_TARGETS, FRAMES), tmp_path)
        paths.append(tmp_path / f"model-{number}.ckpt")
        trainer.save_checkpoint(model, paths[-1])
    first, second = (path.read_bytes() for path in paths)
    assert first == second


def test_tables_of_types_are_filled(tmp_path):
    """In new models, after restarts with new targets, and in models from checkpoints that were written without them."""
    model = make_model(("energy",), torch.float32)
    assert_filled(model)
    model.restart(dataset_info(ALL_TARGETS), model_hypers())
    assert_filled(model)
    checkpoint = model.get_checkpoint()
    for name, values in checkpoint["model_state_dict"].items():
        if "type_to_index" in name:
            values[values < 0] = 123456789
    assert_filled(PETMAD.load_checkpoint({**checkpoint, "best_epoch": 0}, "export"))


def assert_filled(model):
    tables = [values for name, values in model.state_dict().items() if "type_to_index" in name]
    assert len(tables) == 2
    for table in tables:
        assert [int(table[number]) for number in model.atomic_types] == list(range(len(model.atomic_types)))
        assert (table == -1).sum() == len(table) - len(model.atomic_types)

"""Beginning with the encoder of a trained `pet_mad`."""

import gzip
import logging
from pathlib import Path

import pytest
import torch
from band_models import bands_info, crystal, hypers, make_model
from metatrain.utils.architectures import check_architecture_options, get_default_hypers
from metatrain.utils.data import DatasetInfo
from short_trainings import CPU
from targets import FORCE, cartesian
from tiny_models import SMALL as SMALL_PET
from tiny_models import dataset_info, request, to_systems

from electrain.architectures.bandformer.model import Bandformer
from electrain.architectures.bandformer.trained_encoder import check_encoder, start_encoder
from electrain.architectures.bandformer.trainer import Trainer
from electrain.architectures.pet_mad.model import PETMAD
from electrain.interface.metatrain_errors import OptionsError
from electrain.training.processes import Process

OLD = Path(__file__).parents[1] / "pet_mad" / "checkpoints"

ENCODER = {name: value for name, value in SMALL_PET.items() if name not in ("energy_grid", "head_width")}


def trained(folder, **options):
    """A `pet_mad` with large random weights, and its checkpoint."""
    torch.manual_seed(3)
    model = PETMAD({**get_default_hypers("pet_mad")["model"], **SMALL_PET, **options}, dataset_info())
    with torch.no_grad():
        for parameter in model.network.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    checkpoint = model.double().eval().get_checkpoint()
    checkpoint |= {"best_epoch": 0, "epoch": 0}
    torch.save(checkpoint, folder / "model.ckpt")
    return model, str(folder / "model.ckpt")


def new_model(elements=(6, 8, 14), **options):
    """A model of fewer elements, in other places of its tables."""
    settings = {**hypers()["point_edge_transformer"], **ENCODER, **options}
    info = bands_info(elements=elements)
    return Bandformer(hypers(encoder="point_edge_transformer", point_edge_transformer=settings), info).double().eval()


@pytest.mark.parametrize(
    ("options", "tolerance"),
    [
        ({}, 1e-10),
        ({"featurizer": "feedforward"}, 1e-10),
        ({"element_properties": True}, 1e-6),  # whose means over the elements are rounded to single precision
    ],
)
def test_features_are_those_of_the_trained_model(tmp_path, options, tolerance):
    known, path = trained(tmp_path, **options)
    model = new_model(**options)
    check_encoder(model, path)
    start_encoder(model, path)
    atoms = crystal()
    batch = model.read(to_systems([atoms], model))
    encoder = model.network.encoder.transformer
    found = encoder.pooled_features(encoder(batch)).values
    expected = known(to_systems([atoms], known), request(["feature"], "atom"))["feature"].block().values
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


def test_elements_that_the_trained_model_does_not_know(tmp_path, caplog):
    """They keep their random rows; properties of all elements are relative to the same mean."""
    known, path = trained(tmp_path, element_properties=True)
    model = new_model(elements=(6, 8, 14, 79), element_properties=True)
    embedding = model.network.encoder.transformer.node_embeddings[0]
    before, properties = embedding.weight[3].clone(), embedding.properties.clone()
    with caplog.at_level(logging.INFO):
        start_encoder(model, path)
    assert "It does not know Au, which begin with random features" in caplog.text
    torch.testing.assert_close(embedding.weight[3], before, rtol=0, atol=0)
    differences = properties - properties[0]
    torch.testing.assert_close(embedding.properties - embedding.properties[0], differences, rtol=1e-6, atol=1e-6)
    of_carbon = known.network.node_embeddings[0].properties[known.atomic_types.index(6)]
    torch.testing.assert_close(embedding.properties[0], of_carbon, rtol=1e-6, atol=1e-6)


def test_other_sizes_are_refused_with_those_that_fit(tmp_path):
    _, path = trained(tmp_path)
    with pytest.raises(
        ValueError, match=r"the encoder differs from that of .*model.ckpt; write in(.|\n)*edge_width: 8"
    ):
        check_encoder(new_model(edge_width=16), path)


def test_the_graph_transformer_has_no_such_encoder(tmp_path):
    _, path = trained(tmp_path)
    model = Bandformer(hypers(), bands_info())
    with pytest.raises(ValueError, match="needs `encoder: point_edge_transformer`"):
        check_encoder(model, path)


LONG_RANGE = {**get_default_hypers("pet_mad")["model"]["long_range"], "enable": True}


@pytest.mark.parametrize(
    ("options", "message"),
    [({"system_conditioning": True}, "reads charges"), ({"long_range": LONG_RANGE}, "has long-range features")],
)
def test_an_encoder_with_parts_that_bandformer_lacks_is_refused(tmp_path, options, message):
    _, path = trained(tmp_path, **options)
    with pytest.raises(ValueError, match=message):
        check_encoder(new_model(), path)


def test_a_checkpoint_of_an_older_version(tmp_path):
    """The oldest one of the tests of `pet_mad` lacks several options."""
    path = tmp_path / "old.ckpt"
    path.write_bytes(gzip.decompress((OLD / "model-v1_trainer-v1.ckpt.gz").read_bytes()))
    with pytest.raises(ValueError, match=r"the encoder differs from that of .*(.|\n)*element_properties: false$"):
        check_encoder(new_model(edge_width=16), str(path))


def test_checks_of_the_trainer(tmp_path, caplog):
    """Both ways to begin, a missing file, and a network that reads directions without rotations."""
    _, path = trained(tmp_path)
    defaults, model = get_default_hypers("bandformer")["training"], new_model()

    def check(epoch=None, **options):
        trainer = Trainer({**defaults, "rotational_augmentation": True, **options})
        trainer.epoch = epoch
        trainer.check(model, Process(CPU))

    check(encoder_from=path)
    assert not caplog.text
    with pytest.raises(ValueError, match=r"expected `encoder_from` or `finetune` .*, got both"):
        check(encoder_from=path, finetune={"read_from": "model.ckpt"})
    with pytest.raises(FileNotFoundError, match=r"nowhere\.ckpt does not exist"):
        check(encoder_from="nowhere.ckpt")
    check(epoch=3, encoder_from="nowhere.ckpt")  # a restart
    check(rotational_augmentation=False)
    assert "reads directions; without `rotational_augmentation: true`" in caplog.text


def test_vectors_are_refused():
    """Also with an encoder that reads directions."""
    info = DatasetInfo("angstrom", [6, 8], {FORCE: cartesian(FORCE, 1, "eV/A", "atom")})
    with pytest.raises(ValueError, match="but 'bandformer' predicts scalars and spectra only; use 'pet_mad'"):
        Bandformer(hypers(encoder="point_edge_transformer"), info)


def test_checkpoints_without_a_choice_of_the_encoder():
    """They have the graph transformer; one that was written with the choice keeps it."""
    for model in (make_model(), new_model()):
        checkpoint = {**model.get_checkpoint(), "model_ckpt_version": 1, "epoch": 0, "best_epoch": 0}
        if model.hypers["encoder"] == "graph_transformer":
            for name in ("encoder", "element_properties", "point_edge_transformer"):
                del checkpoint["model_data"]["model_hypers"][name]
        again = Bandformer.load_checkpoint(Bandformer.upgrade_checkpoint(checkpoint), "export")
        assert again.hypers == {**hypers(), **model.hypers}
        for name, values in model.state_dict().items():
            assert torch.equal(again.state_dict()[name], values)


def test_options():
    """A name that is not known, and sizes that do not fit together."""
    known = get_default_hypers("bandformer")
    with pytest.raises(OptionsError, match="encoder_from"):
        check_architecture_options(
            "bandformer", {**known, "training": {**known["training"], "encoder_from": "electrain-large"}}
        )
    sizes = {**known["model"]["point_edge_transformer"], "edge_width": 10, "num_heads": 3}
    with pytest.raises(OptionsError, match=r"point_edge_transformer\.num_heads"):
        check_architecture_options(
            "bandformer", {**known, "model": {**known["model"], "point_edge_transformer": sizes}}
        )

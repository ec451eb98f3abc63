"""metatrain's own tests of what an architecture must do."""

import copy

import pytest
from metatrain.utils.architectures import check_architecture_options, get_default_hypers
from metatrain.utils.pydantic import MetatrainValidationError
from metatrain.utils.testing import (
    ArchitectureTests,
    AutogradTests,
    CheckpointTests,
    ExportedTests,
    InputTests,
    OutputTests,
    TorchscriptTests,
    TrainingTests,
)
from tiny_models import SMALL

MINIMAL = {**SMALL, "energy_grid": None, "num_message_passing_layers": 1, "num_attention_layers": 1}


class PetMadTests(ArchitectureTests):
    architecture = "pet_mad"

    @pytest.fixture
    def dataset_path(self, molecules_path):
        return molecules_path

    @pytest.fixture
    def minimal_model_hypers(self):
        hypers = get_default_hypers(self.architecture)["model"]
        return {**copy.deepcopy(hypers), **MINIMAL}

    @pytest.fixture
    def model_hypers(self, minimal_model_hypers):
        return {**minimal_model_hypers, "num_message_passing_layers": 2, "num_attention_layers": 2}


class TestInput(PetMadTests, InputTests):
    def test_atomic_baseline_error(self, default_hypers):
        """The same in our own words."""
        options = copy.deepcopy(default_hypers)
        options["training"]["atomic_baseline"] = {"energy": {"H": 300.0}}
        expected = r"training\.atomic_baseline\.energy: expected an atomic number, 1 to 118, got 'H'"
        with pytest.raises(MetatrainValidationError, match=expected):
            check_architecture_options(self.architecture, options)


class TestOutput(PetMadTests, OutputTests):
    supports_spherical_atomic_basis_outputs = False
    is_equivariant_rotations = False
    is_equivariant_reflections = False

    @pytest.fixture
    def n_features(self, model_hypers):
        return model_hypers["num_message_passing_layers"] * (model_hypers["node_width"] + model_hypers["edge_width"])

    @pytest.fixture
    def n_last_layer_features(self, model_hypers):
        return model_hypers["num_message_passing_layers"] * 2 * model_hypers["head_width"]


class TestAutograd(PetMadTests, AutogradTests):
    cuda_nondet_tolerance = 1e-12


class TestTorchscript(PetMadTests, TorchscriptTests):
    float_hypers = ["cutoff", "cutoff_width", "cutoff_width_adaptive", "attention_temperature"]  # noqa: RUF012


class TestExported(PetMadTests, ExportedTests): ...


class TestTraining(PetMadTests, TrainingTests):
    supports_atomic_basis = False


@pytest.mark.usefixtures("test_folder")
class TestCheckpoints(PetMadTests, CheckpointTests): ...

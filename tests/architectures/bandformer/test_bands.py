"""Bands of Bandformer: invariances, batches, both ways to decode them, training."""

import copy

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, make_supercell
from band_models import (
    CUBIC_PATH,
    NUM_BANDS,
    NUM_K,
    bands_info,
    crystal,
    cubic_bands,
    cubic_crystal,
    cubic_dataset,
    hypers,
    k_points_map,
    make_model,
    predict_bands,
    random_paths,
    row_map,
    with_k_points,
)
from metatensor.torch import Labels
from metatrain.utils.architectures import get_default_hypers
from metatrain.utils.data import Dataset
from metatrain.utils.io import model_from_checkpoint
from tiny_models import make_dataset, request, scalar_info, to_systems

from electrain.architectures.bandformer.model import Bandformer
from electrain.architectures.bandformer.trainer import Trainer
from electrain.interface.quantities import BANDS

KINDS = ("lattice", "paper")
CPU = torch.device("cpu")


def rotated(atoms, path):
    atoms = atoms.copy()
    atoms.rotate(50.0, (1, 2, 3), rotate_cell=True)
    return atoms, path  # whose fractional coordinates turn with the cell


def mirrored(atoms, path):
    atoms = atoms.copy()
    atoms.set_cell(-atoms.cell[:], scale_atoms=True)
    return atoms, path


def reordered(atoms, path):
    return atoms[np.random.default_rng(0).permutation(len(atoms))], path


def translated(atoms, path):
    """All atoms, and one of them to another image."""
    atoms = atoms.copy()
    atoms.positions += [0.3, -1.2, 4.5]
    atoms.positions[1] += atoms.cell[:].T @ [2, -1, 3]
    return atoms, path


def other_cell(atoms, path):
    """Another primitive cell of the same crystal, with the same k-points in it."""
    change = np.array([[1, 1, 0], [0, 1, 0], [-1, 0, 1]])
    return make_supercell(atoms, change), path @ change.T


MOVES = {
    "rotation": rotated,
    "inversion": mirrored,
    "order of atoms": reordered,
    "translation": translated,
    "time reversal": lambda atoms, path: (atoms, -path),
    "reciprocal lattice vector": lambda atoms, path: (atoms, path + np.array([1, -2, 0])),
    "another cell": other_cell,
}
ALWAYS = {"rotation", "inversion", "order of atoms", "translation"}
HOLD = {
    "paper": ALWAYS,
    "lattice": ALWAYS | {"time reversal", "reciprocal lattice vector"},
    "lattice without cosines": set(MOVES),
}


@pytest.mark.parametrize("move", MOVES)
@pytest.mark.parametrize("kind", HOLD)
def test_invariances(kind, move):
    """Those that the documentation promises, and the lack of the others."""
    options = {"num_cosines": 0} if "without" in kind else {}
    model = make_model(k_encoding=kind.split()[0], **options)
    (path,) = random_paths(1)
    atoms, moved = MOVES[move](crystal(), path)
    (before, after) = predict_bands(model, [crystal(), atoms], [path, moved])
    assert (before - before.mean(dim=1, keepdim=True)).abs().max() > 1e-2
    if move in HOLD[kind]:
        torch.testing.assert_close(after, before, rtol=1e-10, atol=1e-10)
    else:
        assert (after - before).abs().max() > 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_order_of_k_points(kind):
    """Points do not know their place in the path; Fourier coefficients are those of the path."""
    (path,) = random_paths(1)
    order = np.random.default_rng(0).permutation(NUM_K)
    for bands_as in ("points", "fourier"):
        model = make_model(k_encoding=kind, bands_as=bands_as)
        bands, reordered = predict_bands(model, [crystal()] * 2, [path, path[order]])
        difference = (reordered - bands[:, order]).abs().max()
        assert difference < 1e-10 if bands_as == "points" else difference > 1e-3


@pytest.mark.parametrize("bands_as", ["points", "fourier"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_is_its_structures(kind, bands_as):
    """Of different sizes, one without neighbors, one without periodic images, and one without k-points."""
    model = make_model(k_encoding=kind, bands_as=bands_as)
    frames = [crystal(), bulk("Si"), Atoms("O"), Atoms("OC", positions=[[0, 0, 0], [0, 0, 1.2]]), crystal() * (1, 2, 2)]
    paths = random_paths(len(frames))
    together = predict_bands(model, frames, paths)
    for atoms, path, bands in zip(frames, paths, together, strict=True):
        torch.testing.assert_close(predict_bands(model, [atoms], [path])[0], bands, rtol=1e-10, atol=1e-10)
    assert torch.cdist(together.flatten(1), together.flatten(1)).add(torch.eye(5)).min() > 1e-3
    model.train()
    model.network.eval()  # as in validation
    some = predict_bands(model, frames, [*paths[:1], None, *paths[2:]])
    torch.testing.assert_close(some[[0, 2, 3, 4]], together[[0, 2, 3, 4]], rtol=1e-10, atol=1e-10)
    assert some[1].isnan().all()


def test_dispersions():
    """They depend on k and have no mean; Fourier coefficients beyond the lowest ones vanish."""
    (path,) = random_paths(1)
    for bands_as in ("points", "fourier"):
        model = make_model(bands_as=bands_as)
        (bands,) = predict_bands(model, [crystal()], [path])
        other = predict_bands(model, [crystal()], [np.roll(path, 1, axis=0) + 0.1])[0]
        assert (bands.std(dim=1) > 1e-3).all() and (bands - other).abs().max() > 1e-3
        torch.testing.assert_close(bands.mean(dim=1), other.mean(dim=1), rtol=1e-10, atol=1e-10)  # centers
        higher = torch.fft.rfft(bands)[:, 5:].abs().max()
        assert higher < 1e-12 if bands_as == "fourier" else higher > 1e-3


def test_smooth_at_the_cutoff():
    """An image that comes into the range changes the bands little by little."""
    model = make_model(num_neighbors=None)
    crystals = [cubic_crystal(4.0 + change) for change in (1e-5, -1e-5, -0.5)]
    outside, inside, near = predict_bands(model, crystals, [CUBIC_PATH] * 3)
    torch.testing.assert_close(outside, inside, rtol=1e-6, atol=1e-6)
    assert (near - outside).abs().max() > 1e-3


def test_larger_cells_have_other_bands():
    """Folded ones: the network is told the number of atoms."""
    (path,) = random_paths(1)
    bands = predict_bands(make_model(), [bulk("Si"), bulk("Si") * (2, 1, 1)], [path, path * [2, 1, 1]])
    assert (bands[0] - bands[1]).abs().max() > 1e-3


# --- wrong input -------------------------------------------------------------------------------------------------


def test_k_points_are_needed():
    """For bands, and for nothing else; as many as bands were learned for."""
    model = make_model()
    systems = to_systems([bulk("Si")], model)
    assert model(systems, request(["energy"]))["energy"].block().values.isfinite().all()
    with pytest.raises(ValueError, match="mtt::bands needs k-points, but structure 0 has none"):
        model(systems, request([BANDS]))
    with pytest.raises(ValueError, match=r"expected 12 k-points of each structure, .*, got 11"):
        predict_bands(model, [bulk("Si")], [random_paths(1)[0][1:]])
    with pytest.raises(ValueError, match=r"mtt::bands is a property of a whole structure"):
        model(with_k_points([bulk("Si")], random_paths(1), model), request([BANDS], "atom"))


def test_numbers_of_values():
    info = bands_info(num_bands=3)
    with pytest.raises(ValueError, match=r"`num_k_points` values, .*: 2 x 12 = 24, got 36 in the dataset"):
        Bandformer(hypers(), info)
    info.targets[BANDS] = scalar_info(BANDS, 24, sample_kind="atom")
    with pytest.raises(ValueError, match="target 'mtt::bands' must be a list of scalars per structure"):
        Bandformer(hypers(), info)


def test_restart_with_other_bands():
    """Only options that are those of the checkpoint are accepted; labels are set again."""
    model = make_model()
    again = model_from_checkpoint(copy.deepcopy(model.get_checkpoint()), "restart").restart(bands_info(), {})
    assert again.dataset_info.targets[BANDS].layout.block().properties.names == ["band", "k_point"]
    with pytest.raises(ValueError, match="num_bands: 2 in the checkpoint, 3 in the options"):
        again.restart(bands_info(num_bands=3), {"num_bands": 3})


# --- training ----------------------------------------------------------------------------------------------------


def train(model, dataset, folder, validation=None, **options):
    settings = copy.deepcopy(get_default_hypers("bandformer")["training"])
    settings |= {"batch_size": 3, "num_workers": 0, "warmup_epochs": 0.0, "learning_rate": 3e-3, "num_epochs": 1}
    trainer = Trainer({**settings, **options})
    trainer.train(model.train(), torch.float64, [CPU], [dataset], [validation or dataset], str(folder))
    return trainer


def test_centers_begin_at_the_mean(tmp_path):
    """Of those bands that are known; a learning rate of almost 0 leaves them there."""
    constants = (1.8, 2.0, 2.2)
    dataset = cubic_dataset(constants)
    dataset[0][BANDS].block().values[0, NUM_K:] = torch.nan
    model = Bandformer(hypers(), bands_info((BANDS,), elements=(1,))).double()
    train(model, dataset, tmp_path, learning_rate=1e-12)
    means = np.array([cubic_bands(constant).mean(axis=1) for constant in constants])
    expected = [means[:, 0].mean(), means[1:, 1].mean()]
    np.testing.assert_allclose(model.head(BANDS).start.detach(), expected, atol=1e-9)
    assert any(parameter is model.head(BANDS).start for parameter in model.network.starting_points())


@pytest.mark.parametrize("bands_as", ["points", "fourier"])
def test_bands_of_nearest_neighbors_are_learned(bands_as, tmp_path):
    """Cubic crystals with five lattice constants: far better than the mean bands, and also for one in between."""
    torch.manual_seed(0)
    constants = (1.8, 1.9, 2.0, 2.1, 2.2)
    options = {"bands_as": bands_as, "num_fourier": 6, "width": 16, "num_encoder_layers": 1, "num_decoder_layers": 1}
    options["num_gaussians"] = 24
    model = Bandformer(hypers(**options), bands_info((BANDS,), elements=(1,), **options)).double()
    settings = {"num_epochs": 12, "batch_size": 5, "learning_rate": 1e-2, "learning_rate_schedule": "cosine"}
    train(model, cubic_dataset(8 * constants), tmp_path, validation=cubic_dataset(constants), **settings)
    constants += (1.85, 2.05)  # not in the training set
    expected = np.array([cubic_bands(constant) for constant in constants])
    frames = [cubic_crystal(constant) for constant in constants]
    found = predict_bands(model.eval(), frames, [CUBIC_PATH] * len(frames)).numpy()
    baseline = np.abs(expected - expected[:5].mean(axis=0)).mean(axis=(1, 2))
    errors = np.abs(found - expected).mean(axis=(1, 2))
    assert errors[:5].mean() < 0.2 * baseline[:5].mean() and errors[5:].mean() < 0.3 * baseline[5:].mean()


def test_energies_and_bands_of_other_structures(tmp_path):
    """Structures without bands, as well as bands that are not known, train nothing of theirs."""
    frames = [bulk("Si"), bulk("Si", a=5.6), bulk("Si", a=5.2)]
    data = make_dataset(("energy",), frames, rows={"energy": torch.tensor([[-1.0], [-2.0], [-3.0]]).double()})
    size = NUM_BANDS * NUM_K
    rows = torch.linspace(-1, 1, size).double().repeat(3, 1)
    rows[1] = torch.nan
    paths = random_paths(3)
    paths[1] = np.full_like(paths[1], np.nan)
    columns = {
        "system": [sample["system"] for sample in data],
        "energy": [sample["energy"] for sample in data],
        BANDS: [row_map(row, Labels.range("properties", size), i) for i, row in enumerate(rows)],
        "mtt::k_points": [k_points_map(path, i) for i, path in enumerate(paths)],
    }
    model = Bandformer(hypers(), bands_info()).double()
    trainer = train(model, Dataset.from_dict(columns), tmp_path, batch_size=1)
    assert np.isfinite(trainer.best_metric)
    assert all(parameter.isfinite().all() for parameter in model.parameters())
    del columns["mtt::k_points"]
    with pytest.raises(ValueError, match=r"(?s)training set has mtt::bands, but not the k-points.*`extra_data`"):
        train(model, Dataset.from_dict(columns), tmp_path)

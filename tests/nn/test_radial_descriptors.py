import math

import pytest
import torch
from networks import ELEMENTS, STRUCTURES
from structures import to_batch

from electrain.nn.element_properties import neighbor_weights
from electrain.nn.radial_descriptors import FIRST_RADIUS, NUM_RADII, WIDTH, RadialDescriptors

RADIUS = 4.0


def make():
    return RadialDescriptors(neighbor_weights(ELEMENTS), RADIUS).double()


def by_hand(atoms):
    """Every pair of atoms and images by a plain loop."""
    weights = neighbor_weights(ELEMENTS)
    expected = torch.zeros(len(atoms), weights.shape[1], NUM_RADII, dtype=torch.float64)
    images = [range(-4, 5) if periodic else [0] for periodic in atoms.pbc]
    for i in range(len(atoms)):
        for j in range(len(atoms)):
            for shift in [(a, b, c) for a in images[0] for b in images[1] for c in images[2]]:
                vector = atoms.positions[j] + shift @ atoms.cell[:] - atoms.positions[i]
                distance = math.sqrt(float(vector @ vector))
                if 1e-6 < distance < RADIUS:
                    cutoff = 0.5 * (math.cos(math.pi * distance / RADIUS) + 1)
                    for n in range(NUM_RADII):
                        center = FIRST_RADIUS + n * (RADIUS - 0.3 - FIRST_RADIUS) / (NUM_RADII - 1)
                        value = math.exp(-((distance - center) ** 2) / (2 * WIDTH**2)) * cutoff
                        expected[i, :, n] += weights[ELEMENTS.index(int(atoms.numbers[j]))] * value
    return expected.flatten(1)


@pytest.mark.parametrize("name", STRUCTURES)
def test_against_a_plain_loop(name):
    atoms = STRUCTURES[name]
    found = make().raw(to_batch([atoms], RADIUS + 1.0, ELEMENTS))  # pairs beyond the radius change nothing
    torch.testing.assert_close(found, by_hand(atoms), rtol=1e-6, atol=1e-7)


def test_standardised_on_a_training_set():
    descriptors = make()
    batch = to_batch(list(STRUCTURES.values()), RADIUS, ELEMENTS)
    raw = descriptors.raw(batch)
    descriptors.fit(raw.mean(dim=0), raw.var(dim=0, unbiased=False))
    found = descriptors(batch)
    torch.testing.assert_close(found.mean(dim=0), torch.zeros_like(found[0]), rtol=0, atol=1e-9)
    varying = raw.std(dim=0) > 0.1
    torch.testing.assert_close(
        found[:, varying].std(dim=0, unbiased=False), torch.ones(int(varying.sum())).double(), rtol=0.02, atol=0
    )
    assert (found[:, ~varying].abs() < 10).all()  # what hardly varies is not blown up


def test_scripted():
    descriptors, batch = make(), to_batch([STRUCTURES["molecule"]], RADIUS, ELEMENTS)
    torch.testing.assert_close(torch.jit.script(descriptors)(batch), descriptors(batch), rtol=0, atol=0)


def test_a_radius_without_room_is_refused():
    with pytest.raises(ValueError, match=r"at least 2.4 Angstrom|2.4 Angstrom or more, got 2"):
        RadialDescriptors(neighbor_weights(ELEMENTS), 2.0)

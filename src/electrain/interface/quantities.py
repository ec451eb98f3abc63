"""Names of the electronic-structure quantities in datasets, options files and exported models."""

DENSITY_OF_STATES = "mtt::dos"  # states/eV of the whole structure (or of each atom), on the model's energy axis
BAND_GAP = "mtt::bandgap"  # eV
FERMI_LEVEL = "mtt::efermi"  # eV, on the same energy axis as the density of states

# The fewest channels of a density of states that the band gap and Fermi level heads can read.
MIN_CHANNELS = 737

# One number per structure that does not grow with it: not sums over atoms.
INTENSIVE = (BAND_GAP, FERMI_LEVEL)


# metatomic's standard names; variants carry a suffix: "non_conservative_stress/pbe"
DIRECT_FORCE = "non_conservative_force"  # eV/A, predicted without derivative of an energy
DIRECT_FORCE_DEPRECATED = "non_conservative_forces"  # its name in older metatomic versions, which metatomic still takes
DIRECT_STRESS = "non_conservative_stress"  # eV/A^3


def base_quantity(name: str) -> str:
    """The quantity without its variant: ``energy/pbe`` -> ``energy``."""
    return name.split("/")[0]


def uncertainty_name(target: str) -> str:
    """Name of the output with the standard deviation of a target, as metatrain's ``llpr`` has it."""
    return "energy_uncertainty" if target == "energy" else f"mtt::aux::{target.replace('mtt::', '')}_uncertainty"


def ensemble_name(target: str) -> str:
    """Name of the output with the ensemble of a target, as metatrain's ``llpr`` has it."""
    return "energy_ensemble" if target == "energy" else f"mtt::aux::{target.replace('mtt::', '')}_ensemble"


def last_layer_features_name(target: str) -> str:
    """Name of the output with the features that enter a target's last linear map."""
    return f"mtt::aux::{target.replace('mtt::', '')}_last_layer_features"

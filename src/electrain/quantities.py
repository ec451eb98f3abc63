"""Names of the electronic-structure quantities in datasets, options files and exported models."""

DENSITY_OF_STATES = "mtt::dos"  # states/eV of the whole structure (or of each atom), on the model's energy axis
BAND_GAP = "mtt::bandgap"  # eV
FERMI_LEVEL = "mtt::efermi"  # eV, on the same energy axis as the density of states

# The fewest channels of a density of states that the band gap and Fermi level heads can read.
MIN_CHANNELS = 737

# Read from the density of states, one number per structure: not sums over atoms.
FROM_DENSITY_OF_STATES = (BAND_GAP, FERMI_LEVEL)

"""Options of the Point Edge Transformer, for the architectures that have it."""

# mypy: disable-error-code=misc
# (metatrain's convention: TypedDicts with default values)

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Optional

from annotated_types import Le, Unit
from typing_extensions import TypedDict

from electrain.interface.option_types import Count, Positive, at_most, divisor_of
from electrain.nn.cutoff import Cutoff
from electrain.nn.element_properties import element_properties
from electrain.nn.point_edge_transformer import PointEdgeEncoder, TransformerShape


class PointEdgeTransformerHypers(TypedDict):
    """Sizes and details of a Point Edge Transformer; the defaults are those of the published models."""

    cutoff: Annotated[Positive, Le(30.0), Unit("Angstrom")] = 4.5
    """Cutoff radius. The number of neighbors, and with it time and memory, grows with its third power."""
    cutoff_width: Annotated[Positive, Unit("Angstrom"), at_most("cutoff")] = 0.2
    """Width of the smooth cutoff function; at most ``cutoff``."""
    cutoff_function: Literal["cosine", "bump"] = "cosine"
    """Shape of the cutoff function."""
    num_neighbors_adaptive: Optional[Positive] = None
    """If set, the cutoff of every atom is reduced until about this many neighbors are left."""
    cutoff_width_adaptive: Annotated[Positive, Unit("Angstrom")] = 1.0
    """Width of the smooth neighbor count for the adaptive cutoff."""
    adaptive_cutoff_method: Literal["solver", "grid"] = "solver"
    """Root finding (``solver``), or, for older checkpoints, a weighted mean over a grid of radii (``grid``)."""
    featurizer: Literal["residual", "feedforward"] = "residual"
    """Read out every message-passing layer (``residual``) or only the last one (``feedforward``)."""
    num_message_passing_layers: Count = 2
    """Number of transformers that exchange messages."""
    num_attention_layers: Count = 2
    """Number of layers in each transformer."""
    edge_width: Count = 256
    """Number of features of an edge (token)."""
    node_width: Count = 256
    """Number of features of an atom."""
    feedforward_width: Count = 512
    """Number of hidden features in the transformers' feed-forward networks."""
    num_heads: Annotated[Count, divisor_of("edge_width")] = 8
    """Number of attention heads, a divisor of ``edge_width``."""
    attention_temperature: Positive = 1.0
    """Divisor of the attention logits."""
    normalization: Literal["LayerNorm", "RMSNorm"] = "LayerNorm"
    """Normalization in the transformers."""
    activation: Literal["SiLU", "SwiGLU"] = "SiLU"
    """Activation of the transformers' feed-forward networks."""
    transformer_type: Literal["PostLN", "PreLN"] = "PostLN"
    """Normalize after (``PostLN``) or before (``PreLN``) attention and feed-forward network."""
    element_properties: bool = False
    """Embed elements by their properties (electronegativity, radius, place in the periodic table, energies of atomic
    orbitals) and 0.1 of a learned table, instead of a learned table alone. For few data."""


def cutoff_of(hypers: Mapping[str, Any]) -> Cutoff:
    """Return which pairs of atoms become edges."""
    adaptive = hypers["num_neighbors_adaptive"]
    return Cutoff(
        radius=float(hypers["cutoff"]),
        width=float(hypers["cutoff_width"]),
        function=hypers["cutoff_function"],
        num_neighbors=None if adaptive is None else float(adaptive),
        count_width=float(hypers["cutoff_width_adaptive"]),
        method=hypers["adaptive_cutoff_method"],
    )


def shape_of(hypers: Mapping[str, Any]) -> TransformerShape:
    """Return the sizes of the transformers."""
    return TransformerShape(**{name: hypers[name] for name in TransformerShape._fields})


def encoder_of(hypers: Mapping[str, Any], atomic_types: list[int]) -> PointEdgeEncoder:
    """Make the layers without any head."""
    return PointEdgeEncoder(
        len(atomic_types),
        cutoff_of(hypers),
        shape_of(hypers),
        featurizer=hypers["featurizer"],
        num_message_passing_layers=hypers["num_message_passing_layers"],
        properties=element_properties(atomic_types) if hypers["element_properties"] else None,
    )

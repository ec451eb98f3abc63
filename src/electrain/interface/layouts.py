"""Layouts of predictions: the blocks, components and properties of each target's TensorMap."""

import math

import torch
from metatensor.torch import Labels, TensorBlock, TensorMap


class OutputLayout(torch.nn.Module):
    """Splits a head's values into the blocks of a target and labels them.

    :param layout: the target's layout, an empty TensorMap.
    """

    # TorchScript: the types of lists are read from the class
    components: list[list[Labels]]
    properties: list[Labels]
    shapes: list[list[int]]
    sizes: list[int]

    def __init__(self, layout: TensorMap) -> None:
        super().__init__()
        self.keys = layout.keys
        self.components = [block.components for block in layout.blocks()]
        self.properties = [block.properties for block in layout.blocks()]
        self.shapes = [
            [len(labels) for labels in block.components] + [len(block.properties)] for block in layout.blocks()
        ]
        self.sizes = [math.prod(shape) for shape in self.shapes]

    @property
    @torch.jit.unused
    def size(self) -> int:
        """Number of values per sample, over all blocks."""
        return sum(self.sizes)

    def forward(self, values: torch.Tensor, samples: Labels) -> TensorMap:
        """(num_samples, size) values -> TensorMap."""
        if self.keys.values.device != values.device:
            self._to_device(values.device)
        blocks: list[TensorBlock] = []
        for i, block_values in enumerate(values.split(self.sizes, dim=1)):
            blocks.append(
                TensorBlock(
                    values=block_values.reshape([-1] + self.shapes[i]),
                    samples=samples,
                    components=self.components[i],
                    properties=self.properties[i],
                )
            )
        return TensorMap(self.keys, blocks)

    def _to_device(self, device: torch.device) -> None:
        self.keys = self.keys.to(device)
        self.components = [[labels.to(device) for labels in components] for components in self.components]
        self.properties = [labels.to(device) for labels in self.properties]


def symmetric_stress(values: torch.Tensor, cells: torch.Tensor) -> torch.Tensor:
    """Convert the head's values to a symmetric stress, ``(A + A^T) / (2 V)``; NaN without a volume V.

    :param values: (num_samples, 9 * num_properties), extensive like an energy.
    :param cells: (num_samples, 3, 3) in Angstrom, with zero vectors in non-periodic directions.
    """
    matrices = values.reshape(values.shape[0], 3, 3, -1)
    volumes = torch.linalg.det(cells).abs().reshape(-1, 1, 1, 1)
    # Dividing by a zero volume would also make the gradients of the other structures in the batch NaN.
    stress = 0.5 * (matrices + matrices.transpose(1, 2)) / torch.where(volumes > 0, volumes, 1.0)
    return torch.where(volumes > 0, stress, torch.nan).reshape(values.shape)

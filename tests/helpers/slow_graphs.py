"""The graph network and what comes before and after it, by plain loops over atoms and pairs."""

import math

import torch

from electrain.nn.selection import Selection


def silu(x):
    return x / (1.0 + torch.exp(-x))


def linear(layer, x):
    return layer.weight @ x + layer.bias


def normalized(layer, x):
    if not hasattr(layer, "eps"):
        return x
    centered = x - x.mean()
    return centered / torch.sqrt(centered.square().mean() + layer.eps) * layer.weight + layer.bias


def perceptron(network, x):
    return normalized(network.normalize, linear(network.second, silu(linear(network.first, x))))


def pairs_of(batch, cutoff):
    """Center, neighbor, distance and cutoff function of every pair within the cutoff."""
    found = []
    for center, neighbor, shift in zip(batch.centers, batch.neighbors, batch.cell_shifts, strict=True):
        cell = batch.cells[batch.system_of_atom[center]]
        vector = batch.positions[neighbor] + shift.to(cell) @ cell - batch.positions[center]
        distance = torch.sqrt((vector * vector).sum())
        if distance < cutoff.radius:
            step = min(max(float(distance - cutoff.radius + cutoff.width) / cutoff.width, 0.0), 1.0)
            found.append((int(center), int(neighbor), distance, 0.5 * (1.0 + math.cos(math.pi * step))))
    return found


def graph_network(network, batch, pairs, inputs):
    """Equations 4 and 5; ``inputs`` are features of all atoms."""
    size = len(network.expand.centers)
    radius = float(network.expand.centers[-1])
    nodes = [perceptron(network.encode_nodes, row) for row in inputs]
    edges = []
    for _, _, distance, _ in pairs:
        spacing = radius / (size - 1)
        gaussians = [torch.exp(-((distance - n * spacing) ** 2) / (2 * spacing**2)) for n in range(size)]
        edges.append(perceptron(network.encode_edges, torch.stack(gaussians)))
    for layer in network.layers:
        weight = torch.cat([layer.of_centers.weight, layer.of_neighbors.weight, layer.of_edges.weight], dim=1)
        bias = layer.of_centers.bias + layer.of_neighbors.bias + layer.of_edges.bias
        sums = [torch.zeros_like(node) for node in nodes]
        for number, (center, neighbor, _, cutoff) in enumerate(pairs):
            hidden = silu(weight @ torch.cat([nodes[center], nodes[neighbor], edges[number]]) + bias)
            edges[number] = edges[number] + normalized(layer.normalize, linear(layer.second, hidden))
            sums[center] = sums[center] + cutoff * edges[number]
        updates = [perceptron(layer.node_network, torch.cat(both)) for both in zip(nodes, sums, strict=True)]
        nodes = [node + update for node, update in zip(nodes, updates, strict=True)]
    return torch.stack(nodes)


def select(batch, atoms=None):
    """All atoms, or some."""
    chosen = torch.arange(len(batch.positions)) if atoms is None else torch.tensor(atoms)
    systems = batch.system_of_atom[chosen]
    counts = torch.bincount(systems, minlength=len(batch.cells)).unsqueeze(1)
    return Selection(chosen, systems, counts, atoms is None)


def varied(network):
    """In float64, with weights that are large enough for predictions to differ from structure to structure."""
    network = network.double().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return network

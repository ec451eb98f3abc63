"""One continuous walk over all lines of a graph."""

import itertools

import networkx as nx
import numpy as np
from numpy.typing import NDArray

_UNITS = 10_000  # Lengths are integers, in this part of the longest one, so that equal ones are exactly equal.

Line = tuple[int, int]


def shortest_walk(points: NDArray[np.float64], lines: list[Line]) -> list[int]:
    """Shortest walk that starts at the first point and covers each line at least once, without a jump.

    It is an Eulerian path after some lines are doubled. It may end anywhere: for each end, the points with an odd
    number of lines (apart from start and end) are paired such that the lines between the pairs, which are walked again,
    are shortest (the Chinese postman's problem). Parts without a connection get the shortest line between them.

    :param points: Cartesian coordinates, shape ``(num_points, 3)``.
    :param lines: pairs of indices of points.
    :return: indices of the points in the order of the walk.
    """
    longest = max(float(np.linalg.norm(points[first] - points[second])) for first, second in lines)

    def length(first: int, second: int) -> int:
        return max(1, round(_UNITS * float(np.linalg.norm(points[first] - points[second])) / longest))

    graph = nx.Graph()
    graph.add_node(0)
    graph.add_weighted_edges_from((*sorted(line), length(*line)) for line in sorted(lines))
    while not nx.is_connected(graph):
        here = sorted(nx.node_connected_component(graph, 0))
        there = sorted(set(graph) - set(here))
        first, second = min(itertools.product(here, there), key=lambda pair: (length(*pair), pair))
        graph.add_edge(first, second, weight=length(first, second))
    distances = dict(nx.all_pairs_dijkstra_path_length(graph))
    pairs = min(
        (_pairs(graph, distances, end) for end in sorted(graph)),
        key=lambda found: sum(distances[first][second] for first, second in found),
    )
    doubled = nx.MultiGraph()
    doubled.add_edges_from(sorted(tuple(sorted(edge)) for edge in graph.edges))
    for first, second in pairs:
        doubled.add_edges_from(itertools.pairwise(nx.dijkstra_path(graph, first, second)))
    steps = list(nx.eulerian_path(doubled, source=0))
    return [steps[0][0], *(second for _, second in steps)]


def _pairs(graph: nx.Graph, distances: dict[int, dict[int, int]], end: int) -> list[Line]:
    """Pairs of points to connect once more, so that an Eulerian path leads from the first point to the end."""
    odd = {node for node, degree in graph.degree if degree % 2} ^ ({0} ^ {end})
    complete = nx.Graph()
    complete.add_weighted_edges_from(
        (first, second, distances[first][second]) for first, second in itertools.combinations(sorted(odd), 2)
    )
    return sorted((min(pair), max(pair)) for pair in nx.min_weight_matching(complete))

"""One small adapter per package; all do the same work from the same start."""

from __future__ import annotations

from benchmarks.peers.armadillo import Armadillo
from benchmarks.peers.base import Peer, Run
from benchmarks.peers.mclust import Mclust
from benchmarks.peers.own import Mixtura, MixturaPlain
from benchmarks.peers.scikit_learn import ScikitLearn
from benchmarks.peers.torch_gmm import TorchGmm

__all__ = ["PEERS", "Peer", "Run"]

PEERS: dict[str, Peer] = {
    peer.name: peer
    for peer in (Mixtura(), MixturaPlain(), ScikitLearn(), Armadillo(), Mclust(), TorchGmm())
}

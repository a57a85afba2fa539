"""One small adapter per package; all do the same work from the same start."""

from __future__ import annotations

from benchmarks.peers.armadillo import Armadillo
from benchmarks.peers.base import Peer, Run
from benchmarks.peers.mclust import Mclust
from benchmarks.peers.own import Mixtura, MixturaEarly, MixturaPlain
from benchmarks.peers.pomegranate import Pomegranate
from benchmarks.peers.scikit_learn import ScikitLearn, ScikitLearnConverged
from benchmarks.peers.step_mix import StepMix
from benchmarks.peers.torch_gmm import TorchGmm

__all__ = ["PEERS", "Peer", "Run"]

PEERS: dict[str, Peer] = {
    peer.name: peer
    for peer in (
        Mixtura(),
        MixturaPlain(),
        MixturaEarly(),
        ScikitLearn(),
        ScikitLearnConverged(),
        Armadillo(),
        Mclust(),
        TorchGmm(),
        Pomegranate(),
        StepMix(),
    )
}

"""Tests of mixtura, and the data, references and oracles they rest on."""

"""Data sets in the layouts in which they are distributed, read from disk; none of them is downloaded."""

from hashtag2action.data.benchmarks.benchmark import KINDS, Benchmark, parse_source, read_benchmark

__all__ = ["KINDS", "Benchmark", "parse_source", "read_benchmark"]

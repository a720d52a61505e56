"""Measuring round-trip times from this machine to players."""

from waymeet.node.probing.prober import Prober, ProbeRules
from waymeet.node.probing.questions import ProbeQuestions

__all__ = ["ProbeQuestions", "ProbeRules", "Prober"]

"""The program on each machine: connects out to the control plane, makes what it wants true, reports what it sees."""

from waymeet.node.agent import Agent
from waymeet.node.definition import NodeDefinition
from waymeet.node.host import run_nodes

__all__ = ["Agent", "NodeDefinition", "run_nodes"]

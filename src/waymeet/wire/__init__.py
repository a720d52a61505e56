"""The JSON form of the messages between nodes and the control plane (`model.node_messages`)."""

from waymeet.wire.codec import MESSAGE_BYTES, decode_from_node, decode_to_node, encode
from waymeet.wire.parts import PART_BYTES, in_parts

__all__ = ["MESSAGE_BYTES", "PART_BYTES", "decode_from_node", "decode_to_node", "encode", "in_parts"]

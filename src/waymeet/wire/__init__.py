"""The JSON form of the messages between nodes and the control plane (`model.node_messages`)."""

from waymeet.wire.codec import MESSAGE_BYTES, decode_from_node, decode_to_node, encode

__all__ = ["MESSAGE_BYTES", "decode_from_node", "decode_to_node", "encode"]

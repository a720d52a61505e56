"""Which addresses may be probed from here.

Addresses come from whoever may create a session; packets leave from the operator's network. Without these rules a caller
could have a node knock at its neighbours' doors.
"""

from waymeet.model.networks import Address, canonical_address, is_one_host, is_public


def target(text: str, *, allow_private: bool) -> Address | None:
    """The address to probe, IPv4-mapped IPv6 as IPv4; `None` for one that may not be probed, or is none.

    Only addresses on the internet, unless the operator allows private ones too. Never one that stands for many machines.
    """
    address = canonical_address(text)
    if address is None:
        return None
    return address if is_public(address) or (allow_private and is_one_host(address)) else None

"""Game servers as plain processes of this machine: no container engine, only programs that the operator lists."""

from waymeet.drivers.process.driver import ProcessDriver
from waymeet.drivers.process.environment import BeaconAddress, Host
from waymeet.drivers.process.ports import DEFAULT_PORTS, PortAllocator
from waymeet.drivers.process.programs import Program
from waymeet.drivers.process.settings import ProcessSettings

__all__ = [
    "DEFAULT_PORTS",
    "BeaconAddress",
    "Host",
    "PortAllocator",
    "ProcessDriver",
    "ProcessSettings",
    "Program",
]

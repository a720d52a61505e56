"""`python -m waymeet.cli`, the same as `waymeet`."""

from waymeet.cli import main

main()

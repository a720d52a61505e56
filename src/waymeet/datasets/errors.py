"""What can go wrong on the way from a publisher to the disk.

DatasetError            the message says what to do
 +- SourceUnavailable   this source cannot be had here; another one may
 +- Rejected            what came is not what was announced: too long, altered, or not of the form that it should have
"""


class DatasetError(Exception):
    """Base of what a user of this package meets."""


class SourceUnavailable(DatasetError):
    """Nothing is wrong with what is on the disk: a source that cannot be reached, or does not have what is wanted."""


class Rejected(DatasetError):
    """Nothing of it is kept."""

"""hostemr: host open-source medical records on AWS, and keep their operators informed."""

from importlib.metadata import version

__version__ = version("hostemr")

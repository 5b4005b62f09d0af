"""hostemr: host open-source medical records on AWS, and keep their operators informed."""


def __getattr__(name: str) -> str:
    """`__version__`, looked up only when somebody asks: reading the installed metadata takes a while."""
    if name == "__version__":
        from importlib.metadata import version

        return version("hostemr")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

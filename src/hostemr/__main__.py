"""`python -m hostemr` is `hostemr`."""

from hostemr.cli import main

if __name__ == "__main__":
    main()

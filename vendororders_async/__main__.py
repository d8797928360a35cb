"""``python -m vendororders_async`` is ``vendororders``."""

from .cli import main

if __name__ == "__main__":
    main()

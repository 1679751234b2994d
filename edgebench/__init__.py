"""edgebench: which vision backbone, exported how, run by what, goes on this robot?"""

__version__ = "0.1.0"

"""Yizheng (一证): one registration, one sign-in, every department system."""

__version__ = "0.1.0"

"""Sổ Khoẻ: a digital health system for a whole province. Start with docs/architecture.md."""

__version__ = "0.1.0"

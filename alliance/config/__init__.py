"""alliance.toml: who takes part, and how it is read."""

from alliance.config.file import AllianceConfig, load

__all__ = ["AllianceConfig", "load"]

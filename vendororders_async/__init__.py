"""Amazon vendor purchase orders, as fast as the usage plan allows, without losing one."""

__version__ = "0.1.0"

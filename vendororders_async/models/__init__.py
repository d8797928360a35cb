"""Amazon's models as msgspec structs."""

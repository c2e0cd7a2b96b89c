"""The ground floor: what pipeline and models both need; numpy and pydantic only."""

"""The ground floor: what pipeline and models both need; numpy, pydantic and PyYAML only."""

"""The errors of the network's side; flows show them to the user as they show those of the pipeline."""


class ModelError(Exception):
    """A network, its configuration or its data that cannot be used, with a message meant for the user."""


class CheckpointError(ModelError):
    """A checkpoint is missing, damaged, or was made for something else."""


class TrainingError(ModelError):
    """Training cannot go on."""

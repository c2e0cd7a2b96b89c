"""From a curtain to network input: channels, scaling, masking and windows."""

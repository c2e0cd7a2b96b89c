"""The emulator: a ground radar's curtain as a spaceborne radar would measure it from above.

One module a step, in the order of `emulate`: frequency, attenuation, along_track, range_weighting,
doppler, surface_echo, noise. All averages are in linear units. No echo counts as zero; what is
not known does not count.
"""

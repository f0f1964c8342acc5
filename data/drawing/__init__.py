"""A small renderer, and the things it draws: the sample pictures of `data/make_samples.py`.

The order of the modules is the order of the work: `mesh` builds shapes, `raster` finds which triangle covers which
pixel, `surfaces` paints tables and walls, `scene` lights and joins them, `photo` adds what a camera adds, and the
`things_*` modules say what a mug or a bicycle is made of.
"""

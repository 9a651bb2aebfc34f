"""The bundled demo scene: a still life on a round pedestal, modelled and path traced by this package.

`python -m assets.make_demo` (from the repository's root) writes assets/demo/.
"""

"""Bytes into the toolkit's textures, by OpenGL itself.

The toolkit takes images as floats only, converts and uploads every texture in every frame, changed or not,
and shows them a frame late. Where it draws by OpenGL, we write bytes into its textures, when they change.
"""

import ctypes
import ctypes.util
import sys

import numpy as np

_TEXTURE_2D, _RGB, _RGBA, _BYTES, _FLOATS = 0x0DE1, 0x1907, 0x1908, 0x1401, 0x1406
_UNPACK_ALIGNMENT, _WIDTH, _HEIGHT = 0x0CF5, 0x1000, 0x1001
_FILTERS, _NEAREST, _LINEAR = (0x2800, 0x2801), 0x2600, 0x2601
MOST_TEXTURES = 512  # names that are searched


class OpenGL:
    """The few calls that are needed, in the context that is current in this thread."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._gl = library
        library.glIsTexture.restype = ctypes.c_ubyte

    def find(self, pixels: np.ndarray) -> int | None:
        """The name of the texture that holds exactly these pixels, [H, W, 4] uint8; None: there is none."""
        gl, (height, width) = self._gl, pixels.shape[:2]
        there = np.empty_like(pixels)
        for name in range(1, MOST_TEXTURES):
            if not gl.glIsTexture(name):
                continue
            gl.glBindTexture(_TEXTURE_2D, name)
            if (self._size(_WIDTH), self._size(_HEIGHT)) == (width, height):
                gl.glGetTexImage(_TEXTURE_2D, 0, _RGBA, _BYTES, ctypes.c_void_p(there.ctypes.data))
                if np.array_equal(there, pixels):
                    return name
        return None

    def upload(self, name: int, image: np.ndarray, *, resize: bool, smooth: bool) -> None:
        """Write an image, [H, W, 3] uint8, into a texture.

        Args:
            name: of the texture.
            image: contiguous.
            resize: whether the texture has another size so far.
            smooth: whether it is drawn at another size, and so has to be interpolated, which takes longer.
        """
        gl, (height, width) = self._gl, image.shape[:2]
        data = ctypes.c_void_p(image.ctypes.data)
        gl.glBindTexture(_TEXTURE_2D, name)
        gl.glPixelStorei(_UNPACK_ALIGNMENT, 1)
        if resize:
            gl.glTexImage2D(_TEXTURE_2D, 0, _RGB, width, height, 0, _RGB, _BYTES, data)
        else:
            gl.glTexSubImage2D(_TEXTURE_2D, 0, 0, 0, width, height, _RGB, _BYTES, data)
        for side in _FILTERS:
            gl.glTexParameteri(_TEXTURE_2D, side, _LINEAR if smooth else _NEAREST)
        gl.glPixelStorei(_UNPACK_ALIGNMENT, 4)

    def _size(self, side: int) -> int:
        value = ctypes.c_int()
        self._gl.glGetTexLevelParameteriv(_TEXTURE_2D, 0, side, ctypes.byref(value))
        return value.value


def open_gl() -> OpenGL | None:
    """OpenGL, where the toolkit draws by it: on Linux."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        return OpenGL(ctypes.CDLL("libGL.so.1"))
    except (OSError, AttributeError):
        return None

"""Video files: H.264 in MP4, which plays everywhere, encoded by the ffmpeg that imageio-ffmpeg brings."""

import contextlib
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import imageio_ffmpeg
import numpy as np

from gaussians.errors import StorageError
from gaussians.storage import replacing

_QUALITY = "17"  # x264's constant rate factor; visually lossless
_SRGB = "color_primaries=bt709:color_trc=iec61966-2-1"


@contextlib.contextmanager
def film(path: Path, width: int, height: int, fps: float) -> Iterator[Callable[[np.ndarray], None]]:
    """Within: a video is made; what is yielded adds a frame [height, width, 3] uint8 to it.

    Width and height are even. The file replaces `path` when all is well.

    Raises:
        StorageError: no ffmpeg, or it could not write the file; what was at `path` is still there.
    """
    try:
        ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
    except RuntimeError as error:
        raise StorageError(
            f"{path}: no ffmpeg to make a video with; pip install imageio-ffmpeg, or give a folder for images"
        ) from error
    command = [
        *(ffmpeg, "-y", "-loglevel", "error"),
        *("-f", "rawvideo", "-pixel_format", "rgb24", "-video_size", f"{width}x{height}"),
        *("-framerate", f"{fps:g}", "-i", "-"),
        # The matrix that players assume, said in the file.
        *("-vf", "scale=out_color_matrix=bt709:out_range=tv,setparams=colorspace=bt709:" + _SRGB),
        *("-c:v", "libx264", "-crf", _QUALITY, "-pix_fmt", "yuv420p", "-movflags", "+faststart"),
    ]
    with replacing(path) as temporary, tempfile.TemporaryFile() as complaints:
        process = subprocess.Popen([*command, str(temporary)], stdin=subprocess.PIPE, stderr=complaints)
        pipe = process.stdin
        assert pipe is not None
        try:
            yield lambda frame: _send(pipe, frame)
            pipe.close()
        except BrokenPipeError:
            pass  # ffmpeg has ended; its exit code says so, and its complaints say why
        except BaseException:
            process.kill()
            raise
        finally:
            with contextlib.suppress(OSError):
                pipe.close()
            process.wait()
        if process.returncode != 0:
            complaints.seek(0)
            reason = complaints.read().decode(errors="replace").strip().splitlines() or ["no reason given"]
            raise StorageError(
                f"{path}: ffmpeg could not write the video ({reason[-1]}); "
                "free some space or choose another folder"
            )


def _send(pipe: IO[bytes], frame: np.ndarray) -> None:
    pipe.write(np.ascontiguousarray(frame).tobytes())

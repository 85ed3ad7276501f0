"""Audio and video containers: what their headers say. Nothing is transcribed."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

from airflow_bda.emulator.documents.reading import input_limits as limits
from airflow_bda.emulator.documents.reading.input_limits import (
    INVALID_INPUT,
    FileFormat,
    InputError,
    unreadable_means_input_error,
)

# Only the reader of the recognised format is tried: some others follow links to more files.
_DEMUXERS = {
    FileFormat.WAV: "wav",
    FileFormat.MP3: "mp3",
    FileFormat.FLAC: "flac",
    FileFormat.OGG: "ogg",
    FileFormat.AMR: "amr",
    FileFormat.M4A: "mov",
    FileFormat.MP4: "mov",
    FileFormat.MOV: "mov",
    FileFormat.AVI: "avi",
    FileFormat.MKV: "matroska",
    FileFormat.WEBM: "matroska",
}


@dataclass(frozen=True)
class AudioTrack:
    """
    One audio stream.

    :param sample_rate: in hertz.
    :param bitrate: in bits a second; None where the container does not say.
    """

    codec: str
    sample_rate: int
    channels: int
    bitrate: int | None


@dataclass(frozen=True)
class VideoTrack:
    """
    One video stream.

    :param frame_rate: in frames a second.
    """

    codec: str
    frame_rate: float
    width: int
    height: int


@dataclass(frozen=True)
class Media:
    """
    What an audio or video file holds; the first stream of each kind.

    :param short_format: the container's name, such as ``wav``.
    :param long_format: the same in full, such as ``QuickTime / MOV``.
    """

    short_format: str
    long_format: str
    duration_millis: int
    audio: AudioTrack | None
    video: VideoTrack | None


def read_media(data: bytes, file_format: FileFormat) -> Media:
    """
    Read the headers of an audio or video file.

    :raises InputError: when it is damaged, holds no stream, or is beyond the limits.
    """
    with unreadable_means_input_error(file_format.value):
        import av

        with av.open(io.BytesIO(data), "r", format=_DEMUXERS[file_format]) as container:
            media = Media(
                file_format.value.lower(),
                container.format.long_name,
                _duration_millis(container),
                _audio(container),
                _video(container),
            )
    _check_limits(media)
    return media


def _duration_millis(container: Any) -> int:
    import av

    if container.duration:
        return int(container.duration) * 1000 // av.time_base
    # Some containers (a raw stream, a recording that was cut off) have no duration in their header.
    last = 0.0
    for packet in container.demux():
        if packet.pts is not None:
            last = max(last, float((packet.pts + (packet.duration or 0)) * packet.time_base))
    return round(last * 1000)


def _audio(container: Any) -> AudioTrack | None:
    stream = next(iter(container.streams.audio), None)
    if stream is None:
        return None
    context = stream.codec_context
    bitrate = stream.bit_rate or container.bit_rate or None
    return AudioTrack(context.codec.canonical_name, context.sample_rate or 0, context.channels or 0, bitrate)


def _video(container: Any) -> VideoTrack | None:
    import av

    cover = av.stream.Disposition.attached_pic
    stream = next((each for each in container.streams.video if not each.disposition & cover), None)
    if stream is None:
        return None
    context = stream.codec_context
    return VideoTrack(context.codec.canonical_name, float(stream.average_rate or 0), context.width, context.height)


def _check_limits(media: Media) -> None:
    audio, video, check = media.audio, media.video, limits.check_range
    if video is not None:
        check("duration", media.duration_millis, 1, limits.MAX_MEDIA_MILLIS, "milliseconds")
        check("frame rate", video.frame_rate, limits.MIN_FRAME_RATE, limits.MAX_FRAME_RATE, "frames a second")
        check("frame width", video.width, limits.MIN_FRAME_SIDE, limits.MAX_FRAME_SIDE, "pixels")
        check("frame height", video.height, limits.MIN_FRAME_SIDE, limits.MAX_FRAME_SIDE, "pixels")
    elif audio is not None:
        check("duration", media.duration_millis, limits.MIN_AUDIO_MILLIS, limits.MAX_MEDIA_MILLIS, "milliseconds")
        check("sample rate", audio.sample_rate, limits.MIN_SAMPLE_RATE, limits.MAX_SAMPLE_RATE, "Hz")
        check("number of channels", audio.channels, 1, limits.MAX_CHANNELS, "channels")
    else:
        raise InputError(INVALID_INPUT, "The file holds neither an audio nor a video stream.")

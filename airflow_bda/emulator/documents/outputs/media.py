"""
The standard output of audio and video: what the container says, and no word of speech.

Keys as in https://docs.aws.amazon.com/bedrock/latest/userguide/bda-ouput-audio.html and bda-ouput-video.html.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_bda.emulator.documents.outputs import notes
from airflow_bda.emulator.documents.outputs.document import ASSET_ID, Source
from airflow_bda.service.formats import Modality

if TYPE_CHECKING:
    from airflow_bda.emulator.documents.reading.media import AudioTrack, Media, VideoTrack


def audio_result(source: Source, file_format: str, media: Media, track: AudioTrack) -> dict[str, Any]:
    """
    Build ``standard_output/0/result.json`` of an audio file.

    :param file_format: the service's word for the container, such as ``WAV``.
    """
    return {
        "metadata": {
            **_origin(source, Modality.AUDIO),
            "sample_rate": track.sample_rate,
            "bitrate": track.bitrate,
            "number_of_channels": track.channels,
            "codec": track.codec,
            "duration_millis": media.duration_millis,
            "format": file_format,
        },
        "audio": {"transcript": {"representation": {"text": ""}}, "content_moderation": []},
        "audio_items": [],
        "audio_segments": [],
        "topics": [],
        "statistics": {"word_count": 0, "topic_count": 0},
        notes.KEY: [notes.NO_TRANSCRIPT],
    }


def video_result(source: Source, file_format: str, media: Media, track: VideoTrack) -> dict[str, Any]:
    """
    Build ``standard_output/0/result.json`` of a video file.

    :param file_format: the service's word for the container, such as ``MP4``.
    """
    return {
        "metadata": {
            **_origin(source, Modality.VIDEO),
            "format": file_format,
            "frame_rate": round(track.frame_rate, 3),
            "codec": track.codec,
            "duration_millis": media.duration_millis,
            "frame_width": track.width,
            "frame_height": track.height,
        },
        "video": {"transcript": {"representation": {"text": ""}}},
        "shots": [],
        "chapters": [],
        "statistics": {"shot_count": 0, "chapter_count": 0, "speaker_count": 0},
        notes.KEY: [notes.NO_TRANSCRIPT, notes.NO_SHOTS],
    }


def _origin(source: Source, modality: Modality) -> dict[str, str]:
    return {
        "asset_id": ASSET_ID,
        "semantic_modality": str(modality),
        "s3_bucket": source.bucket,
        "s3_key": source.key,
    }

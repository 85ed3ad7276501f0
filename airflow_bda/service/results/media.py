"""
The standard output of audio and video. Times are milliseconds from the start.

https://docs.aws.amazon.com/bedrock/latest/userguide/audio-processing.html and
https://docs.aws.amazon.com/bedrock/latest/userguide/bda-ouput-video.html.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_bda.service import json_reading
from airflow_bda.service.formats import Modality
from airflow_bda.service.results.parts import Label, StandardOutput, transcript

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class AudioSegment:
    """
    What one speaker says in one go.

    :param speaker: such as ``spk_0``.
    :param channel: such as ``ch_0``.
    """

    index: int | None
    type: str | None
    text: str
    start_millis: int | None
    end_millis: int | None
    speaker: str | None
    channel: str | None
    language: str | None

    @classmethod
    def parse_all(cls, source: Mapping[str, Any]) -> tuple[AudioSegment, ...]:
        """Read the ``audio_segments`` of *source*."""
        return tuple(
            cls(
                index=json_reading.integer(item, "segment_index"),
                type=json_reading.text(item, "type"),
                text=json_reading.text(item, "text") or "",
                start_millis=json_reading.integer(item, "start_timestamp_millis"),
                end_millis=json_reading.integer(item, "end_timestamp_millis"),
                speaker=json_reading.text(json_reading.mapping(item, "speaker"), "speaker_label"),
                channel=json_reading.text(json_reading.mapping(item, "channel"), "channel_label"),
                language=json_reading.text(item, "language"),
            )
            for item in json_reading.mappings(source, "audio_segments")
        )


@dataclass(frozen=True)
class Topic:
    """What a stretch of a recording is about."""

    index: int | None
    summary: str | None
    transcript: str | None
    audio_segment_indices: tuple[int, ...]


@dataclass(frozen=True)
class Shot:
    """A stretch of video without a cut."""

    index: int | None
    start_millis: int | None
    end_millis: int | None
    confidence: float | None
    chapter_indices: tuple[int, ...]


@dataclass(frozen=True)
class Chapter:
    """A stretch of video that belongs together."""

    index: int | None
    start_millis: int | None
    end_millis: int | None
    summary: str | None
    transcript: str | None
    shot_indices: tuple[int, ...]
    categories: tuple[Label, ...]
    audio_segments: tuple[AudioSegment, ...]


@dataclass(frozen=True, repr=False, kw_only=True)
class AudioOutput(StandardOutput):
    """
    What was heard in a recording.

    :param language: the one that is spoken most.
    """

    transcript: str | None
    duration_millis: int | None
    format: str | None
    codec: str | None
    sample_rate: int | None
    channels: int | None
    language: str | None
    content_moderation: tuple[Label, ...]
    segments: tuple[AudioSegment, ...]
    topics: tuple[Topic, ...]

    @classmethod
    def parse(cls, source: Mapping[str, Any]) -> AudioOutput:
        """Read ``result.json``."""
        metadata, audio = json_reading.mapping(source, "metadata"), json_reading.mapping(source, "audio")
        return cls(
            modality=Modality.AUDIO,
            summary=json_reading.text(audio, "summary"),
            raw=source,
            transcript=transcript(audio),
            duration_millis=json_reading.integer(metadata, "duration_millis"),
            format=json_reading.text(metadata, "format"),
            codec=json_reading.text(metadata, "codec"),
            sample_rate=json_reading.integer(metadata, "sample_rate"),
            channels=json_reading.integer(metadata, "number_of_channels"),
            language=json_reading.text(metadata, "dominant_asset_language"),
            content_moderation=Label.parse_all(audio, "content_moderation"),
            segments=AudioSegment.parse_all(source),
            topics=tuple(map(_topic, json_reading.mappings(source, "topics"))),
        )


@dataclass(frozen=True, repr=False, kw_only=True)
class VideoOutput(StandardOutput):
    """
    What was seen and heard in a video.

    :param frame_rate: frames per second.
    """

    transcript: str | None
    duration_millis: int | None
    format: str | None
    codec: str | None
    frame_rate: float | None
    frame_width: int | None
    frame_height: int | None
    shots: tuple[Shot, ...]
    chapters: tuple[Chapter, ...]

    @classmethod
    def parse(cls, source: Mapping[str, Any]) -> VideoOutput:
        """Read ``result.json``."""
        metadata, video = json_reading.mapping(source, "metadata"), json_reading.mapping(source, "video")
        return cls(
            modality=Modality.VIDEO,
            summary=json_reading.text(video, "summary"),
            raw=source,
            transcript=transcript(video),
            duration_millis=json_reading.integer(metadata, "duration_millis"),
            format=json_reading.text(metadata, "format"),
            codec=json_reading.text(metadata, "codec"),
            frame_rate=json_reading.number(metadata, "frame_rate"),
            frame_width=json_reading.integer(metadata, "frame_width"),
            frame_height=json_reading.integer(metadata, "frame_height"),
            shots=tuple(map(_shot, json_reading.mappings(source, "shots"))),
            chapters=tuple(map(_chapter, json_reading.mappings(source, "chapters"))),
        )


def _topic(source: Mapping[str, Any]) -> Topic:
    return Topic(
        index=json_reading.integer(source, "topic_index"),
        summary=json_reading.text(source, "summary"),
        transcript=transcript(source),
        audio_segment_indices=json_reading.integers(source, "audio_segment_indices"),
    )


def _shot(source: Mapping[str, Any]) -> Shot:
    return Shot(
        index=json_reading.integer(source, "shot_index"),
        start_millis=json_reading.integer(source, "start_timestamp_millis"),
        end_millis=json_reading.integer(source, "end_timestamp_millis"),
        confidence=json_reading.number(source, "confidence"),
        chapter_indices=json_reading.integers(source, "chapter_indices"),
    )


def _chapter(source: Mapping[str, Any]) -> Chapter:
    return Chapter(
        index=json_reading.integer(source, "chapter_index"),
        start_millis=json_reading.integer(source, "start_timestamp_millis"),
        end_millis=json_reading.integer(source, "end_timestamp_millis"),
        summary=json_reading.text(source, "summary"),
        transcript=transcript(source),
        shot_indices=json_reading.integers(source, "shot_indices"),
        categories=Label.parse_all(source, "iab_categories"),
        audio_segments=AudioSegment.parse_all(source),
    )

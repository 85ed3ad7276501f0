"""
The standard output of audio and video. Times are milliseconds from the start.

https://docs.aws.amazon.com/bedrock/latest/userguide/audio-processing.html and
https://docs.aws.amazon.com/bedrock/latest/userguide/bda-ouput-video.html.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_bda.service import json_reading
from airflow_bda.service.results.json_file import objects
from airflow_bda.service.results.parts import Label, StandardOutput, TextSpan, seen, times, transcript
from airflow_bda.service.s3 import Modality

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True)
class AudioSegment(json_reading.PlainData):
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
    def parse(cls, source: Mapping[str, Any]) -> AudioSegment:
        """Read one of ``audio_segments``."""
        return cls(
            index=json_reading.integer(source, "segment_index"),
            type=json_reading.text(source, "type"),
            text=json_reading.text(source, "text") or "",
            **times(source),
            speaker=json_reading.text(json_reading.mapping(source, "speaker"), "speaker_label"),
            channel=json_reading.text(json_reading.mapping(source, "channel"), "channel_label"),
            language=json_reading.text(source, "language"),
        )


@dataclass(frozen=True)
class Topic(json_reading.PlainData):
    """What a stretch of a recording is about."""

    index: int | None
    summary: str | None
    transcript: str | None
    audio_segment_indices: tuple[int, ...]
    start_millis: int | None = None
    end_millis: int | None = None

    @classmethod
    def parse(cls, source: Mapping[str, Any]) -> Topic:
        """Read one of ``topics``."""
        return cls(
            index=json_reading.integer(source, "topic_index"),
            summary=json_reading.text(source, "summary"),
            transcript=transcript(source),
            audio_segment_indices=json_reading.integers(source, "audio_segment_indices"),
            **times(source),
        )


@dataclass(frozen=True)
class Shot(json_reading.PlainData):
    """A stretch of video without a cut."""

    index: int | None
    start_millis: int | None
    end_millis: int | None
    confidence: float | None
    chapter_indices: tuple[int, ...]

    @classmethod
    def parse(cls, source: Mapping[str, Any]) -> Shot:
        """Read one of ``shots``."""
        return cls(
            index=json_reading.integer(source, "shot_index"),
            **times(source),
            confidence=json_reading.number(source, "confidence"),
            chapter_indices=json_reading.integers(source, "chapter_indices"),
        )


@dataclass(frozen=True)
class Frame(json_reading.PlainData):
    """
    One picture of a video that the service looked at.

    :param index: the frame's number in the video.
    :param timestamp_millis: milliseconds from the start.
    """

    index: int | None
    timestamp_millis: int | None
    content_moderation: Sequence[Label]
    logos: Sequence[Label]
    text_lines: Sequence[TextSpan]
    text_words: Sequence[TextSpan]

    @classmethod
    def parse(cls, source: Mapping[str, Any]) -> Frame:
        """Read one of a chapter's ``frames``."""
        return cls(
            index=json_reading.integer(source, "frame_index"),
            timestamp_millis=json_reading.integer(source, "timestamp_millis"),
            **seen(source),
        )


@dataclass(frozen=True)
class Chapter(json_reading.PlainData):
    """A stretch of video that belongs together."""

    index: int | None
    start_millis: int | None
    end_millis: int | None
    summary: str | None
    transcript: str | None
    shot_indices: tuple[int, ...]
    categories: Sequence[Label]
    audio_segments: Sequence[AudioSegment]
    frames: Sequence[Frame] = ()

    @classmethod
    def parse(cls, source: Mapping[str, Any]) -> Chapter:
        """Read one of ``chapters``."""
        return cls(
            index=json_reading.integer(source, "chapter_index"),
            **times(source),
            summary=json_reading.text(source, "summary"),
            transcript=transcript(source),
            shot_indices=json_reading.integers(source, "shot_indices"),
            categories=Label.parse_all(source, "iab_categories"),
            audio_segments=objects(source, "audio_segments", AudioSegment.parse),
            frames=objects(source, "frames", Frame.parse),
        )


@dataclass(frozen=True, repr=False, kw_only=True)
class AudioOutput(StandardOutput):
    """
    What was heard in a recording.

    :param language: the one that is spoken most.
    :param content_moderation: what was said when that somebody may not want to hear; each has a name, times, and every
        category with its confidence.
    """

    transcript: str | None
    duration_millis: int | None
    format: str | None
    codec: str | None
    sample_rate: int | None
    channels: int | None
    language: str | None
    content_moderation: Sequence[Label]

    @cached_property
    def segments(self) -> Sequence[AudioSegment]:
        """What each speaker says in one go, in order."""
        return objects(self.raw, "audio_segments", AudioSegment.parse)

    @cached_property
    def topics(self) -> Sequence[Topic]:
        """The topics, with their times."""
        return objects(self.raw, "topics", Topic.parse)

    @property
    def text(self) -> str | None:
        """The transcript; what the speakers say, a line each, where there is none."""
        return self.transcript or json_reading.joined((segment.text for segment in self.segments), "\n")

    @classmethod
    def parse(cls, source: Mapping[str, Any]) -> AudioOutput:
        """Read ``result.json``."""
        metadata = json_reading.mapping(source, "metadata")
        return cls(
            **_recording(source, Modality.AUDIO),
            sample_rate=json_reading.integer(metadata, "sample_rate"),
            channels=json_reading.integer(metadata, "number_of_channels"),
            language=json_reading.text(metadata, "dominant_asset_language"),
            content_moderation=Label.parse_all(json_reading.mapping(source, "audio"), "content_moderation"),
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

    @cached_property
    def shots(self) -> Sequence[Shot]:
        """The stretches without a cut."""
        return objects(self.raw, "shots", Shot.parse)

    @cached_property
    def chapters(self) -> Sequence[Chapter]:
        """The stretches that belong together, with the frames that the service looked at."""
        return objects(self.raw, "chapters", Chapter.parse)

    @property
    def text(self) -> str | None:
        """The transcript; the chapters' transcripts, or what is said in them, where there is none."""
        if self.transcript:
            return self.transcript
        if transcripts := json_reading.joined((chapter.transcript for chapter in self.chapters), "\n\n"):
            return transcripts
        spoken = (segment.text for chapter in self.chapters for segment in chapter.audio_segments)
        return json_reading.joined(spoken, "\n")

    @classmethod
    def parse(cls, source: Mapping[str, Any]) -> VideoOutput:
        """Read ``result.json``."""
        metadata = json_reading.mapping(source, "metadata")
        return cls(
            **_recording(source, Modality.VIDEO),
            frame_rate=json_reading.number(metadata, "frame_rate"),
            frame_width=json_reading.integer(metadata, "frame_width"),
            frame_height=json_reading.integer(metadata, "frame_height"),
        )


def _recording(source: Mapping[str, Any], modality: Modality) -> dict[str, Any]:
    """Read what audio and video have in common, as arguments."""
    metadata, whole = json_reading.mapping(source, "metadata"), json_reading.mapping(source, modality.value.lower())
    return {
        "modality": modality,
        "summary": json_reading.text(whole, "summary"),
        "raw": source,
        "transcript": transcript(whole),
        "duration_millis": json_reading.integer(metadata, "duration_millis"),
        "format": json_reading.text(metadata, "format"),
        "codec": json_reading.text(metadata, "codec"),
    }

"""
What a project asks for: its standard output configuration and its overrides, read from the JSON of the control plane.

The defaults are those of https://docs.aws.amazon.com/bedrock/latest/userguide/bda-standard-output.html and the pages
below it. What these leave open is marked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_bda.service.formats import Modality

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_bda.emulator.documents.contract import ProjectConfiguration

_ENABLED, _DISABLED = "ENABLED", "DISABLED"

# A field that the service's models would write has this text, so that nobody takes it for a summary.
PLACEHOLDER = "[emulator placeholder: the service writes generated text here]"

_IMAGE = frozenset({"TEXT_DETECTION", "IMAGE_SUMMARY"})
# The page of videos does not say whether the transcript is on by default; nor does that of audio about the summary.
_VIDEO = frozenset({"TEXT_DETECTION", "TRANSCRIPT", "VIDEO_SUMMARY", "CHAPTER_SUMMARY"})
_AUDIO = frozenset({"TRANSCRIPT", "AUDIO_SUMMARY"})
_GENERATIVE = frozenset({"IMAGE_SUMMARY", "IAB", "VIDEO_SUMMARY", "CHAPTER_SUMMARY", "AUDIO_SUMMARY", "TOPIC_SUMMARY"})


@dataclass(frozen=True)
class DocumentOptions:
    """
    What a document's standard output holds.

    :param granularity: of ``DOCUMENT``, ``PAGE``, ``ELEMENT``, ``LINE``, ``WORD``.
    :param text_formats: of ``PLAIN_TEXT``, ``MARKDOWN``, ``HTML``, ``CSV``.
    :param additional_files: whether texts, tables and pictures of pages are written as files too.
    :param generative: whether there are a description and a summary.
    """

    granularity: frozenset[str] = frozenset({"PAGE", "ELEMENT"})
    bounding_boxes: bool = False
    text_formats: frozenset[str] = frozenset({"MARKDOWN"})
    additional_files: bool = False
    generative: bool = False

    @classmethod
    def parse(cls, configuration: Mapping[str, Any]) -> DocumentOptions:
        """Read ``standardOutputConfiguration.document``; what it leaves out is as by default."""
        extraction, output = configuration.get("extraction") or {}, configuration.get("outputFormat") or {}
        return cls(
            granularity=_types(extraction.get("granularity"), cls.granularity),
            bounding_boxes=_is_enabled(extraction.get("boundingBox"), default=cls.bounding_boxes),
            text_formats=_types(output.get("textFormat"), cls.text_formats),
            additional_files=_is_enabled(output.get("additionalFileFormat"), default=cls.additional_files),
            generative=_is_enabled(configuration.get("generativeField"), default=cls.generative),
        )


@dataclass(frozen=True)
class MediaOptions:
    """
    What the standard output of an image, a video or a sound holds.

    :param categories: the types of extraction and of generated fields together.
    :param bounding_boxes: whether texts say where they stand.
    """

    categories: frozenset[str]
    bounding_boxes: bool = True

    @classmethod
    def parse(cls, configuration: Mapping[str, Any], default: frozenset[str]) -> MediaOptions:
        """Read the configuration of one modality; what it leaves out is as by default."""
        extraction = configuration.get("extraction") or {}
        extracted = _types(extraction.get("category"), default - _GENERATIVE)
        generated = _types(configuration.get("generativeField"), default & _GENERATIVE)
        return cls(extracted | generated, _is_enabled(extraction.get("boundingBox"), default=True))


@dataclass(frozen=True)
class OutputOptions:
    """
    All that a project asks for.

    :param splits_documents: whether several documents in one file become segments.
    :param disabled: modalities that the project does not process.
    :param input_language: what ``dominant_asset_language`` says: the first language asked for, as nothing is heard.
    """

    document: DocumentOptions = DocumentOptions()
    image: MediaOptions = MediaOptions(_IMAGE)
    video: MediaOptions = MediaOptions(_VIDEO)
    audio: MediaOptions = MediaOptions(_AUDIO)
    splits_documents: bool = False
    disabled: frozenset[Modality] = frozenset()
    input_language: str = "EN"
    output_language: str = "DEFAULT"

    @classmethod
    def of(cls, project: ProjectConfiguration) -> OutputOptions:
        """Read a project's configuration."""
        standard, override = project.standard_output, project.override
        language = (override.get("audio") or {}).get("languageConfiguration") or {}
        processing = {each: (override.get(each.value.lower()) or {}).get("modalityProcessing") for each in Modality}
        return cls(
            document=DocumentOptions.parse(standard.get("document") or {}),
            image=MediaOptions.parse(standard.get("image") or {}, _IMAGE),
            video=MediaOptions.parse(standard.get("video") or {}, _VIDEO),
            audio=MediaOptions.parse(standard.get("audio") or {}, _AUDIO),
            splits_documents=_is_enabled((override.get("document") or {}).get("splitter"), default=False),
            disabled=frozenset(each for each in Modality if not _is_enabled(processing[each], default=True)),
            input_language=next(iter(language.get("inputLanguages") or ()), cls.input_language),
            output_language=language.get("generativeOutputLanguage", cls.output_language),
        )


def _types(setting: Mapping[str, Any] | None, default: frozenset[str]) -> frozenset[str]:
    if (setting or {}).get("state") == _DISABLED:
        return frozenset()
    return frozenset((setting or {}).get("types") or default)


def _is_enabled(setting: Mapping[str, Any] | None, *, default: bool) -> bool:
    return default if setting is None or "state" not in setting else setting["state"] == _ENABLED

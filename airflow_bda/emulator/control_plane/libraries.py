"""The data automation libraries of one account in one region: vocabularies, filled by ingestion jobs."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from airflow_bda.emulator.control_plane.resources import page
from airflow_bda.emulator.core import assumptions
from airflow_bda.emulator.core.answering import model_of
from airflow_bda.emulator.core.api_errors import conflict, not_found, quota_exceeded, validation_error
from airflow_bda.emulator.core.emulator import Lane
from airflow_bda.emulator.core.objects import StorageError
from airflow_bda.service.model import find_problems
from airflow_bda.service.s3 import S3Uri

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from airflow_bda.emulator.control_plane.resources import Resources

LIBRARY, INGESTION_JOB = "data-automation-library", "data-automation-library-ingestion-job"
ACTIVE, DELETING = "ACTIVE", "DELETING"
IN_PROGRESS, COMPLETED, COMPLETED_WITH_ERRORS, FAILED = "IN_PROGRESS", "COMPLETED", "COMPLETED_WITH_ERRORS", "FAILED"
UPSERT, DELETE = "UPSERT", "DELETE"
CONTROL_SERVICE = "bedrock-data-automation"
# No quota of libraries or jobs is published: this bounds the emulator's memory.
MOST_LIBRARIES, MOST_JOBS, MOST_ENTITIES = 100, 1000, 10_000
_RESULTS_FILE = "ingestion_results.json"


def _now() -> datetime:
    return datetime.now(timezone.utc)


@dataclass
class Library:
    """
    A library.

    :param entities: its vocabularies, by entity id.
    """

    arn: str
    name: str
    description: str | None
    encryption: dict[str, Any]
    entities: dict[str, dict[str, Any]] = field(default_factory=dict)
    jobs: dict[str, IngestionJob] = field(default_factory=dict)
    created_at: datetime = field(default_factory=_now)

    def summary(self) -> dict[str, Any]:
        """Return its entry in a listing."""
        return {"libraryArn": self.arn, "libraryName": self.name, "creationTime": self.created_at.isoformat()}

    def to_api(self) -> dict[str, Any]:
        """Return it as the API does."""
        types = [{"entityType": "VOCABULARY", "entityMetadata": json.dumps({"entityCount": len(self.entities)})}]
        description = {} if self.description is None else {"libraryDescription": self.description}
        return {**self.summary(), **description, "status": ACTIVE, "entityTypes": types, **self.encryption}


@dataclass
class IngestionJob:
    """
    One ingestion.

    :param params: the request.
    """

    arn: str
    library: Library
    params: Mapping[str, Any]
    status: str = IN_PROGRESS
    error: dict[str, str] = field(default_factory=dict)
    created_at: datetime = field(default_factory=_now)
    ended_at: datetime | None = None

    def __str__(self) -> str:
        return self.arn

    def end(self, status: str, **error: str) -> None:
        """End it; the status last, so that a caller who sees it sees the rest too."""
        self.error = error
        self.ended_at = _now()
        self.status = status

    def summary(self) -> dict[str, Any]:
        """Return its entry in a listing."""
        return {
            "jobArn": self.arn,
            "jobStatus": self.status,
            "entityType": self.params["entityType"],
            "operationType": self.params["operationType"],
            "creationTime": self.created_at.isoformat(),
            **({"completionTime": self.ended_at.isoformat()} if self.ended_at else {}),
        }

    def to_api(self) -> dict[str, Any]:
        """Return it as the API does."""
        return {**self.summary(), "outputConfiguration": self.params["outputConfiguration"], **self.error}


class Libraries:
    """The ten operations on libraries."""

    def __init__(self, shared: Resources) -> None:
        self._shared = shared
        self._made: dict[str, Library] = {}
        self._lane = Lane("bda-ingestion", 1, self._ingest)

    def is_there(self, arn: str) -> bool:
        """Whether a library is this account's."""
        return arn in self._made

    # -- libraries

    def create(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Make a library."""
        with self._shared.lock:
            known = self._made.get(self._shared.made_before(LIBRARY, params) or "")
            if known is None:
                if any(library.name == params["libraryName"] for library in self._made.values()):
                    raise conflict(params["libraryName"])
                if len(self._made) >= MOST_LIBRARIES:
                    raise quota_exceeded(assumptions.TOO_MANY_MESSAGE.format(what="libraries", limit=MOST_LIBRARIES))
                encryption = dict(params.get("encryptionConfiguration") or {})
                arn = self._shared.add(LIBRARY, params)
                known = Library(arn, params["libraryName"], params.get("libraryDescription"), encryption)
                self._made[arn] = known
            return {"libraryArn": known.arn, "status": ACTIVE}

    def read(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return a library."""
        return {"library": self._find(params).to_api()}

    def listing(self, params: Mapping[str, Any], in_project: Iterable[str] | None) -> dict[str, Any]:
        """
        List the account's libraries.

        :param in_project: the ARNs that the project in the filter uses; None without such a filter.
        """
        wanted = None if in_project is None else set(in_project)
        libraries = (library for library in list(self._made.values()) if wanted is None or library.arn in wanted)
        return page("libraries", (library.summary() for library in libraries), params)

    def update(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Change a library's description."""
        with self._shared.lock:
            library = self._find(params)
            if "libraryDescription" in params:
                library.description = params["libraryDescription"]
            return {"libraryArn": library.arn, "status": ACTIVE}

    def delete(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Delete a library and all that is in it."""
        with self._shared.lock:
            library = self._find(params)
            for arn in library.jobs:
                self._shared.remove(arn)
            self._shared.remove(library.arn)
            del self._made[library.arn]
            return {"libraryArn": library.arn, "status": DELETING}

    # -- what is in a library

    def read_entity(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return a vocabulary."""
        entities = self._find(params).entities
        if params["entityId"] not in entities:
            raise not_found(f"{params['libraryArn']}, entity {params['entityId']}")
        return {"entity": {"vocabulary": entities[params["entityId"]]}}

    def list_entities(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """List the vocabularies of a library."""
        summaries = []
        for entity in list(self._find(params).entities.values()):
            summary = {name: value for name, value in entity.items() if name != "phrases"}
            summaries.append({"vocabulary": summary | {"numOfPhrases": len(entity["phrases"])}})
        return page("entities", summaries, params)

    # -- ingestion

    def invoke_ingestion(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Start an ingestion job."""
        source = params["inputConfiguration"]
        if len(source) != 1:
            raise validation_error(assumptions.ONE_SOURCE_MESSAGE)
        payload = source.get("inlinePayload") or {}
        if payload and ("upsertEntitiesInfo" in payload) is not (params["operationType"] == UPSERT):
            raise validation_error(assumptions.WRONG_PAYLOAD_MESSAGE.format(operation=params["operationType"]))
        with self._shared.lock:
            library = self._find(params)
            known = self._shared.made_before(f"job of {library.arn}", params)
            if known in library.jobs:
                return {"jobArn": known}
            if "s3Object" in source:
                self._shared.read_object(source["s3Object"])
            self._shared.check_output(params["outputConfiguration"]["s3Uri"])
            if len(library.jobs) >= MOST_JOBS:
                raise quota_exceeded(assumptions.TOO_MANY_MESSAGE.format(what="ingestion jobs", limit=MOST_JOBS))
            job = IngestionJob(self._shared.add(INGESTION_JOB, params), library, params)
            library.jobs[job.arn] = job
            self._shared.remember(f"job of {library.arn}", params, job.arn)
        self._lane.submit(job)
        return {"jobArn": job.arn}

    def read_ingestion(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return an ingestion job."""
        jobs = self._find(params).jobs
        if params["jobArn"] not in jobs:
            raise not_found(params["jobArn"])
        return {"job": jobs[params["jobArn"]].to_api()}

    def list_ingestions(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """List the ingestion jobs of a library."""
        return page("jobs", [job.summary() for job in list(self._find(params).jobs.values())], params)

    def _find(self, params: Mapping[str, Any]) -> Library:
        library = self._made.get(params["libraryArn"])
        if library is None:
            raise not_found(params["libraryArn"])
        return library

    # -- the work of a job

    def _ingest(self, job: IngestionJob) -> None:
        settings = self._shared.emulator.settings
        if self._shared.cancelled.wait(settings.created_seconds + settings.in_progress_seconds):
            return
        work: Callable[[IngestionJob, Any], list[str]] = (
            self._upsert if job.params["operationType"] == UPSERT else self._delete
        )
        try:
            problems = work(job, self._payload(job))
        except Exception as error:  # noqa: BLE001  whatever is in the payload, the job must come to an end
            job.end(FAILED, errorType=assumptions.INGESTION_ERROR_TYPE, errorMessage=str(error)[:1000])
            return
        status = COMPLETED_WITH_ERRORS if problems else COMPLETED
        report = {"jobArn": job.arn, "jobStatus": status, "errors": problems}
        folder = S3Uri.parse(job.params["outputConfiguration"]["s3Uri"])
        try:
            # The layout of an ingestion's output is not published; a job of the runtime has a folder of its own too.
            job_id = job.arn.rpartition("/")[2]
            key = "/".join(filter(None, (folder.key.rstrip("/"), job_id, _RESULTS_FILE)))
            self._shared.storage.write(S3Uri(folder.bucket, key), json.dumps(report).encode())
        except StorageError as error:
            job.end(FAILED, errorType=assumptions.OUTPUT_NOT_WRITABLE_ERROR_TYPE, errorMessage=str(error))
            return
        job.end(status)

    def _payload(self, job: IngestionJob) -> Any:
        """Return the inline payload, or the same document from S3: JSON, or a line of JSON for each entity."""
        source = job.params["inputConfiguration"]
        if "inlinePayload" in source:
            return source["inlinePayload"]
        text = self._shared.read_object(source["s3Object"]).decode()
        try:
            document = json.loads(text)
        except ValueError:
            document = [json.loads(line) for line in text.splitlines() if line.strip()]
        return document if isinstance(document, dict) and not document.keys() & {"vocabulary"} else _wrapped(document)

    def _upsert(self, job: IngestionJob, payload: Any) -> list[str]:
        shape = model_of(CONTROL_SERVICE).shape_for("UpsertEntityInfo")
        problems, entities = [], job.library.entities
        for index, entity in enumerate(payload.get("upsertEntitiesInfo") or ()):
            found = list(find_problems(shape, entity, f"upsertEntitiesInfo[{index}]"))
            if found or len(entities) >= MOST_ENTITIES:
                problems += list(map(str, found)) or [
                    assumptions.TOO_MANY_MESSAGE.format(what="entities", limit=MOST_ENTITIES)
                ]
                continue
            vocabulary = dict(entity["vocabulary"])
            entity_id = vocabulary.setdefault("entityId", str(uuid4()))
            entities[entity_id] = vocabulary | {"lastModifiedTime": _now().isoformat()}
        return problems

    @staticmethod
    def _delete(job: IngestionJob, payload: Any) -> list[str]:
        ids = (payload.get("deleteEntitiesInfo") or {}).get("entityIds") or ()
        return [f"{entity_id} was not found." for entity_id in ids if job.library.entities.pop(entity_id, None) is None]


def _wrapped(entities: Any) -> dict[str, Any]:
    listed = entities if isinstance(entities, list) else [entities]
    if not all(isinstance(entity, dict) for entity in listed):
        raise ValueError("Each entity of an ingestion must be a JSON object.")
    if all("entityId" in entity and len(entity) == 1 for entity in listed):
        return {"deleteEntitiesInfo": {"entityIds": [entity["entityId"] for entity in listed]}}
    return {"upsertEntitiesInfo": listed}

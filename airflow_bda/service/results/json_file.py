"""
Read a large JSON file in bounded memory, and without holding Python's lock for long.

The standard output of 3,000 pages has 300 MB and takes 2 GB as Python objects. So a file is checked once, and what is
kept is where each member begins (:mod:`~airflow_bda.service.results.json_scanner`). A member is read when it is asked
for; a long list in blocks.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, overload

from airflow_bda.service import json_reading
from airflow_bda.service.json_reading import MAX_DEPTH, UnsoundJsonError
from airflow_bda.service.results.json_scanner import Content, Part, Scanner

T = TypeVar("T")

# A list that is shorter than this becomes a tuple when it is read.
_SMALL = 1 << 20
# 3,000 pages of HTML in one text have about 30 MB.
_LARGEST_VALUE = 1 << 28
_CLOSING = {"[": "]", "{": "}", '"': '"'}

_PLAIN = json.JSONDecoder()


@dataclass(frozen=True)
class BytesContent:
    """A file that is in memory."""

    data: bytes

    @property
    def size(self) -> int:
        """How many bytes there are."""
        return len(self.data)

    def read(self, start: int, end: int) -> bytes:
        """Return the bytes from *start* to *end*."""
        return self.data[start:end]


class JsonFile(Mapping[str, Any]):
    """
    A JSON file whose top is an object; its members are decoded when they are asked for.

    :param content: the file's bytes.
    :param uri: where it is from, for errors.
    :raises BdaError: when it is not JSON, its top is no object, it is nested more than 100 levels deep, names a member
        twice, or holds a number beyond what a double holds.
    """

    def __init__(self, content: Content, uri: str) -> None:
        self.uri = uri
        self._content = content
        try:
            self._members = Scanner(content).members()
        except RecursionError:
            raise json_reading.malformed(uri, f"it is nested more than {MAX_DEPTH} levels deep") from None
        except ValueError as error:
            raise json_reading.malformed(uri, f"it is not JSON ({error})") from None

    def __getitem__(self, name: str) -> Any:
        part = self._members[name]
        if part.size > _LARGEST_VALUE:
            raise json_reading.malformed(self.uri, f"its member {name!r} has {part.size} bytes")
        value = self._read(part)
        try:
            json_reading.check_depth(value)
        except UnsoundJsonError as error:
            raise json_reading.malformed(self.uri, str(error)) from None
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    def __repr__(self) -> str:
        return f"JsonFile({self.uri!r}, {self._content.size} bytes)"

    def __reduce__(self) -> tuple[Any, ...]:
        # A copy for another process has all that the file has.
        return dict, (dict(self),)

    def objects(self, name: str, parse: Callable[[Mapping[str, Any]], T]) -> Sequence[T]:
        """
        Return the objects of a list, each parsed; where the list is long, parsed each time that it is gone through.

        :param name: the member that is the list.
        :param parse: what makes one.
        """
        part = self._members.get(name)
        if part is None or part.kind != "[" or part.size < _SMALL:
            return tuple(map(parse, json_reading.mappings(self, name)))
        return _LongList(self, part, parse)

    def block(self, part: Part, number: int) -> list[Mapping[str, Any]]:
        """Decode the objects of one block of a long list."""
        end = part.blocks[number + 1] if number + 1 < len(part.blocks) else part.end - 1
        return [item for item in self._read_block(part, number, part.blocks[number], end) if isinstance(item, Mapping)]

    def _read(self, part: Part) -> Any:
        """Decode a value: one that is longer than a block in blocks, so that no call takes long."""
        if not part.blocks:
            return self._decode(part.start, part.end)
        blocks = (self._read_block(part, number, *place) for number, place in enumerate(part.ranges()))
        if part.kind == '"':
            return "".join(blocks)
        if part.kind == "[":
            return [item for block in blocks for item in block]
        return {name: value for block in blocks for name, value in block.items()}

    def _read_block(self, part: Part, number: int, start: int, end: int) -> Any:
        if number not in part.inner:
            return self._decode(start, end, part.kind)
        name, inner = part.inner[number]
        return {name: self._read(inner)} if part.kind == "{" else [self._read(inner)]

    def _decode(self, start: int, end: int, opening: str = "") -> Any:
        text = self._content.read(start, end).decode()
        if opening:
            whole = text if opening == '"' else text.rstrip().removesuffix(",")
            text = f"{opening}{whole}{_CLOSING[opening]}"
        try:
            # Checked when the file was opened, so the plain decoder does.
            return _PLAIN.decode(json_reading.whole_characters(text))
        except RecursionError:
            raise json_reading.malformed(self.uri, f"it is nested more than {MAX_DEPTH} levels deep") from None


def open_document(content: str | bytes | Mapping[str, Any], uri: str) -> Mapping[str, Any]:
    """
    Open a JSON document whose top is an object.

    :param content: its text, which is checked at once and decoded member by member; or what was read from it already.
    :param uri: where it is from, for the error's text.
    :raises BdaError: as :class:`JsonFile` does.
    """
    if isinstance(content, str):
        content = content.encode("utf-8", "surrogatepass")
    return JsonFile(BytesContent(content), uri) if isinstance(content, bytes) else json_reading.document(content, uri)


class _LongList(Sequence[T]):
    """A list of objects that stays in its file."""

    def __init__(self, file: JsonFile, part: Part, parse: Callable[[Mapping[str, Any]], T]) -> None:
        self._file, self._part, self._parse = file, part, parse
        self._kept: tuple[int, list[Mapping[str, Any]]] | None = None

    def __len__(self) -> int:
        return self._part.objects

    def __iter__(self) -> Iterator[T]:
        for number in range(len(self._part.blocks)):
            yield from map(self._parse, self._file.block(self._part, number))

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...
    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        if isinstance(index, slice):
            return tuple(self[each] for each in range(*index.indices(len(self))))
        place = range(len(self))[index]
        number = bisect_right(self._part.firsts, place) - 1
        kept = self._kept
        if kept is None or kept[0] != number:
            self._kept = kept = number, self._file.block(self._part, number)
        return self._parse(kept[1][place - self._part.firsts[number]])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or len(self) != len(other):
            return NotImplemented if not isinstance(other, Sequence) else False
        return all(ours == theirs for ours, theirs in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]  # as a list's

    def __repr__(self) -> str:
        return f"<{len(self)} items in {self._file.uri}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return tuple, (tuple(self),)


def objects(source: Mapping[str, Any], name: str, parse: Callable[[Mapping[str, Any]], T]) -> Sequence[T]:
    """Return the objects of a list in *source*, each parsed; see :meth:`JsonFile.objects`."""
    if isinstance(source, JsonFile):
        return source.objects(name, parse)
    return tuple(map(parse, json_reading.mappings(source, name)))

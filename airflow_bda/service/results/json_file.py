"""
Read a large JSON file in bounded memory, and without holding Python's lock for long.

The standard output of 3,000 pages has 300 MB and takes 2 GB as Python objects. So a file is checked once, a window at a
time, and what is kept is where each member begins. A member is read when it is asked for; a long list in blocks.

The json module decodes each value, in C. What differs from :func:`json.loads` is the order of the work: no single call
takes longer than a window does, so that an event loop beside it goes on.
"""

from __future__ import annotations

import codecs
import json
import re
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar, overload

from airflow_bda.service import json_reading
from airflow_bda.service.json_reading import DECODER, MAX_DEPTH, UnsoundJsonError

T = TypeVar("T")

# Decoding this many bytes takes a millisecond.
WINDOW = 1 << 15
# A block of a list is decoded at once.
_BLOCK_BYTES, _BLOCK_ITEMS = 1 << 18, 1024
# A list that is shorter than this becomes a tuple when it is read.
_SMALL = 1 << 20
# 3,000 pages of HTML in one text have about 30 MB.
_LARGEST_VALUE = 1 << 28
_MOST_MEMBERS = 100_000
_LONGEST_NAME, _LONGEST_NUMBER = 10_000, 5_000

_PLAIN = json.JSONDecoder()
_SPACE = re.compile(r"[ \t\n\r]*")
_SEPARATOR = re.compile(r"[ \t\n\r]*,[ \t\n\r]*")
_FIRST_NAME = re.compile(r'\{[ \t\n\r]*"[^"\\]{1,40}"')
# Characters and whole escape sequences within a text.
_CHARACTERS = re.compile(r'[^"\\\x00-\x1f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*)*')
_LONGEST_ESCAPE = 6


class Content(Protocol):
    """The bytes of a file, wherever they are kept."""

    @property
    def size(self) -> int:
        """How many bytes there are."""

    def read(self, start: int, end: int) -> bytes:
        """Return the bytes from *start* to *end*, or to the file's end."""


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


@dataclass
class _Member:
    """Where a member's value is, and for a list where its blocks of objects begin."""

    start: int
    end: int = 0
    is_list: bool = False
    objects: int = 0
    block_starts: list[int] = field(default_factory=list)
    block_firsts: list[int] = field(default_factory=list)


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
            self._members = _Scanner(content).members()
        except RecursionError:
            raise json_reading.malformed(uri, f"it is nested more than {MAX_DEPTH} levels deep") from None
        except ValueError as error:
            raise json_reading.malformed(uri, f"it is not JSON ({error})") from None

    def __getitem__(self, name: str) -> Any:
        member = self._members[name]
        if member.end - member.start > _LARGEST_VALUE:
            raise json_reading.malformed(self.uri, f"its member {name!r} has {member.end - member.start} bytes")
        value = self._decode(member.start, member.end)
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
        member = self._members.get(name)
        if member is None or not member.is_list or member.end - member.start < _SMALL:
            return tuple(map(parse, json_reading.mappings(self, name)))
        return _LongList(self, member, parse)

    def block(self, member: _Member, number: int) -> list[Mapping[str, Any]]:
        """Decode the objects of one block of a long list."""
        starts = [*member.block_starts, member.end - 1]
        items = self._decode(starts[number], starts[number + 1], enclosed=True)
        return [item for item in items if isinstance(item, Mapping)]

    def _decode(self, start: int, end: int, *, enclosed: bool = False) -> Any:
        text = self._content.read(start, end).decode()
        if enclosed:
            text = f"[{text.rstrip().removesuffix(',')}]"
        try:
            # Checked when the file was opened, so the plain decoder does.
            return _PLAIN.decode(json_reading.whole_characters(text))
        except RecursionError:
            raise json_reading.malformed(self.uri, f"it is nested more than {MAX_DEPTH} levels deep") from None


class _LongList(Sequence[T]):
    """A list of objects that stays in its file."""

    def __init__(self, file: JsonFile, member: _Member, parse: Callable[[Mapping[str, Any]], T]) -> None:
        self._file, self._member, self._parse = file, member, parse
        self._kept: tuple[int, list[Mapping[str, Any]]] | None = None

    def __len__(self) -> int:
        return self._member.objects

    def __iter__(self) -> Iterator[T]:
        for number in range(len(self._member.block_starts)):
            yield from map(self._parse, self._file.block(self._member, number))

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...
    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        if isinstance(index, slice):
            return tuple(self[each] for each in range(*index.indices(len(self))))
        place = range(len(self))[index]
        number = bisect_right(self._member.block_firsts, place) - 1
        if self._kept is None or self._kept[0] != number:
            self._kept = number, self._file.block(self._member, number)
        return self._parse(self._kept[1][place - self._member.block_firsts[number]])

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


class _Scanner:
    """
    Go through a JSON file once, check it, and note where the top's members are.

    The window is decoded as Latin-1: one character a byte, so that places in it are places in the file. Whether the
    bytes are UTF-8 is checked beside it.
    """

    def __init__(self, content: Content) -> None:
        self._content = content
        self._utf8 = codecs.getincrementaldecoder("utf-8")()
        self._before = 0
        self._window = ""
        self._at = 0

    def members(self) -> dict[str, _Member]:
        """
        Return the members of the top.

        :raises ValueError: when the file is not sound.
        """
        self._fill()
        if self._window.startswith("\xef\xbb\xbf"):  # a byte order mark
            self._at = 3
        if not self._next():
            raise ValueError("it is empty")
        if self._next() != "{":
            value = DECODER.raw_decode(self._window, self._at)[0]
            raise UnsoundJsonError(f"its top is a JSON {type(value).__name__}, not an object")
        members: dict[str, _Member] = {}
        for name in self._names():
            members[name] = self._member()
        if self._next():
            raise self._broken()
        return members

    def _member(self) -> _Member:
        first = self._next()
        member = _Member(self._before + self._at, is_list=first == "[")
        if member.is_list:
            for character in self._items():
                self._note(member, character)
                alike = _FIRST_NAME.match(self._window, self._at)
                self._value(2)
                if alike:
                    member.objects += self._more_alike(alike[0])
        else:
            self._value(1)
        member.end = self._before + self._at
        return member

    def _more_alike(self, beginning: str) -> int:
        """
        Step over the list's next objects that begin alike, at once, as far as the window holds them.

        Most lists have many short objects of one shape. Where one within an object begins alike as well, the cut is in
        the wrong place, the decoder says so, and they are gone through one by one.

        :return: how many there were.
        """
        separator = _SEPARATOR.match(self._window, self._at)
        if not separator or not self._window.startswith(beginning, separator.end()):
            return 0
        start = separator.end()
        end = self._window.rfind(f"}}{separator[0]}{beginning}", start) + 1
        if not end:
            return 0
        try:
            found = DECODER.decode(f"[{self._window[start:end]}]")
        except UnsoundJsonError:
            raise
        except ValueError:
            return 0
        # How deep they are is checked when they are read, which is cheaper than to look at every word of a document.
        self._at = end
        return sum(isinstance(item, dict) for item in found)

    def _note(self, member: _Member, character: str) -> None:
        if character != "{":  # only objects count
            return
        place = self._before + self._at
        starts, firsts = member.block_starts, member.block_firsts
        if not starts or place - starts[-1] >= _BLOCK_BYTES or member.objects - firsts[-1] >= _BLOCK_ITEMS:
            starts.append(place)
            firsts.append(member.objects)
        member.objects += 1

    def _value(self, depth: int) -> None:
        """Step over a value: at once where the window holds it, part by part where it is longer."""
        if depth > MAX_DEPTH:
            raise UnsoundJsonError(f"it is nested more than {MAX_DEPTH} levels deep")
        if len(self._window) - self._at < WINDOW // 4:
            self._fill()
        start = self._at
        try:
            value, end = DECODER.raw_decode(self._window, start)
        except UnsoundJsonError:
            raise
        except ValueError:
            self._long_value(depth)
            return
        if end == len(self._window) and isinstance(value, (int, float)) and self._fill():
            # The number may go on in the next window.
            if end - start > _LONGEST_NUMBER:
                raise self._broken()
            self._value(depth)
            return
        brackets = self._window.count("[", start, end) + self._window.count("{", start, end)
        if depth + brackets > MAX_DEPTH:
            for _ in range(depth):
                value = [value]
            json_reading.check_depth(value)
        self._at = end

    def _long_value(self, depth: int) -> None:
        character = self._next()
        if character == "{":
            for _ in self._names():
                self._value(depth + 1)
        elif character == "[":
            for _ in self._items():
                self._value(depth + 1)
        elif character == '"':
            self._long_text()
        else:
            raise self._broken()

    def _names(self) -> Iterator[str]:
        """Go through an object: yield each name, with its value next."""
        names: set[str] = set()
        for _ in self._parts("}"):
            start = self._before + self._at
            if self._next() != '"':
                raise self._broken()
            self._long_text()
            if self._before + self._at - start > _LONGEST_NAME:
                raise UnsoundJsonError(f"a member's name is longer than {_LONGEST_NAME} bytes")
            raw = self._content.read(start, self._before + self._at).decode()
            name = DECODER.decode(json_reading.whole_characters(raw))
            if name in names:
                raise UnsoundJsonError(f"the member {name!r:.80} is there twice")
            if len(names) == _MOST_MEMBERS:
                raise UnsoundJsonError(f"an object has more than {_MOST_MEMBERS} members")
            names.add(name)
            if self._next() != ":":
                raise self._broken()
            self._at += 1
            self._next()
            yield name

    def _items(self) -> Iterator[str]:
        """Go through a list: yield the first character of each item, which is next."""
        for _ in self._parts("]"):
            yield self._next()

    def _parts(self, closing: str) -> Iterator[None]:
        self._at += 1
        if self._next() == closing:
            self._at += 1
            return
        while True:
            self._next()
            yield
            character = self._next()
            if character not in {",", closing}:
                raise self._broken()
            self._at += 1
            if character == closing:
                return

    def _long_text(self) -> None:
        self._at += 1
        while True:
            matched = _CHARACTERS.match(self._window, self._at)
            self._at = matched.end() if matched else self._at
            rest = len(self._window) - self._at
            if rest and self._window[self._at] == '"':
                self._at += 1
                return
            # An escape sequence may go on in the next window.
            if rest >= _LONGEST_ESCAPE or not self._fill():
                raise self._broken()

    def _next(self) -> str:
        """Step over white space; return the next character, or nothing at the end."""
        while True:
            matched = _SPACE.match(self._window, self._at)
            self._at = matched.end() if matched else self._at
            if self._at < len(self._window):
                return self._window[self._at]
            if not self._fill():
                return ""

    def _fill(self) -> bool:
        """Drop what was gone through and append what comes next; False at the file's end."""
        # Lets an event loop in another thread run now: Python itself would have it wait for five milliseconds.
        time.sleep(0)
        end = self._before + len(self._window)
        chunk = self._content.read(end, min(end + WINDOW, self._content.size))
        self._utf8.decode(chunk, final=not chunk)
        self._before += self._at
        self._window = self._window[self._at :] + chunk.decode("latin-1")
        self._at = 0
        return bool(chunk)

    def _broken(self) -> ValueError:
        return ValueError(f"at byte {self._before + self._at}")

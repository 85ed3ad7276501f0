"""
Read a large JSON file in bounded memory, and without holding Python's lock for long.

The standard output of 3,000 pages has 300 MB and takes 2 GB as Python objects. So a file is checked once, a window at a
time, and what is kept is where each member begins (:class:`Part`). A member is read when it is asked for; a long list
in blocks (:class:`JsonFile`).

The json module decodes each value, in C. What differs from :func:`json.loads` is the order of the work: no single call
takes longer than a window or a block does, so that an event loop in another thread keeps running.
"""

from __future__ import annotations

import codecs
import json
import re
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import eq
from typing import Any, Protocol, TypeVar, overload

from airflow_bda.service import json_reading
from airflow_bda.service.json_reading import DECODER, MAX_DEPTH, UnsoundJsonError

T = TypeVar("T")

# Decoding this many bytes takes a millisecond.
WINDOW = 1 << 15
# A block is decoded at once, in a few milliseconds.
BLOCK_BYTES, _BLOCK_ITEMS = 1 << 18, 1024
# A list that is shorter than this becomes a tuple when it is read.
_SMALL = 1 << 20
# 3,000 pages of HTML in one text have about 30 MB.
_LARGEST_VALUE = 1 << 28
_MOST_MEMBERS = 100_000
_LONGEST_NAME, _LONGEST_NUMBER = 10_000, 5_000

_SPACE = re.compile(r"[ \t\n\r]*")
_SEPARATOR = re.compile(r"[ \t\n\r]*,[ \t\n\r]*")
_FIRST_NAME = re.compile(r'\{[ \t\n\r]*"[^"\\]{1,40}"')
# Characters and whole escape sequences within a text.
_CHARACTERS = re.compile(r'[^"\\\x00-\x1f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*)*')
_LONGEST_ESCAPE = 6
# The first half of a surrogate pair; it is no escape sequence where its backslash is itself escaped.
_FIRST_HALF = re.compile(r"(?<!\\)(?:\\\\)*(?P<escape>\\u[dD][89abAB][0-9a-fA-F]{2})\Z")
# Only so many characters before a cut are looked at.
_BEFORE_A_CUT = 1 << 10

_CLOSING = {"[": "]", "{": "}", '"': '"'}
_TOO_DEEP = f"it is nested more than {MAX_DEPTH} levels deep"
# For what was checked when the file was opened.
_PLAIN = json.JSONDecoder()


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
class Part:
    """
    Where a value is.

    :param start: the place of its first byte, and *end* that after its last.
    :param kind: its first character.
    :param blocks: where the blocks begin of a value that is longer than a block: items of a list, members of an object,
        pieces of a text.
    :param inner: values that are longer than a block, by the number of the block that each is alone in, with their
        names where they are in an object.
    :param objects: how many objects a list has.
    :param firsts: how many of them are before each block.
    """

    start: int
    kind: str = ""
    end: int = 0
    blocks: list[int] = field(default_factory=list)
    inner: dict[int, tuple[str, Part]] = field(default_factory=dict)
    objects: int = 0
    firsts: list[int] = field(default_factory=list)

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return self.end - self.start

    def block(self, number: int) -> tuple[int, int]:
        """Return where a block begins and ends."""
        return self.blocks[number], self.blocks[number + 1] if number + 1 < len(self.blocks) else self.end - 1

    def note(self, place: int) -> None:
        """Note that an item or a member begins at *place*."""
        if not self.blocks or place - self.blocks[-1] >= BLOCK_BYTES or self.objects - self.firsts[-1] >= _BLOCK_ITEMS:
            self._begin_block(place)

    def keep(self, place: int, name: str, inner: Part | None) -> None:
        """Keep the outline of an item or a member that began at *place*, where it has one."""
        if inner is None:
            return
        if self.blocks[-1] != place:
            self._begin_block(place)
        self.inner[len(self.blocks) - 1] = name, inner

    def _begin_block(self, place: int) -> None:
        self.blocks.append(place)
        self.firsts.append(self.objects)


class Scanner:
    """
    Check a file.

    The window is decoded as Latin-1: one character a byte, so that places in it are places in the file. Whether the
    bytes are UTF-8 is checked beside it.
    """

    def __init__(self, content: Content) -> None:
        self._content = content
        self._utf8 = codecs.getincrementaldecoder("utf-8")()
        self._before = 0
        self._window = ""
        self._at = 0
        # The end of the last window in which several items could not be stepped over at once.
        self._in_vain = -1

    def members(self) -> dict[str, Part]:
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
        members: dict[str, Part] = {}
        for _, name in self._names():
            short = Part(self._place, self._next())
            members[name] = self._value(1) or short
            members[name].end = self._place
        if self._next():
            raise self._broken()
        return members

    @property
    def _place(self) -> int:
        return self._before + self._at

    def _value(self, depth: int) -> Part | None:
        """
        Step over a value: at once where the window holds it, part by part where it is longer.

        :return: the outline of one that is longer than a block.
        """
        if depth > MAX_DEPTH:
            raise UnsoundJsonError(_TOO_DEEP)
        if len(self._window) - self._at < WINDOW // 4:
            self._fill()
        start = self._at
        try:
            value, end = DECODER.raw_decode(self._window, start)
        except UnsoundJsonError:
            raise
        except ValueError:
            return self._long_value(depth)
        if end == len(self._window) and isinstance(value, (int, float)) and self._fill():
            # The number may continue in the next window.
            if end - start > _LONGEST_NUMBER:
                raise self._broken()
            return self._value(depth)
        brackets = self._window.count("[", start, end) + self._window.count("{", start, end)
        if depth + brackets > MAX_DEPTH:
            for _ in range(depth):
                value = [value]
            json_reading.check_depth(value)
        self._at = end
        return None

    def _long_value(self, depth: int) -> Part | None:
        part = Part(self._place, self._next())
        if part.kind == "{":
            for place, name in self._names():
                part.note(place)
                part.keep(place, name, self._value(depth + 1))
        elif part.kind == "[":
            self._long_list(part, depth)
        elif part.kind == '"':
            self._long_text(part)
        else:
            raise self._broken()
        part.end = self._place
        return part if part.size > BLOCK_BYTES else None

    def _long_list(self, part: Part, depth: int) -> None:
        for _ in self._parts("]"):
            place, kind = self._place, self._next()
            part.note(place)
            alike = _FIRST_NAME.match(self._window, self._at) if kind == "{" else None
            inner = self._value(depth + 1)
            part.keep(place, "", inner)
            part.objects += kind == "{"
            # A long item is alone in its block.
            if inner is None and (kind != "{" or alike):
                part.objects += self._more_alike(kind, alike[0] if alike else "")

    def _more_alike(self, kind: str, beginning: str) -> int:
        """
        Step over the list's next items that are alike, at once, as far as the window holds them.

        Most long lists have many short items of one shape. Where the cut is in the wrong place, as in an item that
        holds others like itself, the decoder says so, and those of this window are gone through one by one.

        :return: how many objects there were.
        """
        separator = _SEPARATOR.match(self._window, self._at)
        if not separator or self._in_vain == self._before + len(self._window):
            return 0
        start = separator.end()
        between = {"{": f"}}{separator[0]}{beginning}", "[": f"]{separator[0]}[", '"': f'"{separator[0]}"'}
        end = self._window.rfind(between.get(kind, separator[0]), start)
        if end < 0:
            return 0
        end += kind in between
        try:
            found = DECODER.decode(f"[{self._window[start:end]}]")
        except UnsoundJsonError:
            raise
        except ValueError:
            self._in_vain = self._before + len(self._window)
            return 0
        # How deep they are is checked when they are read, which is cheaper than to look at every word of a document.
        self._at = end
        return sum(isinstance(item, dict) for item in found)

    def _names(self) -> Iterator[tuple[int, str]]:
        """Go through an object: yield the place and the text of each name, with its value next."""
        names: set[str] = set()
        for _ in self._parts("}"):
            start = self._place
            if self._next() != '"':
                raise self._broken()
            self._long_text()
            if self._place - start > _LONGEST_NAME:
                raise UnsoundJsonError(f"a member's name is longer than {_LONGEST_NAME} bytes")
            raw = self._content.read(start, self._place).decode()
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
            yield start, name

    def _parts(self, closing: str) -> Iterator[None]:
        """Go through a list or an object: what is yielded for begins at the next character."""
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

    def _long_text(self, part: Part | None = None) -> None:
        self._at += 1
        if part:
            part.note(self._place)
        while True:
            matched = _CHARACTERS.match(self._window, self._at)
            self._at = matched.end() if matched else self._at
            rest = len(self._window) - self._at
            if rest and self._window[self._at] == '"':
                self._at += 1
                return
            if part:
                part.note(self._before + self._cut())
            # An escape sequence may continue in the next window.
            if rest >= _LONGEST_ESCAPE or not self._fill():
                raise self._broken()

    def _cut(self) -> int:
        """Return the last place in the window at which a text can be cut: not within a character of several bytes."""
        end = self._at
        while end > 0 and "\x80" <= self._window[end - 1] < "\xc0":
            end -= 1
        end -= end > 0 and self._window[end - 1] >= "\xc0"
        half = _FIRST_HALF.search(self._window, max(0, end - _BEFORE_A_CUT), end)
        return half.start("escape") if half else end

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
        return ValueError(f"at byte {self._place}")


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
            raise json_reading.malformed(uri, _TOO_DEEP) from None
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
        return [item for item in self._read_block(part, number) if isinstance(item, Mapping)]

    def _read(self, part: Part) -> Any:
        """Decode a value: one that is longer than a block in blocks, so that no call takes long."""
        if not part.blocks:
            return self._decode(part.start, part.end)
        blocks = (self._read_block(part, number) for number in range(len(part.blocks)))
        if part.kind == '"':
            return "".join(blocks)
        if part.kind == "[":
            return [item for block in blocks for item in block]
        return {name: value for block in blocks for name, value in block.items()}

    def _read_block(self, part: Part, number: int) -> Any:
        if number not in part.inner:
            return self._decode(*part.block(number), part.kind)
        name, inner = part.inner[number]
        return {name: self._read(inner)} if part.kind == "{" else [self._read(inner)]

    def _decode(self, start: int, end: int, opening: str = "") -> Any:
        text = self._content.read(start, end).decode()
        if opening:
            whole = text if opening == '"' else text.rstrip().removesuffix(",")
            text = f"{opening}{whole}{_CLOSING[opening]}"
        try:
            return _PLAIN.decode(json_reading.whole_characters(text))
        except RecursionError:
            raise json_reading.malformed(self.uri, _TOO_DEEP) from None


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
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(map(eq, self, other))

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

# SPDX-License-Identifier: MIT
"""How other servers read HTTP/1.1, where they are known to be more lenient than RFC 9112: one parser with
switches. What Weir passes on must mean the same to all of them."""

import dataclasses
import re


class Senseless(Exception):
    """Even this parser gives up."""


class Short(Exception):
    """The stream ends within a message."""


@dataclasses.dataclass(frozen=True)
class Habits:
    """What a parser lets pass, and how it takes it."""

    bare_lf: bool = True            # a line ends at LF
    bare_cr: bool = False           # and at CR
    folds: bool = False             # a line that begins with a blank continues the last one
    trims_names: bool = False       # blanks before the colon
    trims_controls: bool = False    # controls around names and values
    ends_at_nul: bool = False       # names and values are C strings
    underscores: bool = False       # Transfer_Encoding is Transfer-Encoding
    length_first: bool = False      # Content-Length counts where both are there
    last_length: bool = False       # of several lengths the last one
    coding: str = "exact"           # exact, contains, first, last: of which value `chunked` is taken
    hex_prefix: bool = False        # 0x5, +5
    size_cut: bool = False          # sizes are cut to 32 bits
    extension_lf: bool = False      # a chunk extension ends at LF alone
    data_end: bool = True           # CR LF behind data is asked for; else two bytes are skipped
    skips_lines: bool = True        # empty lines before a request


HABITS = {
    "strict": Habits(bare_lf=False, skips_lines=False),
    "lf": Habits(),
    "cr": Habits(bare_cr=True),
    "folds": Habits(folds=True, trims_names=True),
    "blanks": Habits(trims_names=True, coding="contains"),
    "controls": Habits(trims_controls=True, trims_names=True, coding="contains"),
    "c-strings": Habits(ends_at_nul=True),
    "cgi": Habits(underscores=True, trims_names=True),
    "length-first": Habits(length_first=True),
    "last-length": Habits(length_first=True, last_length=True),
    "first-coding": Habits(coding="first"),
    "last-coding": Habits(coding="last"),
    "numbers": Habits(hex_prefix=True),
    "32-bit": Habits(size_cut=True, hex_prefix=True),
    "extensions": Habits(extension_lf=True),
    "careless": Habits(data_end=False, extension_lf=True, coding="contains"),
}


class Reader:
    """The stream of one connection, read by one set of habits."""

    def __init__(self, data, habits):
        self.data, self.habits, self.at = data, habits, 0

    def line(self):
        ends = rb"\r\n|\n|\r" if self.habits.bare_cr else rb"\r?\n" if self.habits.bare_lf \
            else rb"\r\n"
        match = re.compile(ends).search(self.data, self.at)
        if not match:
            raise Short
        line, self.at = self.data[self.at:match.start()], match.end()
        return line

    def fields(self):
        fields = []
        while line := self.line():
            if line[:1] in b" \t" and self.habits.folds and fields:
                fields[-1][1] += b" " + line.strip(b" \t")
                continue
            name, colon, value = line.partition(b":")
            if not colon:
                raise Senseless(line)
            fields.append([name, value])
        return [(self.name(name), self.value(value)) for name, value in fields]

    def name(self, name):
        if self.habits.ends_at_nul:
            name = name.partition(b"\0")[0]
        if self.habits.trims_controls:
            name = name.strip(bytes(range(0x21)))
        elif self.habits.trims_names:
            name = name.strip(b" \t")
        name = name.lower()
        return name.replace(b"_", b"-") if self.habits.underscores else name

    def value(self, value):
        if self.habits.ends_at_nul:
            value = value.partition(b"\0")[0]
        return value.strip(bytes(range(0x21)) if self.habits.trims_controls else b" \t")

    def is_chunked(self, codings):
        if not codings:
            return False
        if self.habits.coding == "contains":
            return any(b"chunked" in coding for coding in codings)
        if self.habits.coding == "first":
            return codings[0].split(b",")[0].strip() == b"chunked"
        if self.habits.coding == "last":
            return codings[-1].split(b",")[-1].strip() == b"chunked"
        return codings == [b"chunked"]

    def body(self, fields):
        codings = [value.lower() for name, value in fields if name == b"transfer-encoding"]
        lengths = [value for name, value in fields if name == b"content-length"]
        if self.is_chunked(codings) and not (lengths and self.habits.length_first):
            self.chunks()
        elif lengths:
            length = lengths[-1 if self.habits.last_length else 0].split(b",")[0].strip()
            if not re.fullmatch(rb"[+0-9]+", length):
                raise Senseless(length)
            self.skip(int(length))

    def skip(self, count):
        if len(self.data) - self.at < count:
            raise Short
        self.at += count

    def size(self):
        if self.habits.extension_lf:
            end = self.data.find(b"\n", self.at)
            if end < 0:
                raise Short
            line, self.at = self.data[self.at:end], end + 1
        else:
            line = self.line()
        text = line.partition(b";")[0].strip(b" \t\r")
        match = re.match(rb"[+]?(?:0[xX])?([0-9A-Fa-f]+)" if self.habits.hex_prefix
                         else rb"([0-9A-Fa-f]+)", text)
        if not match:
            raise Senseless(line)
        size = int(match.group(1), 16)
        return size & 0xffffffff if self.habits.size_cut else size

    def chunks(self):
        while size := self.size():
            self.skip(size)
            if self.data[self.at:self.at + 2] != b"\r\n" and self.habits.data_end:
                if len(self.data) - self.at < 2:
                    raise Short
                raise Senseless(self.data[self.at:self.at + 10])
            self.skip(2)
        self.fields()

    def requests(self):
        """Method and target of each request; one that is cut counts, if its head is whole."""
        found = []
        while self.at < len(self.data):
            try:
                line = self.line()
                if not line and self.habits.skips_lines:
                    continue
                parts = line.split(b" ")
                if len(parts) != 3:
                    raise Senseless(line)
                fields = self.fields()
                found.append((parts[0], parts[1]))
                self.body(fields)
            except Short:
                break
        return found


def requests(data, habits):
    """The requests that a server with these habits sees on a connection."""
    return Reader(bytes(data), HABITS[habits]).requests()

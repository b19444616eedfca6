# SPDX-License-Identifier: MIT
"""Headers of the PROXY protocol, made and read by a second implementation."""

import ipaddress
import struct

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"


def v1(source="192.0.2.7", destination="198.51.100.1", source_port=4711, destination_port=443):
    """A header of version 1."""
    family = "TCP6" if ":" in source else "TCP4"
    return (f"PROXY {family} {source} {destination} {source_port} {destination_port}\r\n").encode()


def crc32c(data):
    """CRC-32C, bit by bit."""
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def v2(source="192.0.2.7", destination="198.51.100.1", source_port=4711, destination_port=443,
       command=0x21, tlvs=(), checksum=False, spoil=0):
    """A header of version 2; `tlvs` are pairs of type and value."""
    first, second = ipaddress.ip_address(source), ipaddress.ip_address(destination)
    block = first.packed + second.packed + struct.pack(">HH", source_port, destination_port)
    block += b"".join(struct.pack(">BH", kind, len(value)) + value for kind, value in tlvs)
    size = len(block) + (7 if checksum else 0)
    head = SIGNATURE + bytes([command, 0x11 if first.version == 4 else 0x21])
    data = head + struct.pack(">H", size) + block
    if checksum:
        data += struct.pack(">BHI", 3, 4, 0)
        data = data[:-4] + struct.pack(">I", crc32c(data) ^ spoil)
    return data


LOCAL = SIGNATURE + b"\x20\x00\x00\x00"


def read(stream):
    """Reads a header from a Stream, and not a byte more: (version, source, port, destination, port);
    (version,) + 4 * None for LOCAL and UNKNOWN."""
    def exact(count):
        data = stream.buffer[:count]
        stream.buffer = stream.buffer[count:]
        while len(data) < count:
            piece = stream.sock.recv(count - len(data))
            assert piece, data
            data += piece
        return data

    first = exact(6)
    if first == b"PROXY ":
        line = b""
        while not line.endswith(b"\r\n"):
            line += exact(1)
        words = line[:-2].decode().split(" ")
        if words[0] == "UNKNOWN":
            return 1, None, None, None, None
        assert words[0] in ("TCP4", "TCP6") and len(words) == 5, words
        assert (":" in words[1]) == (words[0] == "TCP6")
        return 1, words[1], int(words[3]), words[2], int(words[4])
    head = first + exact(10)
    assert head.startswith(SIGNATURE), head
    command, family, size = struct.unpack(">BBH", head[12:])
    block = exact(size)
    if command == 0x20:
        return 2, None, None, None, None
    assert command == 0x21 and family in (0x11, 0x21), head
    width = 4 if family == 0x11 else 16
    source, destination = (ipaddress.ip_address(block[i * width:(i + 1) * width])
                           for i in range(2))
    ports = struct.unpack(">HH", block[2 * width:2 * width + 4])
    return 2, str(source), ports[0], str(destination), ports[1]

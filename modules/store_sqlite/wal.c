/* SPDX-License-Identifier: MIT */
/*
 * The write-ahead log's format (sqlite.org/fileformat2.html, section 4): a header of 32 bytes, then
 * frames of 24 bytes and a page each, all chained by a checksum.
 */
#include "wal.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define HEADER_SIZE 32
#define FRAME_SIZE  24
#define MAGIC       0x377f0682u /* with the lowest bit set, checksums are over big-endian words */

struct reader {
    int fd;
    off_t at;
    bool big_endian;
    uint32_t sum[2];
    uint32_t salt[2];
    uint32_t page_size;
    uint8_t *page;
};

static uint32_t big32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static uint32_t word(const struct reader *reader, const uint8_t *bytes)
{
    return reader->big_endian ? big32(bytes)
                              : (uint32_t)bytes[3] << 24 | (uint32_t)bytes[2] << 16 |
                                    (uint32_t)bytes[1] << 8 | bytes[0];
}

/* `len` is a multiple of 8. */
static void add_sum(struct reader *reader, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i += 8) {
        reader->sum[0] += word(reader, bytes + i) + reader->sum[1];
        reader->sum[1] += word(reader, bytes + i + 4) + reader->sum[0];
    }
}

static bool read_all(struct reader *reader, uint8_t *out, size_t len)
{
    while (len > 0) {
        ssize_t got = pread(reader->fd, out, len, reader->at);
        if (got <= 0) {
            return false;
        }
        out += got;
        len -= (size_t)got;
        reader->at += got;
    }
    return true;
}

static bool read_header(struct reader *reader)
{
    uint8_t header[HEADER_SIZE];

    if (!read_all(reader, header, sizeof(header)) || (big32(header) & ~1u) != MAGIC) {
        return false;
    }
    reader->big_endian = (big32(header) & 1) != 0;
    reader->page_size = big32(header + 8);
    reader->salt[0] = big32(header + 16);
    reader->salt[1] = big32(header + 20);
    add_sum(reader, header, HEADER_SIZE - 8);
    return reader->sum[0] == big32(header + 24) && reader->sum[1] == big32(header + 28) &&
           reader->page_size >= 512 && reader->page_size <= 65536 &&
           (reader->page_size & (reader->page_size - 1)) == 0;
}

/*
 * Goes through the frames of this log (older ones, which a restarted log still has behind its end,
 * have another salt). A transaction is acknowledged only after its last frame is on disk, so at
 * most one transaction behind a bad frame can be an unfinished one.
 */
static bool lost_transactions(struct reader *reader, char *why, size_t size)
{
    uint8_t frame[FRAME_SIZE];
    size_t number = 0;
    size_t first_bad = 0; /* counted from 1; 0: none yet */
    size_t commits_behind = 0;

    while (read_all(reader, frame, sizeof(frame)) &&
           read_all(reader, reader->page, reader->page_size)) {
        bool ours = big32(frame + 8) == reader->salt[0] && big32(frame + 12) == reader->salt[1];
        number++;
        if (first_bad == 0) {
            add_sum(reader, frame, 8);
            add_sum(reader, reader->page, reader->page_size);
            if (!ours || reader->sum[0] != big32(frame + 16) ||
                reader->sum[1] != big32(frame + 20)) {
                first_bad = number;
            }
        }
        commits_behind += first_bad != 0 && ours && big32(frame + 4) != 0;
    }
    if (commits_behind >= 2) {
        snprintf(why, size, "frame %zu of its log is damaged, and %zu transactions follow it",
                 first_bad, commits_behind);
    }
    return commits_behind >= 2;
}

bool wal_is_damaged(const char *path, char *why, size_t size)
{
    struct reader reader = {.fd = open(path, O_RDONLY | O_CLOEXEC)};
    bool damaged = false;

    if (reader.fd < 0) {
        return false;
    }
    off_t len = lseek(reader.fd, 0, SEEK_END);
    if (len > HEADER_SIZE) {
        if (!read_header(&reader)) {
            snprintf(why, size, "the header of its log is damaged");
            damaged = true;
        } else {
            reader.page = malloc(reader.page_size);
            damaged = reader.page != NULL && lost_transactions(&reader, why, size);
            free(reader.page);
        }
    }
    close(reader.fd);
    return damaged;
}

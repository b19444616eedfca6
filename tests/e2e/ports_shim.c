/* SPDX-License-Identifier: MIT */
/*
 * A system without free ports, for one process: loaded by LD_PRELOAD, it lets TCP connects fail
 * with EADDRNOTAVAIL as long as the file that WEIR_TEST_PORTS names is there.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define VISIBLE __attribute__((visibility("default")))

VISIBLE int connect(int fd, const struct sockaddr *address, socklen_t len)
{
    const char *path = getenv("WEIR_TEST_PORTS");

    if (path != NULL && address->sa_family != AF_UNIX && access(path, F_OK) == 0) {
        errno = EADDRNOTAVAIL;
        return -1;
    }
    return (int)syscall(SYS_connect, fd, address, len);
}

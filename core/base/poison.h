/* SPDX-License-Identifier: MIT */
/*
 * Memory that is kept although its contents are done with: sanitizer builds poison it, so that
 * whoever still looks at it is found, although nothing was freed. Other builds do nothing. Lists of
 * free objects do better: where POISON_WORKS they keep none, and the sanitizer sees each of them
 * freed.
 */
#ifndef BASE_POISON_H
#define BASE_POISON_H

#if defined(__has_feature)
#if __has_feature(address_sanitizer) && !defined(__SANITIZE_ADDRESS__) /* clang's way to say it */
#define __SANITIZE_ADDRESS__ 1
#endif
#endif

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#define POISON_WORKS       1
#define POISON(ptr, len)   ASAN_POISON_MEMORY_REGION(ptr, len)
#define UNPOISON(ptr, len) ASAN_UNPOISON_MEMORY_REGION(ptr, len)
#define POISONED(ptr)      (__asan_address_is_poisoned(ptr) != 0)
#else
#define POISON_WORKS       0
#define POISON(ptr, len)   ((void)(ptr), (void)(len))
#define UNPOISON(ptr, len) ((void)(ptr), (void)(len))
#define POISONED(ptr)      ((void)(ptr), false)
#endif

#endif

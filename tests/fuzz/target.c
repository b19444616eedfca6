/* SPDX-License-Identifier: MIT */
/* A libFuzzer target: one property function, named by -DPROPERTY. */
#include "fuzz/property.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    PROPERTY(data, len);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* wait: time as volt-init uses it: short sleeps and deadlines on the monotonic clock. */
#pragma once

#include <stdint.h>

/* Milliseconds since some point in the past. */
int64_t now_ms(void);

/* Sleeps. */
void wait_ms(int ms);

/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers on the serial port. */
#pragma once

#include <stdint.h>

/* @digits (1 to 16) hexadecimal digits, no prefix. */
void put_hex(uint64_t value, unsigned int digits);

void put_decimal(uint64_t value);

/* SPDX-License-Identifier: Apache-2.0 */
/* Where further CPUs start: a page below 1 MiB. For C and assembly. */
#pragma once

#define TRAMPOLINE_ADDRESS 0x8000

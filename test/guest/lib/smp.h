/* SPDX-License-Identifier: Apache-2.0 */
/* Starts further CPUs, one at a time, through INIT and start-up interrupts. */
#pragma once

#include <stdint.h>

#define SMP_MAX_CPUS 4

/*
 * Starts the CPU with APIC id @id (1 to SMP_MAX_CPUS - 1) in @fn, in 64-bit mode, with a stack of
 * 4 KiB, the shared interrupt table and its local APIC enabled. Returns when it runs; waits forever
 * for a CPU that is not there. When @fn returns the CPU halts for good.
 */
void smp_start(uint32_t id, void (*fn)(void));

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Local APIC (SDM vol. 3, chapter 11) and I/O APIC (82093AA data sheet). The local APIC is reached
 * through memory until apic_use_x2apic(), then through MSRs; the switch is per CPU in hardware and
 * global here, so only guests with one CPU make it.
 */
#pragma once

#include <stdint.h>

#define APIC_ID 0x20
#define APIC_VERSION 0x30
#define APIC_EOI 0xb0
#define APIC_SPURIOUS 0xf0
#define APIC_ICR 0x300
#define APIC_LVT_TIMER 0x320
#define APIC_TIMER_INITIAL 0x380
#define APIC_TIMER_CURRENT 0x390
#define APIC_TIMER_DIVIDE 0x3e0

#define APIC_TIMER_ONE_SHOT (0u << 17)
#define APIC_TIMER_DEADLINE (2u << 17)
#define APIC_TIMER_DIVIDE_BY_1 0xb
#define APIC_ICR_INIT 0x4500 /* assert, INIT */
#define APIC_ICR_STARTUP 0x4600 /* assert, start-up; the vector is the page to start at */
#define APIC_ICR_FIXED 0x4000

uint32_t apic_read(uint32_t reg);
void apic_write(uint32_t reg, uint32_t value);

/* Software-enables the local APIC of this CPU. */
void apic_enable(void);
void apic_use_x2apic(void);
uint32_t apic_id(void);
void apic_eoi(void);

/* Sends @command (an APIC_ICR_ value, with a vector) to the CPU with APIC id @target. */
void apic_send(uint32_t target, uint32_t command);

/* Masks the PIC; line @gsi becomes edge-triggered interrupt @vector of the CPU with APIC id 0. */
void ioapic_route(uint32_t gsi, uint8_t vector);

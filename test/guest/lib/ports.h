/* SPDX-License-Identifier: Apache-2.0 */
/* I/O ports of the machine, as a guest knows them. For C and assembly. */
#pragma once

#define GUEST_PORT_COM1 0x3f8
#define GUEST_PORT_I8042 0x64
#define GUEST_PORT_EXIT 0x501
#define GUEST_PORT_PVPANIC 0x505
#define GUEST_PORT_SLEEP 0x600
#define GUEST_PORT_RESET 0x602

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tells a service manager how far we are: sd_notify(3)'s protocol, datagrams to the Unix socket
 * that the variable NOTIFY_SOCKET names. Without the variable nothing is done.
 */
#pragma once

/* "READY=1" with our process id. Failure is logged: nobody runs worse for it. Thread: any. */
void notify_ready(void);

/* "STOPPING=1" */
void notify_stopping(void);

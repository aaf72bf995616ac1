/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An error that a person will read, on its way up to the command line or an API reply.
 *
 * Functions that can fail take `struct err *e` last and return err_set(e, -errno, "..."):
 * one line both fills the message and returns the code. The message names the object and the
 * offending value and says what would work; it never names a function. It is reported once, by
 * whoever handles it.
 */
#pragma once

enum { ERR_MSG_BYTES = 512 };

struct err {
	int code; /* 0, or a negative errno */
	char msg[ERR_MSG_BYTES];
};

/*
 * Fills @e (which may be NULL) and returns @code, a negative errno. Keeps nothing of its arguments.
 * Does not add strerror() text: see err_errno().
 */
int err_set(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* The same with ": <text of the error>" appended. */
int err_errno(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

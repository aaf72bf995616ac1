/* SPDX-License-Identifier: Apache-2.0 */
/* A passphrase from the terminal: see secret.h. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "stellarium/cancel.h"
#include "stellarium/secret_impl.h"

/*
 * Reads a line without its end, at most @cap bytes. Returns the length or -errno. Signals are let
 * through by @waiting only while nothing is there, so none can come between a look and the wait.
 */
static ssize_t read_line(int fd, uint8_t *line, size_t cap, const sigset_t *waiting, struct err *e)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	size_t len = 0;

	for (;;) {
		uint8_t byte = 0;
		ssize_t n;

		if (cancel_signal())
			return err_set(e, -ECANCELED, "interrupted");
		if (ppoll(&p, 1, NULL, waiting) < 0)
			continue;
		n = read(fd, &byte, 1);
		if (n < 0)
			return err_errno(e, -errno, "cannot read from the terminal");
		if (n == 0 && len == 0)
			return err_set(e, -ECANCELED, "no passphrase was given");
		if (n == 0 || byte == '\n')
			return (ssize_t)len;
		if (len == cap)
			return err_set(e, -EINVAL, "a passphrase has at most %zu bytes", cap);
		line[len++] = byte;
	}
}

/* Echo is off from before the question to after the answer; what was typed ahead is thrown away. */
static ssize_t ask_silently(int fd, const char *prompt, uint8_t *line, const sigset_t *waiting,
			    struct err *e)
{
	struct termios before, silent;
	ssize_t n;

	if (tcgetattr(fd, &before) < 0)
		return err_errno(e, -errno, "cannot read the terminal's settings");
	silent = before;
	silent.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
	silent.c_lflag |= ICANON | ISIG;
	if (tcsetattr(fd, TCSAFLUSH, &silent) < 0)
		return err_errno(e, -errno, "cannot silence the terminal");
	(void)!file_write_full(fd, prompt, strlen(prompt));
	n = read_line(fd, line, SECRET_PASSPHRASE_MAX_BYTES, waiting, e);
	tcsetattr(fd, TCSAFLUSH, &before);
	(void)!file_write_full(fd, "\n", 1);
	return n;
}

/*
 * One question. Being stopped (Ctrl-Z) has to wait: the shell would get the silent terminal. In the
 * background, though, we are stopped before anything is changed.
 */
static ssize_t ask(int fd, const char *prompt, uint8_t *line, struct err *e)
{
	sigset_t all, before, waiting;
	ssize_t n;

	sigfillset(&all);
	sigdelset(&all, SIGTTIN);
	sigdelset(&all, SIGTTOU);
	sigprocmask(SIG_SETMASK, &all, &before);
	waiting = before;
	sigaddset(&waiting, SIGTSTP);
	n = ask_silently(fd, prompt, line, &waiting, e);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return n;
}

static int ask_again(int fd, const struct secret *s, struct err *e)
{
	struct secret again = { 0 };
	int r = secret_allocate(&again, e);
	ssize_t n;

	if (r < 0)
		return r;
	n = ask(fd, "The same again: ", again.bytes, e);
	if (n < 0)
		r = (int)n;
	else if ((size_t)n != s->input.len || memcmp(again.bytes, s->bytes, (size_t)n) != 0)
		r = err_set(e, -EINVAL, "the two passphrases are not the same; nothing was done");
	secret_release(&again);
	return r;
}

int secret_ask(struct secret *s, const char *prompt, bool is_new, struct err *e)
{
	auto_fd int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	ssize_t n;
	int r;

	if (fd < 0)
		return err_set(e, -ENOTTY, "there is no terminal to ask for the passphrase on");
	r = secret_allocate(s, e);
	if (r < 0)
		return r;
	n = ask(fd, prompt, s->bytes, e);
	if (n < 0)
		r = (int)n;
	else if (n == 0)
		r = err_set(e, -EINVAL,
			    "the passphrase is empty; at least one character is needed");
	s->input = (struct key_input){ KEY_PASSPHRASE, s->bytes, n < 0 ? 0 : (size_t)n };
	if (r == 0 && is_new)
		r = ask_again(fd, s, e);
	if (r < 0)
		secret_release(s);
	return r;
}
